// The list of runs: cards with thumbnails, filters, live runs moving, selection for comparing.
import { get, runPath } from "./api.js";
import { fill, h, titled } from "./dom.js";
import { number, t, told, when } from "./words.js";

const STATES = ["completed", "running", "blocked", "failed", "cancelled", "interrupted"];
const MEDIA = ["image", "audio", "music", "video", "3d", "code", "text"];
const MORE = ["mode", "safety", "media", "tag", "participant", "study", "since", "until"];
const kept = { q: "", config: "", status: "", ...Object.fromEntries(MORE.map((name) => [name, ""])) };
const selected = new Set();
const ready = () => selected.size >= 2 && selected.size <= 4;
const comparison = () => `#/compare/${[...selected].join(",")}`;
/** From a card straight to the comparison: the way by Tab leads past all cards between. */
function compareSelected() { if (ready()) location.hash = comparison(); }

export function card(run, mark) {
  const words = () => h("div", { class: "words", dir: "auto", "aria-hidden": "true" }, run.prompt || run.text || run.config_name);
  const picture = run.thumbnail
    ? h("img", { src: `${runPath(run.run_id)}/thumbnail?size=320`, alt: "", loading: "lazy", decoding: "async",
      onerror: (event) => event.target.replaceWith(words()) })
    : words();
  const box = mark && h("label", { class: "mark" },
    h("input", { type: "checkbox", checked: selected.has(run.run_id), "aria-label": `${t("select")}: ${run.config_name}, ${(run.text || "—").slice(0, 60)}, ${when(run.timestamp)}`,
      onkeydown: (event) => { if (event.key === "Enter") compareSelected(); },
      onchange: (event) => mark(run.run_id, event.target.checked) }));
  return h("li", { class: "card", "data-run": run.run_id, "data-status": run.status },
    h("a", { href: `#/run/${encodeURIComponent(run.run_id)}` },
      h("div", { class: "picture" }, picture),
      h("div", { class: "caption" },
        h("strong", { title: run.config_name }, run.config_name),
        h("p", { dir: "auto" }, run.text || "—"),
        h("div", { class: "line" }, h("time", { datetime: run.timestamp }, when(run.timestamp)), badge(run.status, run.progress)),
        run.tags.length ? h("div", { class: "tags faint" }, run.tags.join(" · ")) : null)),
    box);
}

export function badge(status, progress) {
  return h("span", { class: `badge ${status}` }, t(status), status === "running" && progress && !progress.endsWith("/0") ? ` ${progress}` : "");
}

const FEW = 12; // a page with fewer hits is followed by the next one at once
const MANY = 2000; // runs that were looked through before the page says how many
const TYPED = new Set(["q", "tag", "participant", "study"]);

export function showList(main, session) {
  const cards = h("ul", { class: "cards", "aria-label": t("runs") });
  const note = h("p", { class: "empty", role: "status" });
  const line = h("ol", { class: "waiting", "aria-label": t("queued") });
  const drawLine = (queued) => fill(line, (queued ?? []).map((run) => h("li", {},
    h("a", { href: `#/run/${encodeURIComponent(run.run_id)}` }, h("strong", {}, run.config_name), " ", h("span", { dir: "auto" }, run.text || "—")),
    " ", badge("queued"), " ", h("span", { class: "faint" }, t("place", { place: run.place, minutes: number(run.minutes, 1) })))));
  const more = h("button", { type: "button", class: "more", onclick: () => load() }, t("more"));
  const total = h("span", { class: "faint", role: "status" });
  const count = (page) => {
    const filtered = Object.values(kept).some(Boolean), word = !filtered ? "total" : page.hits_exact ? "hits" : "hitsAtLeast";
    const text = t(word, { n: number(filtered ? page.hits : page.total), all: number(page.total) });
    if (total.textContent !== text) total.textContent = text; // a screen reader tells each change
  };
  const bar = h("div", { class: "selection", role: "region", "aria-label": t("compare") });
  // In steps of five, so that a screen reader is not told of every page.
  const looking = (page) => looked > MANY ? t("lookedAt", { n: 5 * Math.min(20, Math.floor(20 * looked / page.total)), all: number(page.total) }) : t("looking");
  const say = (text) => { if (note.textContent !== text) note.textContent = text; };
  let cursor = "", looked = 0, stale = true, busy = null, alive = true, timer = 0, typing = 0;

  const chosen = h("span", { role: "status" }), choices = h("span", { class: "choices" });
  const mark = (id, on) => { if (on) selected.add(id); else selected.delete(id); bars(); };
  function bars() {
    bar.classList.toggle("shown", selected.size > 0);
    fill(chosen, selected.size ? t("selected", { n: selected.size }) : "", ready() ? h("span", { class: "unseen" }, ` ${t("enterCompares")}`) : null);
    fill(choices,
      ready() ? h("a", { class: "button", href: comparison() }, t("compare")) : h("span", { class: "faint" }, t("compareHint")),
      h("button", { type: "button", class: "quiet", onclick: () => { selected.clear(); for (const b of cards.querySelectorAll("input")) b.checked = false; bars(); main.focus({ preventScroll: true }); } }, t("clear")));
  }

  async function load(anew = false) {
    if (busy && !anew) return;
    anew ||= stale; // the last look for another filter failed: what is listed belongs to the one before
    stale = anew;
    busy?.abort();
    const mine = busy = new AbortController();
    const asked = document.activeElement === more, before = cards.children.length;
    more.setAttribute("aria-disabled", "true"); // not disabled: that would take the focus away
    if (anew || !looked) note.textContent = t("looking");
    try {
      const page = await get("/api/runs", { ...kept, cursor: anew ? "" : cursor, limit: 48 }, mine.signal);
      if (anew) { fill(cards); drawLine(page.queued); looked = 0; }
      looked += page.scanned;
      cards.append(...page.runs.map((run) => card(run, mark)));
      cursor = page.next;
      stale = false;
      if (asked && !anew) cards.children[before]?.querySelector("a").focus({ preventScroll: true });
      more.hidden = !cursor;
      count(page);
      const on = cursor && page.runs.length < FEW;
      say(on ? looking(page) : cards.children.length ? "" : cursor ? t("looking") : t(Object.values(kept).some(Boolean) ? "noneFit" : "none"));
      if (on && alive) { busy = null; await load(); }
      // An observer tells of changes only; the end of the list may be in sight still, or have come while this was loading.
      seen.unobserve(more);
      if (alive) seen.observe(more);
    } catch (error) {
      if (error.name !== "AbortError") note.textContent = error.status ? told(error) : t("lost");
    } finally {
      if (busy === mine) busy = null;
      more.removeAttribute("aria-disabled");
    }
  }

  // Runs that moved out of the newest ones, or no longer fit the filter because they ended.
  async function follow(fresh) {
    const moving = [...cards.querySelectorAll('[data-status="running"]')].filter((c) => !fresh.has(c.dataset.run)).slice(0, 24);
    await Promise.all(moving.map(async (old) => {
      const now = await get(`${runPath(old.dataset.run)}/status`).catch(() => null);
      if (!alive || !now || old.contains(document.activeElement)) return;
      if (kept.status && now.status !== kept.status) { old.remove(); return; }
      old.dataset.status = now.status;
      old.querySelector(".badge").replaceWith(badge(now.status, now.current_state.progress));
    }));
  }

  async function refresh() {
    try {
      const page = await get("/api/runs", { ...kept, limit: 24 });
      if (!alive) return;
      if (!line.contains(document.activeElement)) drawLine(page.queued);
      for (const run of page.runs.reverse()) {
        const old = cards.querySelector(`[data-run="${CSS.escape(run.run_id)}"]`);
        if (old && old.dataset.status === run.status && run.status !== "running") continue;
        if (old?.contains(document.activeElement)) continue;
        const fresh = card(run, mark);
        if (old) old.replaceWith(fresh); else { fresh.classList.add("new"); cards.prepend(fresh); }
      }
      await follow(new Set(page.runs.map((run) => run.run_id)));
      if (!alive) return;
      count(page);
      if (cards.children.length) note.textContent = "";
    } catch { /* the next look tries again */ }
    if (alive) timer = setTimeout(refresh, document.hidden ? 15000 : 2500);
  }

  const change = (name) => (event) => {
    kept[name] = event.target.value;
    clearTimeout(typing);
    typing = setTimeout(() => load(true), TYPED.has(name) ? 300 : 0);
    clear.hidden = !MORE.some((name) => kept[name]);
  };
  const option = (value, label, now) => h("option", { value, selected: value === now }, label);
  const configs = h("select", { "aria-label": t("config"), onchange: change("config") }, option("", t("all"), kept.config));
  get("/api/schemas").then(({ schemas }) => configs.append(...schemas.map((s) => option(s.name, s.name, kept.config)))).catch(() => {});
  const choose = (name, values) => h("label", {}, h("span", {}, t(name === "safety" ? "level" : name)),
    h("select", { "data-filter": name, onchange: change(name) }, option("", t("all"), kept[name]), values.map((v) => option(v, v, kept[name]))));
  const typed = (name, type = "text") => h("label", {}, h("span", {}, t(name)),
    h("input", { type, "data-filter": name, value: kept[name], maxlength: 200, [type === "date" ? "onchange" : "oninput"]: change(name) }));
  const clear = h("button", { type: "button", class: "quiet small", hidden: !MORE.some((name) => kept[name]), onclick: () => {
    for (const name of MORE) kept[name] = "";
    for (const field of extra.querySelectorAll("[data-filter]")) field.value = "";
    clear.hidden = true;
    load(true);
  } }, t("clearFilters"));
  const extra = h("details", { class: "extra", open: MORE.some((name) => kept[name]) }, h("summary", {}, t("moreFilters")),
    h("div", { class: "filters" }, choose("mode", ["eco", "fast", "embedded", "echo"]), choose("safety", ["kids", "youth", "adult", "off"]),
      choose("media", MEDIA), typed("tag"), session?.role === "visitor" ? null : typed("participant"), typed("study"),
      typed("since", "date"), typed("until", "date"), clear));
  fill(main,
    h("div", { class: "head" }, h("h1", {}, t("runs")), total),
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", { class: "wide" }, h("span", { class: "unseen" }, t("search")),
        h("input", { type: "search", placeholder: t("search"), value: kept.q, oninput: change("q") })),
      h("label", {}, h("span", {}, t("config")), configs),
      h("label", {}, h("span", {}, t("status")), h("select", { "aria-label": t("status"), onchange: change("status") }, option("", t("all"), kept.status),
        STATES.map((s) => option(s, t(s), kept.status)))), extra),
    line, bar, cards, note, more); // the bar before the cards: behind them, of which there are ever more, nobody reaches it
  fill(bar, chosen, choices);
  titled(t("runs"));
  bars();
  const seen = new IntersectionObserver((entries) => { if (entries.at(-1).isIntersecting && cursor) load(); }, { rootMargin: "600px" });
  load(true).then(() => { if (alive) timer = setTimeout(refresh, 2500); });
  return () => { alive = false; clearTimeout(timer); clearTimeout(typing); seen.disconnect(); busy?.abort(); };
}
