// The live page of one run. All recorded text goes in through textContent, never through markup.

const MARKS = { waiting: "○", running: "◐", completed: "✓", blocked: "■", failed: "✗", cancelled: "–", skipped: "·" };

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function seconds(value) {
  if (value < 60) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)} min ${String(Math.floor(value % 60)).padStart(2, "0")} s`;
}

function pill(word, kind) {
  return make("span", `aipm-pill ${kind || word.replace(/\W+/g, "-")}`, word);
}

function skeleton(el) {
  const root = make("section", "aipm");
  root.dataset.lmSuppressShortcuts = "true"; // keys on the button are the button's, not JupyterLab's
  const part = {};
  const add = (key, tag, name, parent = root) => parent.appendChild((part[key] = make(tag, name)));
  add("head", "div", "aipm-head");
  add("title", "span", "aipm-title", part.head);
  add("status", "span", "", part.head);
  add("facts", "span", "aipm-facts", part.head);
  add("time", "span", "aipm-time", part.head);
  add("cancel", "button", "aipm-cancel", part.head);
  part.cancel.type = "button";
  part.cancel.textContent = "Cancel";
  add("stages", "ol", "aipm-stages");
  part.stages.setAttribute("aria-label", "Stages");
  add("now", "div", "aipm-now");
  add("activity", "span", "aipm-activity", part.now);
  part.activity.setAttribute("role", "status");
  add("bar", "progress", "aipm-bar", part.now);
  part.bar.max = 1;
  part.bar.setAttribute("aria-label", "Progress of the media generation");
  add("detail", "span", "aipm-facts", part.now);
  add("body", "div", "aipm-body");
  add("chain", "div", "aipm-chain", part.body);
  add("items", "div", "", part.chain);
  add("stream", "div", "aipm-stream", part.chain);
  part.stream.dir = "auto";
  add("media", "div", "aipm-media", part.body);
  add("preview", "img", "aipm-preview", part.media);
  part.preview.alt = "Unfinished picture";
  part.preview.hidden = true;
  add("notices", "ul", "aipm-notices");
  add("stop", "div", "aipm-note");
  el.replaceChildren(root);
  part.root = root;
  return part;
}

function drawStages(part, stages) {
  part.stages.hidden = !stages.length;
  while (part.stages.children.length < stages.length) {
    const item = part.stages.appendChild(make("li"));
    item.append(make("span", "aipm-mark"), make("span", "aipm-name"), make("span", "aipm-facts"));
    item.firstChild.setAttribute("aria-hidden", "true");
  }
  stages.forEach((stage, index) => {
    const item = part.stages.children[index];
    item.className = stage.state;
    item.setAttribute("aria-current", stage.state === "running" ? "step" : "false");
    item.children[0].textContent = MARKS[stage.state] || "·";
    item.children[1].textContent = stage.name;
    item.children[2].textContent = stage.state + (stage.seconds >= 0.05 ? ` · ${seconds(stage.seconds)}` : "");
  });
}

function drawItem(item) {
  const kind = { safe: "safe", blocked: "unsafe" }[item.verdict] || (item.kind === "error" ? "error" : "");
  const node = make("div", `aipm-step ${kind}`);
  const label = node.appendChild(make("div", "aipm-label"));
  label.append(make("b", "", item.label));
  if (item.verdict) label.append(pill(item.verdict, kind || "off"));
  if (item.note) label.append(make("span", "", item.note));
  if (item.text) {
    const text = node.appendChild(make("div", "aipm-text", item.text));
    text.dir = "auto";
  }
  return node;
}

function drawFigure(item) {
  const figure = make("figure");
  if (item.source) {
    const picture = figure.appendChild(make("img"));
    picture.alt = item.alt;
    picture.src = item.source;
  }
  figure.append(make("figcaption", "", item.filename));
  return figure;
}

function render({ model, el }) {
  const part = skeleton(el);
  let received = performance.now();
  let address = "";
  let asked = false;
  let late = false;

  function drawTime() {
    const view = model.get("view");
    const more = (performance.now() - received) / 1000;
    part.time.textContent = view.elapsed === undefined ? "" : seconds(view.elapsed + more);
    const since = view.step_elapsed + more;
    const step = view.activity ? `${view.activity}${since >= 3 ? `, ${seconds(since)}` : ""}` : "";
    part.activity.textContent = [step, view.service && `(${view.service})`].filter(Boolean).join(" ");
  }

  function drawView() {
    const view = model.get("view");
    received = performance.now();
    const stages = view.stages || [];
    part.root.setAttribute("aria-label", `${stages.length ? "Run" : "Job"} ${view.run_id || ""} of ${view.config || ""}`);
    part.title.textContent = view.config || "run";
    part.status.replaceWith((part.status = pill(asked && view.status === "running" ? "cancelling" : view.status || "starting")));
    part.facts.textContent = [view.facts, view.done && `${view.done} recorded`].filter(Boolean).join(" · ");
    part.facts.title = view.run_id || "";
    drawStages(part, stages);
    part.detail.textContent = view.detail || "";
    part.bar.hidden = view.fraction === null || view.fraction === undefined;
    if (!part.bar.hidden) part.bar.value = view.fraction;
    part.cancel.hidden = !view.can_cancel;
    part.stop.textContent = asked && late ? "The kernel is busy with a cell and takes this only now and then: interrupt the kernel (■ in the toolbar) to stop at once." : "";
    part.notices.replaceChildren(...(view.notices || []).map((text) => make("li", "", text)));
    drawTime();
  }

  function drawItems() {
    const items = model.get("items") || [];
    const media = (item) => item.kind === "image" || item.kind === "media";
    part.items.replaceChildren(...items.filter((item) => !media(item)).map(drawItem));
    part.media.replaceChildren(...items.filter(media).map(drawFigure), part.preview);
  }

  function drawStream() {
    part.stream.textContent = model.get("stream");
    part.stream.hidden = !part.stream.textContent;
    part.stream.scrollTop = part.stream.scrollHeight;
  }

  function drawPreview() {
    const data = model.get("preview");
    if (address) URL.revokeObjectURL(address);
    address = "";
    part.preview.hidden = !data || !data.byteLength;
    if (part.preview.hidden) return;
    address = URL.createObjectURL(new Blob([data], { type: model.get("view").preview_mime || "image/jpeg" }));
    part.preview.src = address;
  }

  part.cancel.addEventListener("click", () => {
    asked = true;
    part.cancel.disabled = true;
    part.cancel.textContent = "Cancelling…";
    model.send({ type: "cancel" });
    setTimeout(() => { late = true; drawView(); }, 3000);
    drawView();
  });

  const drawings = { view: drawView, items: drawItems, stream: drawStream, preview: drawPreview };
  for (const [name, draw] of Object.entries(drawings)) {
    model.on(`change:${name}`, draw);
    draw();
  }
  const clock = setInterval(drawTime, 200);
  return () => {
    clearInterval(clock);
    if (address) URL.revokeObjectURL(address);
    for (const [name, draw] of Object.entries(drawings)) model.off(`change:${name}`, draw);
  };
}

export default { render };
