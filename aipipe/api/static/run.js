// One run: prompt chain with changes and verdicts, media, details; moves while the run does.
import { entityText, get, post, runPath } from "./api.js";
import { diffNodes } from "./diff.js";
import { fill, h, titled, toast } from "./dom.js";
import { methodWord, said, verdictSaid } from "./judged.js";
import { badge } from "./list.js";
import { number, stepWord, t, told, when } from "./words.js";

const TEXTS = ["input", "translation", "interception_iteration", "interception", "interception_edit"];
const ENDED = ["completed", "blocked", "failed", "cancelled", "interrupted", "unknown"];

export function mediaNode(entity, prompt = "") {
  const label = [entity.type.replaceAll("_", " "), prompt.slice(0, 300)].filter(Boolean).join(": ");
  if (entity.media_type === "image") return h("a", { href: entity.url, target: "_blank", rel: "noopener" }, h("img", { src: entity.url, alt: label, decoding: "async" }));
  if (entity.media_type === "video") return h("video", { src: entity.url, controls: true, preload: "metadata", "aria-label": label });
  if (entity.mime.startsWith("audio/") && entity.mime !== "audio/midi") return h("audio", { src: entity.url, controls: true, preload: "metadata", "aria-label": label });
  const link = h("a", { class: "button", href: `${entity.url}${entity.url.includes("?") ? "&" : "?"}download=true`, download: entity.filename }, `${entity.filename} (${number(entity.size / 1024, 1)} KB)`);
  if (entity.media_type !== "code" && entity.media_type !== "text") return link;
  const code = h("pre", { dir: "auto" });
  entityText(entity).then((text) => { code.textContent = text; });
  return h("div", {}, code, link);
}

export const isMedia = (entity) => entity.type.startsWith("output_") || entity.type === "input_image";

export function chainItem(entity, text, before, codes = []) {
  const iteration = entity.type === "interception_iteration" ? { n: entity.iteration ?? entity.index + 1 } : {};
  const name = t(TEXTS.includes(entity.type) || ["safety", "safety_pre_output", "error"].includes(entity.type) ? entity.type : entity.type, iteration);
  if (entity.type.startsWith("safety")) return verdictItem(name, text);
  if (entity.type === "error") return errorItem(name, text, codes);
  if (entity.media_type !== "text") return h("li", { class: "link" }, h("h3", {}, name), h("pre", { dir: "auto" }, text));
  const body = h("p", { class: "prompt", dir: "auto" }, text);
  const changed = before !== null && before !== text;
  const toggle = changed && h("button", { type: "button", class: "quiet small", "aria-pressed": "false", onclick: (event) => {
    const on = event.target.getAttribute("aria-pressed") !== "true";
    event.target.setAttribute("aria-pressed", String(on));
    fill(body, on ? diffNodes(before, text) : text);
  } }, t("changes"));
  return h("li", { class: "link" }, h("div", { class: "line" }, h("h3", {}, name),
    before !== null && before === text ? h("span", { class: "faint" }, t("same")) : toggle), body);
}

export function verdictItem(name, text) {
  let value = {};
  try { value = JSON.parse(text); } catch { /* a torn file says nothing */ }
  const word = value.safe === true ? "allowed" : value.safe === false ? "refused" : "notChecked";
  const codes = (value.codes ?? []).map((c) => (typeof c === "string" ? c : c.code)).join(", ");
  return h("li", { class: `link verdict ${word}` }, h("div", { class: "line" }, h("h3", {}, name), h("span", { class: `badge ${word}` }, t(word))),
    h("p", { class: "faint", dir: "auto" }, [methodWord(value.method), codes, verdictSaid(value)].filter(Boolean).join(" · ")),
    unfolding(name, text));
}

/** The whole of a record behind a name of its own: a list of controls holds more than one "Details". */
const unfolding = (name, text) => h("details", {}, h("summary", {}, t("details"), h("span", { class: "unseen" }, `: ${name}`)), h("pre", { dir: "auto", tabindex: "0" }, text));

function errorItem(name, text, codes) {
  let value = {};
  try { value = JSON.parse(text); } catch { /* as above */ }
  return h("li", { class: "link wrong" }, h("h3", {}, name), h("p", { class: "prompt", dir: "auto" }, value.message ? said(value.message, value.details?.codes?.length ? value.details.codes : codes) : text),
    unfolding(name, text));
}

const row = (name, value) => (value === null || value === undefined || value === "" ? null : [h("dt", {}, name), h("dd", { dir: "auto" }, String(value))]);

const reasonRow = (message, codes) => (message ? [h("dt", {}, t("reason")), h("dd", { dir: "auto", "data-reason": message }, said(message, codes))] : null);

/** Codes of a verdict or an error, null where it has none. */
function codesOf(text) {
  try {
    const value = JSON.parse(text), codes = value.codes ?? value.details?.codes;
    return Array.isArray(codes) && codes.length ? codes : null;
  } catch { return null; }
}

function details(record, codes) {
  const models = Object.entries(record.models ?? {}).map(([task, model]) => `${task}: ${model}`).join(", ");
  return h("dl", { class: "facts" }, row(t("started"), when(record.timestamp)), row(t("seconds"), record.seconds === null ? "" : number(record.seconds, 2)),
    row(t("level"), record.safety_level), row(t("mode"), record.execution_mode), row(t("seed"), record.seed), row(t("models"), models),
    row(t("participant"), record.participant), reasonRow(record.reason?.message, codes), row(t("runId"), record.run_id));
}

export function showRun(main, id) {
  const title = h("h1", { tabindex: "-1" });
  const state = h("span", {});
  const moving = h("p", { class: "moving faint", role: "status" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("status") });
  const media = h("section", { class: "media", "aria-label": t("media") });
  const chain = h("ol", { class: "chain" });
  const facts = h("section", { class: "panel" });
  const buttons = h("div", { class: "actions" });
  const known = new Map();
  let source = null, alive = true, timer = 0, entities = [], drawing = 0, reasons = [];

  const links = h("section", { "aria-label": t("chain") }, h("h2", {}, t("chain")), chain), side = h("div", {}, media, facts, buttons);
  const columns = h("div", { class: "columns" }), narrow = matchMedia("(max-width: 820px)");
  const place = () => (narrow.matches ? columns.append(side, links) : columns.append(links, side)); // read in the order in which it is seen
  narrow.addEventListener("change", place);
  place();
  fill(main, h("a", { class: "back", href: "#/" }, `← ${t("back")}`), h("div", { class: "head" }, title, state), bar, moving, columns);

  // Made once: what is replaced while a run moves takes the focus with it.
  const cancel = h("button", { type: "button", class: "danger", onclick: () =>
    post(`${runPath(id)}/cancel`).then(() => toast(t("cancelling")), (error) => toast(told(error))) }, t("cancel"));
  fill(buttons, cancel,
    h("a", { class: "button", href: `/api/runs/${encodeURIComponent(id)}/download`, download: `${id}.zip` }, t("download")),
    h("a", { class: "button", href: `#/new/${encodeURIComponent(id)}` }, t("again")));

  function head(status, progress = "") {
    fill(state, badge(status, progress));
    const [done, all] = progress.split("/").map(Number);
    bar.hidden = ENDED.includes(status);
    if (all) bar.value = done / all; else bar.removeAttribute("value");
    if (bar.hidden && cancel === document.activeElement) title.focus({ preventScroll: true });
    cancel.hidden = bar.hidden;
  }

  // One request for each file, however often its entity is drawn.
  function textOf(entity) {
    if (isMedia(entity)) return "";
    if (!known.has(entity.filename)) {
      const asked = entityText(entity);
      known.set(entity.filename, asked);
      asked.catch(() => { if (known.get(entity.filename) === asked) known.delete(entity.filename); });
    }
    return known.get(entity.filename);
  }

  async function draw() {
    // Entities may come while texts are on their way: this draws what was there at its start, and only if it is the latest.
    const mine = ++drawing, now = entities.slice();
    let texts;
    try {
      texts = await Promise.all(now.map(textOf));
    } catch (error) {
      if (alive && mine === drawing) toast(error.status ? told(error) : t("lost"));
      return;
    }
    if (!alive || mine !== drawing) return;
    let before = null, codes = []; // of the verdict that an error or the run's reason repeats
    const links = [];
    now.forEach((e, n) => {
      if (isMedia(e)) return;
      links.push(chainItem(e, texts[n], TEXTS.includes(e.type) ? before : null, codes));
      if (e.type.startsWith("safety") || e.type === "error") codes = codesOf(texts[n]) ?? codes;
      if (TEXTS.includes(e.type)) before = texts[n];
    });
    // What is there stays: a text never changes, and somebody may be reading it or stand on its button.
    if (links.length < chain.children.length) fill(chain);
    chain.append(...links.slice(chain.children.length));
    reasons = codes;
    const why = facts.querySelector("[data-reason]");
    if (why) why.textContent = said(why.dataset.reason, codes);
    const shown = now.filter(isMedia);
    if (shown.length < media.children.length) fill(media);
    media.append(...shown.slice(media.children.length).map((e) => h("figure", {}, mediaNode(e, e.type === "input_image" ? "" : before ?? ""))));
  }

  async function record() {
    const found = await get(`/api/runs/${encodeURIComponent(id)}`);
    if (!alive) return;
    title.textContent = found.config_name;
    titled(found.config_name, t(found.status));
    head(found.status, found.current_state.progress);
    const old = facts.querySelector("details"), stood = old?.contains(document.activeElement);
    const raw = h("details", { open: old?.open }, h("summary", {}, t("metadata")), h("pre", { tabindex: "0" }, JSON.stringify(found, null, 2)));
    fill(facts, h("h2", {}, t("details")), details(found, reasons), raw);
    if (stood) raw.querySelector("summary").focus({ preventScroll: true });
  }

  function listen() {
    source = new EventSource(`${runPath(id)}/events`);
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    on("started", (data) => { title.textContent = data.config_name; record().catch(() => {}); });
    on("reset", () => { drawing += 1; entities = []; known.clear(); fill(chain); fill(media); });
    on("queue", ({ place, minutes }) => { head("queued"); moving.textContent = t("place", { place, minutes }); });
    on("entity", (entity) => {
      entities.push(entity);
      if (entity.preview && entity.preview.length < 1990) known.set(entity.filename, entity.preview);
      draw();
    });
    on("state", (data) => { head(data.status, data.progress); moving.textContent = ENDED.includes(data.status) ? "" : `${t("working")}: ${stepWord(data.step)}`; });
    on("progress", (data) => {
      const part = data.maximum ? ` ${Math.round((100 * data.value) / data.maximum)} %` : "";
      moving.textContent = `${t("working")}: ${data.title || stepWord(data.step)}${part}${data.text ? ` — ${data.text.slice(-160)}` : ""}`;
    });
    on("ended", () => { source.close(); moving.textContent = ""; record().catch(() => {}); });
    source.onerror = () => { if (source.readyState === EventSource.CLOSED && alive) { moving.textContent = t("lost"); timer = setTimeout(listen, 3000); entities = []; } };
  }

  get(`${runPath(id)}/status`).then((found) => {
    if (!alive) return;
    title.textContent = found.config_name;
    head(found.status, found.current_state.progress);
    listen();
  }).catch((error) => { if (alive) { titled(); fill(main, h("h1", { class: "empty" }, error.status === 404 ? t("gone") : told(error))); } });
  return () => { alive = false; clearTimeout(timer); source?.close(); narrow.removeEventListener("change", place); };
}
