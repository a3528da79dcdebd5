// Two to four runs side by side; differences count from the first.
import { entityText, get, runPath } from "./api.js";
import { diffNodes } from "./diff.js";
import { fill, h, titled } from "./dom.js";
import { badge } from "./list.js";
import { isMedia, mediaNode, verdictItem } from "./run.js";
import { number, t, told } from "./words.js";

const ROWS = ["input", "translation", "interception", "interception_edit"];

async function read(id) {
  const [record, { entities }] = await Promise.all([get(`/api/runs/${encodeURIComponent(id)}`), get(`${runPath(id)}/entities`)]);
  const texts = {};
  await Promise.all(ROWS.map(async (type) => {
    const found = entities.filter((e) => e.type === type);
    if (found.length) texts[type] = (await Promise.all(found.map((e) => entityText(e)))).join("\n\n");
  }));
  const verdicts = await Promise.all(entities.filter((e) => e.type === "safety" || e.type === "safety_pre_output")
    .map(async (e) => ({ type: e.type, text: await entityText(e) })));
  return { id, record, entities, texts, verdicts };
}

export function showCompare(main, ids) {
  let alive = true;
  titled(t("compare"));
  const back = h("a", { class: "back", href: "#/" }, `← ${t("back")}`);
  if (ids.length < 2 || ids.length > 4) {
    fill(main, back, h("p", { class: "empty" }, t("compareHint")));
    return () => {};
  }
  fill(main, back, h("p", { class: "empty" }, t("looking")));
  Promise.all(ids.map(read)).then((runs) => {
    if (!alive) return;
    const [first] = runs;
    const models = (run) => Object.entries(run.record.models ?? {}).map(([task, model]) => h("div", {},
      h("span", { class: "faint" }, `${task}: `), run !== first && first.record.models?.[task] !== model ? h("strong", {}, model) : model));
    const column = (run) => h("section", { class: "column", "aria-label": run.record.config_name },
      h("h2", {}, h("a", { href: `#/run/${encodeURIComponent(run.id)}` }, run.record.config_name)),
      h("p", { class: "faint" }, badge(run.record.status), ` ${t("seed")} ${run.record.seed ?? "—"} · ${run.record.seconds === null ? "—" : number(run.record.seconds, 1)} s`),
      run.entities.filter(isMedia).map((e) => h("figure", {}, mediaNode(e, run.texts.interception_edit ?? run.texts.interception ?? run.texts.input))),
      h("h3", {}, t("models")), h("div", { class: "models" }, models(run), h("div", {}, h("span", { class: "faint" }, `${t("level")}: `), run.record.safety_level,
        h("span", { class: "faint" }, ` · ${t("mode")}: `), run.record.execution_mode)),
      run.verdicts.length ? [h("h3", {}, t("verdicts")), h("ol", { class: "chain" }, run.verdicts.map((v) => verdictItem(t(v.type), v.text)))] : null,
      ROWS.filter((type) => run.texts[type]).map((type) => [h("h3", {}, t(type)),
        h("p", { class: "prompt", dir: "auto" }, run === first || !first.texts[type] ? run.texts[type] : diffNodes(first.texts[type], run.texts[type]))]));
    fill(main, back, h("h1", {}, t("compare")), h("div", { class: `side side-${runs.length}` }, runs.map(column)));
  }).catch((error) => { if (alive) fill(main, back, h("p", { class: "empty" }, told(error))); });
  return () => { alive = false; };
}
