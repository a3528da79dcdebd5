// The page of a rater, in a cell or packed into one file. Texts go in through textContent, never through markup.

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** host: {task, done: Set, show(position), answer(position, answers, seconds, comment)}; it calls page.draw and page.saved. */
class Page {
  constructor(el, host) {
    this.host = host;
    this.position = -1;
    this.answers = {};
    this.before = null;
    this.given = new Map(); // position → what was answered here, for going back
    this.urls = [];
    this.root = make("section", "aipr");
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.tabIndex = 0;
    this.root.setAttribute("aria-label", "Rating. Numbers answer, Backspace goes back.");
    const head = this.root.appendChild(make("div", "aipr-head"));
    this.count = head.appendChild(make("span", "aipr-count"));
    this.count.setAttribute("role", "status");
    this.bar = head.appendChild(make("progress"));
    this.bar.setAttribute("aria-label", "Items rated");
    this.back = head.appendChild(make("button", "aipr-button", "Back"));
    this.back.type = "button";
    this.back.addEventListener("click", () => this.go(this.position - 1));
    this.alert = this.root.appendChild(make("div", "aipr-alert"));
    this.alert.setAttribute("role", "alert");
    this.stage = this.root.appendChild(make("div", "aipr-stage"));
    this.form = this.root.appendChild(make("div", "aipr-form"));
    this.note = this.root.appendChild(make("input", "aipr-note"));
    this.note.placeholder = "remark (optional)";
    this.note.setAttribute("aria-label", "Remark");
    this.root.addEventListener("keydown", (event) => this.key(event));
    el.append(this.root);
    this.next();
  }

  next() {
    let position = this.position + 1;
    while (position < this.host.task.count && this.host.done.has(position)) position += 1;
    if (position >= this.host.task.count) {
      position = [...Array(this.host.task.count).keys()].find((n) => !this.host.done.has(n)) ?? -1;
    }
    if (position < 0) this.finish();
    else this.go(position);
  }

  go(position) {
    if (position < 0 || position >= this.host.task.count) return;
    this.position = position;
    this.answers = {};
    this.note.value = "";
    this.say();
    this.host.show(position);
  }

  say() {
    const { count } = this.host.task;
    this.count.textContent = `${Math.min(this.position + 1, count)} of ${count} · ${this.host.done.size} rated`;
    this.bar.max = count || 1;
    this.bar.value = this.host.done.size;
    this.back.disabled = this.position <= 0;
  }

  draw(position, parts, pictures, given) {
    if (position !== this.position) return;
    const kept = this.given.get(position) || (given && Object.keys(given).length ? { answers: given, comment: "" } : null);
    this.before = kept ? { ...kept.answers } : null;
    this.answers = {};
    this.note.value = kept ? kept.comment : "";
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls = [];
    this.stage.replaceChildren(...parts.map((part, n) => this.part(part, pictures[n], n, parts.length)));
    this.alert.textContent = "";
    this.drawForm();
    this.began = performance.now();
    if (!this.root.contains(document.activeElement) || document.activeElement === this.note) this.root.focus({ preventScroll: true });
  }

  part(part, picture, number, of) {
    const figure = make("figure");
    if (part.name) figure.append(make("div", "aipr-name", part.name));
    if (part.input) figure.append(make("div", "aipr-input", part.input));
    if (picture && picture.byteLength) {
      const kind = (part.mime || "image/webp").split("/")[0];
      const word = { image: "picture", video: "film" }[kind] || "sound";
      const node = figure.appendChild(make({ image: "img", video: "video" }[kind] || "audio"));
      const name = of > 1 ? `${["left", "right"][number]} ${word}` : `${word} to rate`;
      if (kind === "image") node.alt = name;
      else this.player(node, name, of > 1 ? String(number + 1) : "Space", figure);
      this.urls.push((node.src = URL.createObjectURL(new Blob([picture], { type: part.mime || "image/webp" }))));
    } else {
      const text = figure.appendChild(make("div", "aipr-text", part.text));
      text.dir = "auto";
    }
    return figure;
  }

  player(node, name, key, figure) {
    node.controls = true;
    node.preload = "auto";
    node.setAttribute("aria-label", name);
    node.dataset.key = key;
    node.addEventListener("play", () => {
      for (const other of this.stage.querySelectorAll("audio, video")) if (other !== node) other.pause();
    });
    figure.append(make("div", "aipr-hint", `${key} plays`));
  }

  /** Plays what a key stands for, or stops it; false where the key means something else. */
  play(key) {
    const node = [...this.stage.querySelectorAll("audio, video")].find((n) => n.dataset.key === key);
    if (!node) return false;
    if (node.paused) node.play().catch(() => {});
    else node.pause();
    return true;
  }

  drawForm() {
    const { kind, criteria, scale } = this.host.task;
    this.form.replaceChildren();
    if (this.before) {
      const row = this.form.appendChild(make("div", "aipr-row aipr-before", "Your answer so far is marked; a new one replaces it. "));
      row.append(this.choice("Keep the rest (Enter)", () => this.keep()));
    }
    if (kind === "pairwise") {
      const row = this.form.appendChild(make("div", "aipr-row"));
      row.append(make("span", "aipr-question", `Which one: ${criteria[0]}?`));
      for (const [value, text] of [["left", "← left"], ["equal", "equal ↓"], ["right", "right →"]]) {
        const button = row.appendChild(this.choice(text, () => this.give(criteria[0], value)));
        button.setAttribute("aria-pressed", String(this.shown(criteria[0]) === value));
      }
      return;
    }
    for (const name of criteria) {
      const row = this.form.appendChild(make("div", "aipr-row"));
      row.setAttribute("role", "radiogroup");
      row.setAttribute("aria-label", name);
      row.classList.toggle("now", name === this.open());
      row.append(make("span", "aipr-question", name));
      for (let n = 1; n <= scale; n++) {
        const button = row.appendChild(this.choice(String(n), () => this.give(name, n)));
        button.setAttribute("role", "radio");
        button.setAttribute("aria-checked", String(this.shown(name) === n));
      }
    }
  }

  choice(text, work) {
    const button = make("button", "aipr-button", text);
    button.type = "button";
    button.addEventListener("click", work);
    return button;
  }

  /** What is marked: the answer given now, else the one from before. */
  shown(name) {
    return this.answers[name] ?? this.before?.[name];
  }

  keep() {
    this.answers = { ...this.before, ...this.answers };
    if (this.open() === undefined) this.submit();
  }

  open() {
    return this.host.task.criteria.find((name) => !(name in this.answers));
  }

  give(name, value) {
    this.answers[name] = value;
    if (this.open() === undefined) this.submit();
    else this.drawForm();
  }

  submit() {
    this.given.set(this.position, { answers: { ...this.answers }, comment: this.note.value.trim() });
    this.host.answer(this.position, this.answers, (performance.now() - this.began) / 1000, this.note.value.trim());
  }

  saved(position) {
    this.host.done.add(position);
    if (position === this.position) this.next();
    else this.say();
  }

  fail(text) {
    this.alert.textContent = text;
    this.answers = {};
    this.drawForm();
  }

  finish() {
    this.position = this.host.task.count;
    this.say();
    this.form.replaceChildren();
    this.stage.replaceChildren(make("p", "aipr-done", "Everything is rated. Thank you!"));
    this.host.finished?.(this);
  }

  key(event) {
    if (event.target === this.note || event.ctrlKey || event.metaKey || event.altKey) return;
    const { kind, criteria, scale } = this.host.task;
    const name = this.open();
    const arrows = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "equal" };
    if (event.key === "Backspace") this.position >= this.host.task.count ? this.go(this.host.task.count - 1) : this.go(this.position - 1);
    else if (this.position >= this.host.task.count || !this.form.firstChild) return;
    else if (!["BUTTON", "AUDIO", "VIDEO"].includes(event.target.tagName) && this.play(event.key === " " ? "Space" : event.key)) { /* it plays */ }
    else if (event.key === "Enter" && this.before && event.target.tagName !== "BUTTON") this.keep();
    else if (kind === "pairwise" && event.key in arrows) this.give(criteria[0], arrows[event.key]);
    else if (kind !== "pairwise" && name && Number(event.key) >= 1 && Number(event.key) <= scale) this.give(name, Number(event.key));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function render({ model, el }) {
  const host = {
    task: model.get("task"),
    done: new Set(model.get("done")),
    show: (position) => model.send({ type: "show", position }),
    answer: (position, answers, seconds, comment) => model.send({ type: "answer", position, answers, seconds, comment }),
  };
  const page = new Page(el, host);
  const received = (content, buffers) => {
    if (content.type === "item") page.draw(content.position, content.parts, buffers, content.given);
    else if (content.type === "saved") page.saved(content.position);
    else if (content.type === "error") page.fail(content.message);
  };
  model.on("msg:custom", received);
  return () => model.off("msg:custom", received);
}

/** The packed page: everything is in `data`, answers stay in the browser until they are saved as a file. */
function mountPacked(el, data) {
  const place = `aipipe-rating:${data.name}:${data.rater}`;
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(place) || "{}");
  } catch {
    kept = {}; // a browser that keeps nothing for files; the answers live until the page is closed
  }
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  let page = null;
  const host = {
    task: data.task,
    done: new Set(data.items.flatMap((item, n) => (kept[item.token] ? [n] : []))),
    show: (position) => queueMicrotask(() => page.draw(position, data.items[position].parts, data.items[position].pictures.map(bytes), kept[data.items[position].token]?.answers)),
    answer: (position, answers, seconds, comment) => {
      kept[data.items[position].token] = { token: data.items[position].token, position, answers, seconds, comment, at: Date.now() };
      try {
        localStorage.setItem(place, JSON.stringify(kept));
      } catch {
        page.alert.textContent = "This browser keeps nothing: save the answers before closing the page.";
      }
      page.saved(position);
    },
  };
  const save = make("button", "aipr-button", "Save answers");
  save.type = "button";
  save.addEventListener("click", () => {
    const document_ = { task: data.name, rater: data.rater, answers: Object.values(kept) };
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(document_)], { type: "application/json" }));
    link.download = `${data.name}-${data.rater}.json`;
    link.click();
  });
  page = new Page(el, host);
  page.root.firstChild.append(save);
}

/** The page behind a link: items and answers travel one by one; `base` is the page's own address. */
async function mountServed(el, base) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  let page = null;
  async function ask(path, body) {
    const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(`${base}${path}`, options);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error || `The server answered ${answer.status}.`);
    return found;
  }
  const told = (error) => (page ? page.fail(`${error.message} Nothing was lost: try again.`) : el.replaceChildren(make("p", "aipr-alert", error.message)));
  try {
    const state = await ask("/state");
    page = new Page(el, {
      task: state.task,
      done: new Set(state.done),
      show: (position) => ask(`/items/${state.tokens[position]}`)
        .then(({ parts, pictures }) => page.draw(position, parts, pictures.map(bytes)), told),
      answer: (position, answers, seconds, comment) => ask(`/items/${state.tokens[position]}`, { answers, position, seconds, comment })
        .then(() => page.saved(position), told),
    });
  } catch (error) {
    told(error);
  }
}

export default { render, mountServed };
