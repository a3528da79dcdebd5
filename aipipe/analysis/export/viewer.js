"use strict";
const cards = [...document.querySelectorAll("article")];
const thumbs = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
const words = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
const [tools, search, count] = [".tools", ".tools input", ".tools output"].map((s) => document.querySelector(s));
const facets = [];

for (const name of ["config", "safety", "status", "media", "participant", "session"]) {
  const values = new Map();
  for (const card of cards)
    for (const value of JSON.parse(card.dataset[name])) values.set(value, (values.get(value) || 0) + 1);
  if (values.size < 2) continue;
  const select = document.createElement("select");
  select.setAttribute("aria-label", name);
  select.append(new Option(`any ${name}`, ""));
  for (const value of [...values.keys()].sort()) select.append(new Option(`${value} (${values.get(value)})`, value));
  select.addEventListener("change", narrow);
  count.before(select);
  facets.push([name, select]);
}

function narrow() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const fits = wanted.every((word) => words.get(card).includes(word))
      && facets.every(([name, select]) => !select.value || JSON.parse(card.dataset[name]).includes(select.value));
    card.hidden = !fits;
    if (thumbs.has(card.id)) thumbs.get(card.id).hidden = !fits;
    shown += fits;
  }
  count.textContent = `${shown} of ${cards.length}`;
}

function step(by) {
  const open = cards.filter((card) => !card.hidden);
  const here = open.indexOf(document.activeElement.closest("article") || document.querySelector("article:target"));
  const next = open[Math.min(Math.max(here < 0 ? 0 : here + by, 0), open.length - 1)];
  if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "start" }); }
}

search.addEventListener("input", narrow);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    search.value = ""; for (const [, select] of facets) select.value = "";
    narrow(); document.activeElement.blur();
  } else if (!event.target.closest("input, select, video, audio")) {
    if (event.key === "/") { event.preventDefault(); search.focus(); }
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
  }
});
// The first frame of a film is read when it comes near, so that a page of hundreds opens at once.
const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) if (isIntersecting) { target.preload = "metadata"; near.unobserve(target); }
}, { rootMargin: "300px" });
for (const film of document.querySelectorAll("video, audio")) near.observe(film);
tools.hidden = false;
narrow();
