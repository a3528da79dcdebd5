// Starting a run: a card per config, its texts, what the server allows.
import { get, post } from "./api.js";
import { fill, h, titled, toast } from "./dom.js";
import { hinted, localized, t, told } from "./words.js";

const base64 = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(file);
});

let draft = {}; // what a person typed, kept while the view is drawn anew: another config, another language, Back

export function showForm(main, session, from) {
  let alive = true, chosen = null, given = from ? {} : draft, outputs = [];
  const cards = h("div", { class: "configs", role: "radiogroup", "aria-label": t("chooseConfig") });
  const fields = h("div", { class: "fields" });
  const message = h("p", { class: "problem", role: "alert" });
  const send = h("button", { type: "submit", class: "primary" }, t("run"));
  const form = h("form", { class: "starter", onsubmit: submit }, cards, fields, message, send);
  titled(t("start"));
  fill(main, h("h1", {}, t("start")), form);

  function remember() {
    if (!chosen) return;
    const values = new FormData(form), texts = values.getAll("text"), context = form.elements.context;
    const contexts = { ...given.contexts };
    if (context && !context.disabled) {
      if (context.value === context.dataset.original) delete contexts[chosen.name]; else contexts[chosen.name] = context.value;
    }
    given = draft = { config: chosen.name, texts: [...texts, ...(given.texts ?? []).slice(texts.length)], contexts,
      outputs: values.getAll("outputs"), seed: values.get("seed"), safety_level: values.get("safety_level"), execution_mode: values.get("execution_mode") };
  }

  function choose(config) {
    remember();
    chosen = config;
    const texts = config.texts.map((name, n) => h("label", { class: "wide" }, h("span", {}, config.texts.length > 1 ? name : t("text")),
      h("textarea", { name: "text", rows: 4, required: true, maxlength: session.input_chars, dir: "auto", value: given.texts?.[n] ?? "" })));
    const images = Array.from({ length: config.images }, (_, n) => h("label", { class: "wide" },
      h("span", {}, config.images > 1 ? `${t("input_image")} ${n + 1}` : t("input_image")),
      h("input", { type: "file", name: "image", accept: "image/*", required: true })));
    const wanted = new Set(given.config === config.name ? given.outputs ?? [] : []);
    const choice = h("fieldset", { class: "outputs" }, h("legend", {}, t("outputs")), h("p", { class: "faint" }, t("outputsHint")),
      outputs.map((o) => h("label", {}, h("input", { type: "checkbox", name: "outputs", value: o.name, checked: wanted.has(o.name) }),
        " ", localized(o.title) || o.name, " ", h("span", { class: "faint" }, o.output ?? ""))));
    const context = h("textarea", { name: "context", rows: 8, dir: "auto", disabled: true });
    const edited = given.contexts?.[config.name];
    const edit = h("details", { open: edited !== undefined, ontoggle: async (event) => {
      if (!event.target.open || !context.disabled) return;
      const full = await get(`/api/schemas/${config.name}`);
      context.dataset.original = localized(full.context);
      context.value = edited ?? context.dataset.original;
      context.disabled = false;
    } }, h("summary", {}, t("editContext")), h("label", { class: "wide" }, h("span", { class: "unseen" }, t("context")), context));
    const select = (name, label, values, first) => h("label", {}, h("span", {}, label), h("select", { name, "aria-label": label }, first && h("option", { value: "" }, first),
      values.map((v) => h("option", { value: v, selected: v === given[name] }, v))));
    const more = h("details", { open: Boolean(given.seed) || wanted.size > 0 }, h("summary", {}, t("advanced")), h("div", { class: "filters" },
      select("safety_level", t("level"), [...session.levels].reverse()),
      select("execution_mode", t("mode"), session.modes, session.default_mode ? null : t("auto")),
      h("label", {}, h("span", {}, t("seed")), h("input", { name: "seed", inputmode: "numeric", pattern: "[0-9]*", placeholder: t("seedHint"), value: given.seed ?? "" }))), outputs.length ? choice : null);
    fill(fields, texts, images, config.texts.length ? edit : null, more);
    fields.querySelector('[name="safety_level"]').value = session.levels.includes(given.safety_level) ? given.safety_level : session.level;
  }

  async function submit(event) {
    event.preventDefault();
    if (send.getAttribute("aria-disabled") === "true") return;
    message.textContent = "";
    const values = new FormData(form);
    const texts = values.getAll("text");
    const body = { schema: chosen.name, async: true, safety_level: values.get("safety_level") };
    if (texts.length === 1) body.input_text = texts[0]; else body.input_texts = texts;
    if (values.get("execution_mode")) body.execution_mode = values.get("execution_mode");
    if (values.get("seed")) body.seed = values.get("seed"); // as text: a number here would lose digits
    const context = form.elements.context;
    if (context && !context.disabled && context.value !== context.dataset.original) body.context = context.value;
    const named = values.getAll("outputs");
    if (named.length) body.outputs = named;
    send.setAttribute("aria-disabled", "true"); // not disabled: that would take the focus away
    try {
      const files = values.getAll("image");
      if (files.length) body.images = await Promise.all(files.map(base64));
      const found = await post("/api/schema/pipeline/execute", body);
      location.hash = `#/run/${found.run_id}`;
    } catch (error) {
      const place = error.body?.place ? ` ${t("place", error.body)}` : "";
      message.textContent = [told(error), hinted(error)].filter(Boolean).join(" ") + place;
      send.removeAttribute("aria-disabled");
    }
  }

  async function before() {
    if (!from) return;
    const same = await get(`/api/runs/${encodeURIComponent(from)}/request`);
    given = { config: same.schema, outputs: same.outputs ?? [], seed: same.seed, texts: same.input_texts, safety_level: same.safety_level,
      execution_mode: same.execution_mode, contexts: same.context === null ? {} : { [same.schema]: same.context } };
  }

  const offered = get("/api/schemas", { stage: "output" }).then(({ schemas }) => schemas, () => []);
  Promise.all([get("/api/schemas"), offered, before().catch((error) => toast(told(error)))]).then(([{ schemas }, found]) => {
    if (!alive) return;
    outputs = found;
    const wanted = schemas.find((s) => s.name === given.config) ?? schemas.find((s) => s.name === "dada") ?? schemas[0];
    fill(cards, schemas.map((config) => h("label", { class: "config" },
      h("input", { type: "radio", name: "config", value: config.name, checked: config === wanted, onchange: () => choose(config) }),
      h("span", { class: "face" }, h("strong", {}, localized(config.title) || config.name), h("span", { class: "faint" }, localized(config.description))))));
    if (wanted) choose(wanted);
    cards.querySelector(":checked")?.closest("label").scrollIntoView({ block: "nearest" });
  }).catch((error) => { message.textContent = told(error); });
  return () => { remember(); alive = false; };
}
