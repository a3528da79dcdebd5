// A grid of runs that draws only what is in sight. All recorded text goes in through textContent, never through markup.

const CELL = { width: 152, height: 206 };
const KEEP = 1500; // pictures held by the page
const FLAGS = ["all", "starred", "not excluded", "excluded", "selected"];
const SORTS = {
  "newest first": (d) => (a, b) => d.time[b] - d.time[a],
  "oldest first": (d) => (a, b) => d.time[a] - d.time[b],
  config: (d) => (a, b) => d.config.codes[a] - d.config.codes[b] || d.time[b] - d.time[a],
  text: (d) => (a, b) => (d.text[a] < d.text[b] ? -1 : d.text[a] > d.text[b] ? 1 : 0),
  "longest first": (d) => (a, b) => (d.seconds[b] || 0) - (d.seconds[a] || 0),
  "as given": () => (a, b) => a - b,
};

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function control(tag, label, name) {
  const node = make(tag, name);
  node.setAttribute("aria-label", label);
  node.title = label;
  return node;
}

function select(label, options) {
  const node = control("select", label, "aipg-select");
  for (const [value, text] of options) {
    const option = node.appendChild(make("option", "", text));
    option.value = value;
  }
  return node;
}

async function unpack(view) {
  if (!view || !view.byteLength) return null;
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function moment(seconds) {
  return seconds ? new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") : "";
}

class Gallery {
  constructor(model, el) {
    this.model = model;
    this.pictures = new Map(); // row → {url, note}; oldest first
    this.asked = new Set();
    this.chosen = new Set(model.get("chosen"));
    this.shown = [];
    this.cells = new Map();
    this.cursor = 0;
    this.anchor = 0;
    this.open = -1;
    this.root = make("section", "aipg");
    this.root.setAttribute("aria-label", "Gallery of runs");
    this.root.dataset.lmSuppressShortcuts = "true"; // JupyterLab would cut the notebook's cell at "x"
    el.replaceChildren(this.root);
  }

  async start() {
    this.data = await unpack(this.model.get("rows"));
    if (!this.data) {
      this.root.append(make("p", "aipg-note", "No runs."));
      return;
    }
    const d = this.data;
    this.search = d.id.map((id, i) => `${d.text[i]}\n${d.prompt[i]}\n${id}`.toLowerCase());
    this.toolbar();
    this.layout();
    this.received = (content, buffers) => this.message(content, buffers);
    this.model.on("msg:custom", this.received);
    this.filter();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.port);
  }

  stop() {
    this.observer?.disconnect();
    if (this.received) this.model.off("msg:custom", this.received);
    for (const picture of this.pictures.values()) if (picture.url) URL.revokeObjectURL(picture.url);
  }

  toolbar() {
    const d = this.data;
    const bar = this.root.appendChild(make("div", "aipg-bar"));
    this.text = control("input", "Search texts and ids", "aipg-search");
    this.text.type = "search";
    this.text.placeholder = "search texts ( / )";
    this.selects = {};
    bar.append(this.text);
    for (const name of ["config", "level", "mode", "status"]) {
      const values = d[name].values;
      const node = select(`Filter by ${name}`, [["", `any ${name}`], ...values.map((v, i) => [String(i), v || "(none)"])]);
      node.dataset.filter = name;
      node.hidden = values.length < 2;
      this.selects[name] = bar.appendChild(node);
    }
    this.tag = bar.appendChild(select("Filter by tag", [["", "any tag"]]));
    this.tag.dataset.filter = "tag";
    this.flag = bar.appendChild(select("Filter by mark", FLAGS.map((f) => [f, f === "all" ? "any mark" : f])));
    this.flag.dataset.filter = "mark";
    this.since = bar.appendChild(control("input", "From this day (UTC)", "aipg-date"));
    this.until = bar.appendChild(control("input", "To this day (UTC)", "aipg-date"));
    this.since.type = this.until.type = "date";
    this.sort = bar.appendChild(select("Order", Object.keys(SORTS).map((s) => [s, s])));
    this.sort.dataset.filter = "order";
    this.sort.title = "Key: o";
    const filter = () => this.filter();
    let timer = 0;
    this.text.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
    for (const node of [...Object.values(this.selects), this.tag, this.flag, this.since, this.until, this.sort]) {
      node.addEventListener("change", filter);
    }
    this.drawTags();
  }

  drawTags() {
    const names = [...new Set(this.data.tags.flat())].sort();
    const now = this.tag.value;
    this.tag.replaceChildren(...["", ...names].map((name) => {
      const option = make("option", "", name || "any tag");
      option.value = name;
      return option;
    }));
    this.tag.value = names.includes(now) ? now : "";
    this.tag.hidden = !names.length;
  }

  layout() {
    const line = this.root.appendChild(make("div", "aipg-line"));
    this.count = line.appendChild(make("span", "aipg-count"));
    this.count.setAttribute("role", "status");
    const act = (text, key, work) => {
      const button = line.appendChild(make("button", "aipg-act", text));
      button.type = "button";
      button.title = `Key: ${key}`;
      button.addEventListener("click", () => work());
      return button;
    };
    act("Select all", "a", () => this.chooseAll());
    act("None", "Escape", () => this.chooseNone());
    act("★ Star", "s", () => this.star());
    act("Tag…", "t", () => this.ask("tag"));
    act("Exclude…", "x", () => this.exclude());
    this.form = this.root.appendChild(make("form", "aipg-form"));
    this.form.hidden = true;
    this.label = this.form.appendChild(make("label"));
    this.answer = this.label.appendChild(make("input"));
    this.form.append(make("button", "aipg-act", "Save"));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.answered(); });
    this.note = this.root.appendChild(make("div", "aipg-alert"));
    this.note.setAttribute("role", "alert");
    const stage = this.root.appendChild(make("div", "aipg-stage"));
    this.port = stage.appendChild(make("div", "aipg-port"));
    this.port.style.height = `${this.model.get("height")}px`;
    this.port.tabIndex = 0;
    this.port.setAttribute("role", "listbox");
    this.port.setAttribute("aria-multiselectable", "true");
    this.port.setAttribute("aria-label", "Runs. Arrow keys move, Enter opens, Space selects, s stars, t tags, x excludes, o changes the order.");
    this.sheet = this.port.appendChild(make("div", "aipg-sheet"));
    this.sheet.setAttribute("role", "presentation");
    this.panel = stage.appendChild(make("aside", "aipg-panel"));
    this.panel.hidden = true;
    this.panel.style.height = this.port.style.height;
    this.panel.setAttribute("aria-label", "Run");
    this.port.addEventListener("scroll", () => this.draw(), { passive: true });
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.sheet.addEventListener("click", (event) => this.click(event));
  }

  filter() {
    const d = this.data;
    const words = this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const codes = Object.entries(this.selects).filter(([, node]) => node.value !== "").map(([name, node]) => [d[name].codes, Number(node.value)]);
    const from = this.since.value ? Date.parse(this.since.value) / 1000 : -Infinity;
    const to = this.until.value ? Date.parse(this.until.value) / 1000 + 86400 : Infinity;
    const flag = this.flag.value;
    const tag = this.tag.value;
    const passes = (i) =>
      codes.every(([list, code]) => list[i] === code) && d.time[i] >= from && d.time[i] < to &&
      (!tag || d.tags[i].includes(tag)) &&
      (flag === "all" || (flag === "starred" && d.starred[i]) || (flag === "excluded" && d.excluded[i]) ||
        (flag === "not excluded" && !d.excluded[i]) || (flag === "selected" && this.chosen.has(i))) &&
      words.every((word) => this.search[i].includes(word));
    const current = this.shown[this.cursor];
    this.shown = [];
    for (let i = 0; i < d.id.length; i++) if (passes(i)) this.shown.push(i);
    this.shown.sort(SORTS[this.sort.value](d));
    this.cursor = Math.max(0, this.shown.indexOf(current));
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    this.port.scrollTop = 0;
    this.say();
    this.draw();
  }

  /** A mark may take a run out of what is filtered by marks; where the page stands stays. */
  marked() {
    if (this.flag.value === "all" && !this.tag.value) return this.draw();
    const top = this.port.scrollTop;
    this.filter();
    this.port.scrollTop = top;
  }

  say() {
    const total = this.data.id.length.toLocaleString("en");
    const selected = this.chosen.size ? ` · ${this.chosen.size.toLocaleString("en")} selected` : "";
    this.count.textContent = `${this.shown.length.toLocaleString("en")} of ${total} runs${selected}`;
  }

  get columns() {
    return Math.max(1, Math.floor(this.port.clientWidth / CELL.width));
  }

  draw() {
    const columns = this.columns;
    const width = Math.floor(this.port.clientWidth / columns);
    const rows = Math.ceil(this.shown.length / columns);
    this.sheet.style.height = `${rows * CELL.height}px`;
    const first = Math.max(0, Math.floor(this.port.scrollTop / CELL.height) - 1);
    const last = Math.min(rows, Math.ceil((this.port.scrollTop + this.port.clientHeight) / CELL.height) + 1);
    const wanted = new Map();
    for (let place = first * columns; place < Math.min(last * columns, this.shown.length); place++) {
      wanted.set(this.shown[place], place);
    }
    for (const [row, cell] of this.cells) {
      if (!wanted.has(row)) {
        cell.remove();
        this.cells.delete(row);
      }
    }
    for (const [row, place] of wanted) {
      let cell = this.cells.get(row);
      if (!cell) {
        cell = this.sheet.appendChild(this.cell(row));
        this.cells.set(row, cell);
      }
      cell.style.width = `${width}px`;
      cell.style.transform = `translate(${(place % columns) * width}px, ${Math.floor(place / columns) * CELL.height}px)`;
      cell.setAttribute("aria-posinset", place + 1);
      cell.setAttribute("aria-setsize", this.shown.length);
      this.mark(row, cell, place);
    }
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.request([...wanted.keys()]), 40);
  }

  cell(row) {
    const d = this.data;
    const cell = make("div", "aipg-cell");
    cell.dataset.row = row;
    cell.id = `aipg-${d.id[row]}`;
    cell.setAttribute("role", "option");
    const frame = cell.appendChild(make("div", "aipg-frame"));
    const status = d.status.values[d.status.codes[row]];
    if (status !== "completed") frame.append(make("span", `aipg-pill ${status}`, status));
    frame.append(make("span", "aipg-star"));
    cell.append(make("div", "aipg-name", d.config.values[d.config.codes[row]]), make("div", "aipg-text", d.text[row]));
    cell.lastChild.dir = "auto";
    cell.title = [moment(d.time[row]), d.seed[row] && `seed ${d.seed[row]}`, d.tags[row].join(", "), d.prompt[row]].filter(Boolean).join(" · ");
    this.paint(row, cell);
    return cell;
  }

  mark(row, cell, place) {
    const d = this.data;
    const chosen = this.chosen.has(row);
    cell.classList.toggle("chosen", chosen);
    cell.classList.toggle("excluded", Boolean(d.excluded[row]));
    cell.classList.toggle("cursor", place === this.cursor);
    cell.setAttribute("aria-selected", String(chosen));
    cell.querySelector(".aipg-star").textContent = d.starred[row] ? "★" : "";
    cell.setAttribute("aria-label", [d.config.values[d.config.codes[row]], d.status.values[d.status.codes[row]], d.starred[row] && "starred", d.excluded[row] && "excluded", d.text[row]].filter(Boolean).join(", "));
    if (place === this.cursor) this.port.setAttribute("aria-activedescendant", cell.id);
  }

  paint(row, cell) {
    const picture = this.pictures.get(row);
    const frame = cell.firstChild;
    frame.querySelector("img, .aipg-none")?.remove();
    if (!picture) return;
    if (picture.url) {
      const image = make("img");
      image.alt = this.data.prompt[row] || this.data.text[row] || this.data.id[row];
      image.src = picture.url;
      image.draggable = false;
      frame.prepend(image);
    } else {
      frame.prepend(make("div", "aipg-none", this.data.prompt[row] || picture.note));
    }
  }

  request(rows) {
    const missing = rows.filter((row) => !this.pictures.has(row) && !this.asked.has(row));
    if (!missing.length) return;
    for (const row of missing) this.asked.add(row);
    this.model.send({ type: "thumbs", rows: missing });
    clearTimeout(this.late);
    this.late = setTimeout(() => {
      if (this.asked.size) this.tell("Pictures wait for the kernel: it is busy with a cell, or gone.");
    }, 2500);
  }

  message(content, buffers) {
    if (content.type === "thumbs") {
      content.rows.forEach((row, k) => {
        const size = buffers[k] ? buffers[k].byteLength : 0;
        const url = size ? URL.createObjectURL(new Blob([buffers[k]], { type: "image/webp" })) : "";
        this.asked.delete(row);
        this.pictures.set(row, { url, note: content.notes[k] });
        const cell = this.cells.get(row);
        if (cell) this.paint(row, cell);
      });
      this.forget();
      if (!this.asked.size) this.tell("");
    } else if (content.type === "detail" && content.row === this.open) {
      this.drawPanel(content.detail, buffers[0], buffers[1]);
    } else if (content.type === "annotated") {
      content.rows.forEach((row, k) => {
        const [tags, starred, excluded] = content.changed[k];
        Object.assign(this.data.tags, { [row]: tags });
        this.data.starred[row] = Number(starred);
        this.data.excluded[row] = Number(excluded);
      });
      this.drawTags();
      this.tell("");
      this.marked();
    } else if (content.type === "error") {
      this.tell(content.message);
    }
  }

  forget() {
    for (const [row, picture] of this.pictures) {
      if (this.pictures.size <= KEEP) break;
      if (this.cells.has(row)) continue;
      if (picture.url) URL.revokeObjectURL(picture.url);
      this.pictures.delete(row);
    }
  }

  tell(text) {
    this.note.textContent = text;
  }

  choose(rows, on) {
    for (const row of rows) on ? this.chosen.add(row) : this.chosen.delete(row);
    this.model.set("chosen", [...this.chosen]);
    this.model.save_changes();
    this.say();
    this.draw();
  }

  chooseAll() { this.choose(this.shown, true); }
  chooseNone() { this.choose([...this.chosen], false); }

  /** What an act means: the selection, else the run under the cursor. */
  targets() {
    if (this.chosen.size) return [...this.chosen];
    return this.shown.length ? [this.shown[this.cursor]] : [];
  }

  annotate(act, value) {
    const rows = this.targets();
    if (!rows.length) return;
    this.model.send({ type: "annotate", act, value: value || "", rows });
  }

  star() {
    this.annotate(this.targets().every((row) => this.data.starred[row]) ? "unstar" : "star");
  }

  exclude() {
    if (this.targets().every((row) => this.data.excluded[row])) this.annotate("include");
    else this.ask("exclude");
  }

  ask(act) {
    this.act = act;
    this.form.hidden = false;
    this.label.firstChild.nodeType === 3 && this.label.firstChild.remove();
    this.label.prepend(document.createTextNode(act === "tag" ? "Tags, separated by commas: " : "Reason for excluding: "));
    this.answer.value = "";
    this.answer.focus();
  }

  answered() {
    const value = this.answer.value.trim();
    this.form.hidden = true;
    this.port.focus();
    if (value) this.annotate(this.act, value);
  }

  click(event) {
    const cell = event.target.closest(".aipg-cell");
    if (!cell) return;
    const row = Number(cell.dataset.row);
    const place = this.shown.indexOf(row);
    this.cursor = place;
    if (event.shiftKey) {
      this.choose(this.shown.slice(Math.min(this.anchor, place), Math.max(this.anchor, place) + 1), true);
    } else if (event.ctrlKey || event.metaKey) {
      this.choose([row], !this.chosen.has(row));
    } else {
      this.show(row);
    }
    if (!event.shiftKey) this.anchor = place;
    this.port.focus({ preventScroll: true });
    this.draw();
  }

  key(event) {
    if (event.target !== this.port) {
      if (event.key === "Enter" && event.target === this.answer) { event.preventDefault(); this.answered(); }
      if (event.key === "Escape") { this.form.hidden = true; this.close(); this.port.focus(); }
      return;
    }
    const page = this.columns * Math.max(1, Math.floor(this.port.clientHeight / CELL.height));
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const acts = {
      Enter: () => this.show(this.shown[this.cursor]),
      " ": () => this.choose([this.shown[this.cursor]], !this.chosen.has(this.shown[this.cursor])),
      s: () => this.star(), t: () => this.ask("tag"), x: () => this.exclude(), a: () => this.chooseAll(),
      o: () => { this.sort.selectedIndex = (this.sort.selectedIndex + 1) % this.sort.length; this.filter(); },
      "/": () => this.text.focus(),
      Escape: () => (this.open >= 0 ? this.close() : this.chooseNone()),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !this.shown.length && event.key !== "/") return;
    if (event.key in steps) this.move(steps[event.key], event.shiftKey);
    else if (event.key in acts) acts[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  move(step, extend) {
    const before = this.cursor;
    this.cursor = Math.min(this.shown.length - 1, Math.max(0, this.cursor + step));
    const top = Math.floor(this.cursor / this.columns) * CELL.height;
    if (top < this.port.scrollTop) this.port.scrollTop = top;
    if (top + CELL.height > this.port.scrollTop + this.port.clientHeight) this.port.scrollTop = top + CELL.height - this.port.clientHeight;
    if (extend) this.choose(this.shown.slice(Math.min(before, this.cursor), Math.max(before, this.cursor) + 1), true);
    else this.anchor = this.cursor;
    if (this.open >= 0) this.show(this.shown[this.cursor]);
    this.draw();
  }

  show(row) {
    this.open = row;
    this.model.send({ type: "detail", rows: [row] });
    if (this.panel.hidden) this.panel.replaceChildren(make("p", "aipg-note", "…"));
    this.panel.hidden = false;
    this.draw();
  }

  close() {
    this.open = -1;
    this.panel.hidden = true;
    this.draw();
  }

  drawPanel(run, picture, sound) {
    const head = make("div", "aipg-head");
    head.append(make("b", "aipg-title", run.config), make("span", `aipg-pill ${run.status}`, run.status));
    const shut = head.appendChild(make("button", "aipg-act", "Close"));
    shut.type = "button";
    shut.addEventListener("click", () => { this.close(); this.port.focus(); });
    const parts = [head];
    if (run.reason) parts.push(make("div", "aipg-step error", run.reason));
    if (this.played) URL.revokeObjectURL(this.played);
    this.played = null;
    const film = run.plays.startsWith("video");
    if (picture && picture.byteLength && !film) {
      if (this.large) URL.revokeObjectURL(this.large);
      const image = make("img", "aipg-large");
      image.src = this.large = URL.createObjectURL(new Blob([picture], { type: "image/webp" }));
      image.alt = (run.chain.filter((link) => link.text).pop() || { text: run.run_id }).text.slice(0, 200);
      parts.push(image);
    }
    if (sound && sound.byteLength) {
      const player = make(film ? "video" : "audio", film ? "aipg-large" : "aipg-sound");
      player.src = this.played = URL.createObjectURL(new Blob([sound], { type: run.plays }));
      player.controls = true;
      player.preload = "metadata";
      parts.push(player);
    }
    parts.push(...run.chain.map(drawLink), ...run.media.map((text) => make("div", "aipg-note", text)));
    const facts = make("dl", "aipg-facts");
    for (const [name, value] of [...run.facts, ["run", run.run_id], ["folder", run.folder]]) facts.append(make("dt", "", name), make("dd", "", value));
    parts.push(facts, folded("Steps", drawSteps(run.steps)), folded("metadata.json", make("pre", "", run.metadata)));
    this.panel.replaceChildren(...parts);
    this.panel.scrollTop = 0;
  }
}

function folded(title, body) {
  const node = make("details");
  node.append(make("summary", "", title), body);
  return node;
}

function drawLink(link) {
  const kind = link.verdict === "blocked" ? "unsafe" : link.verdict === "safe" ? "safe" : link.error ? "error" : "";
  const node = make("div", `aipg-step ${kind}`);
  const label = node.appendChild(make("div", "aipg-label"));
  label.append(make("b", "", link.label));
  if (link.verdict) label.append(make("span", `aipg-pill ${kind || "off"}`, link.verdict));
  label.append(...link.facts.map((fact) => make("span", "", fact)));
  if (link.note) node.append(make("div", "aipg-note", link.note));
  if (link.text) {
    const text = node.appendChild(make("div", "aipg-full", link.text));
    text.dir = "auto";
  }
  if (link.changed.length) {
    const changed = make("div", "aipg-full");
    changed.dir = "auto";
    for (const [mark, piece] of link.changed) changed.append(make({ "+": "ins", "-": "del", "=": "span" }[mark], "", piece));
    node.append(folded("what this changed", changed));
  }
  return node;
}

function drawSteps(steps) {
  const table = make("table");
  for (const step of steps) {
    const row = table.insertRow();
    for (const value of step) row.insertCell().textContent = value;
  }
  return table;
}

function render({ model, el }) {
  const gallery = new Gallery(model, el);
  gallery.start();
  return () => gallery.stop();
}

export default { render };
