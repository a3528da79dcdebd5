// Which view the address names; header; theme and language.
import { get } from "./api.js";
import { showCompare } from "./compare.js";
import { fill, h, store, stored, titled, toast } from "./dom.js";
import { showForm } from "./form.js";
import { showList } from "./list.js";
import { showRun } from "./run.js";
import { language, switchLanguage, t } from "./words.js";

const main = document.getElementById("main");
let leave = () => {};
let session = null;

const ROUTES = [
  [/^#?\/?$/, () => showList(main, session)],
  [/^#\/run\/([^/]+)$/, (id) => showRun(main, decodeURIComponent(id))],
  [/^#\/compare\/?(.*)$/, (ids) => showCompare(main, ids.split(",").filter(Boolean).map(decodeURIComponent))],
  [/^#\/new(?:\/([^/]+))?$/, (id) => showForm(main, session, id && decodeURIComponent(id))],
];

function header() {
  document.documentElement.lang = language;
  document.getElementById("skip").textContent = t("skip");
  const here = location.hash || "#/";
  const link = (to, word) => h("a", { href: to, "aria-current": here === to ? "page" : null }, t(word));
  fill(document.getElementById("nav"), link("#/", "runs"), link("#/new", "start"));
  const other = document.getElementById("language");
  other.textContent = t("other");
  other.lang = language === "de" ? "en" : "de";
  document.getElementById("theme").textContent = t(isDark() ? "light" : "dark");
}

async function show(event) {
  leave();
  leave = () => {};
  header();
  const match = ROUTES.map(([pattern, view]) => [pattern.exec(location.hash), view]).find(([found]) => found);
  if (!match) { titled(t("notFound")); fill(main, h("h1", { class: "empty" }, t("notFound"))); return; }
  leave = match[1](...match[0].slice(1)) ?? (() => {});
  if (event) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
}

const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
}

document.getElementById("language").addEventListener("click", () => { switchLanguage(); show(); });
document.getElementById("theme").addEventListener("click", () => {
  const name = isDark() ? "light" : "dark";
  store("aipipe.theme", name);
  setTheme(name);
  header();
});
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
setTheme(stored("aipipe.theme", ""));

try {
  session = await get("/api/session");
  await show();
} catch (error) {
  header();
  fill(main, h("h1", { class: "empty" }, error.status === 401 ? t("token") : error.message));
  if (error.status !== 401) toast(t("lost"));
}
