// The monitor of one run. Everything recorded enters the page as text, never as HTML.

const MARKS = { waiting: "·", running: "▸", completed: "✓", blocked: "■", failed: "✗", cancelled: "–", interrupted: "–" };
const KINDS = { safe: "safe", blocked: "unsafe" };

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function stageView(stage) {
  const box = element("li", `aipm-stage ${stage.state}`);
  box.append(element("span", "aipm-mark", MARKS[stage.state] ?? "·"), element("span", "aipm-name", stage.name));
  if (stage.seconds >= 0.05) box.append(element("span", "aip-note", `${stage.seconds.toFixed(1)} s`));
  box.setAttribute("aria-label", `${stage.name}: ${stage.state}`);
  return box;
}

function entryView(entry) {
  const verdict = entry.type === "verdict";
  const kind = verdict ? KINDS[entry.verdict] ?? "off" : entry.type === "error" ? "error" : "";
  const box = element("div", `aip-step ${kind}`);
  const label = element("div", "aip-label");
  if (verdict) label.append(element("span", `aip-pill ${kind}`, entry.verdict), element("span", "", entry.method));
  else label.append(element("b", "", entry.type.replaceAll("_", " ")));
  box.append(label);
  if (entry.picture) {
    const image = element("img", "aipm-picture");
    image.src = entry.picture;
    image.alt = entry.type;
    box.append(image);
  } else if (entry.text) {
    const text = element("div", "aip-text", entry.text);
    text.dir = "auto";
    box.append(text);
  } else if (!verdict) box.append(element("div", "aip-note", entry.filename));
  return box;
}

function nodeView(node) {
  const box = element("div", "aipm-node");
  const known = node.maximum > 0;
  const bar = element("progress", "aipm-bar");
  if (known) { bar.max = node.maximum; bar.value = node.value; }
  bar.setAttribute("aria-label", node.title || "progress");
  const facts = [node.title, node.nodes, known ? `step ${node.value} of ${node.maximum}` : "",
    node.eta != null ? `${Math.round(node.eta)} s left` : ""].filter(Boolean).join(" · ");
  box.append(bar, element("span", "aip-note", facts));
  return box;
}

function render({ model, el }) {
  const root = element("div", "aip aipm");
  root.setAttribute("role", "group");
  const style = element("style", "", model.get("style_text"));
  const head = element("div", "aip-head");
  const title = element("span", "aip-title");
  const status = element("span", "aip-pill running");
  const facts = element("span", "aip-facts");
  const cancel = element("button", "aipm-cancel", "Cancel");
  cancel.type = "button";
  cancel.addEventListener("click", () => {
    cancel.disabled = true;
    cancel.textContent = "Cancelling …";
    model.send({ act: "cancel" });
  });
  head.append(title, status, facts, cancel);
  const stages = element("ol", "aipm-stages");
  const now = element("div", "aipm-now");
  now.setAttribute("role", "status");
  const stream = element("div", "aip-text aipm-stream");
  stream.dir = "auto";
  const preview = element("img", "aipm-picture");
  preview.alt = "preview of the unfinished picture";
  preview.hidden = true;
  const chain = element("div", "aip-chain");
  const notices = element("div", "aip-note");
  root.append(style, head, stages, now, stream, preview, notices, chain);
  el.append(root);
  let shown = 0;

  function update() {
    const state = model.get("state");
    root.setAttribute("aria-label", `run ${state.run_id}`);
    title.textContent = state.config;
    status.textContent = state.status;
    status.className = `aip-pill ${state.status}`;
    facts.textContent = [state.progress, state.mode, state.level, state.models].filter(Boolean).join(" · ");
    const running = state.status === "running";
    cancel.hidden = !running || !model.get("can_cancel");
    stages.replaceChildren(...state.stages.map(stageView));
    now.replaceChildren(...(state.node ? [nodeView(state.node)] : [document.createTextNode(state.now)]));
    stream.textContent = state.stream;
    notices.textContent = [...state.notices, state.message, state.hint].filter(Boolean).join(" · ");
    if (state.entities.length < shown) { chain.replaceChildren(); shown = 0; }
    for (const entry of state.entities.slice(shown)) {
      if (entry.picture) preview.hidden = true;
      chain.append(entryView(entry));
    }
    shown = state.entities.length;
  }

  let address = null;
  function showPreview() {
    const bytes = model.get("preview");
    if (!bytes || !bytes.byteLength) return;
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([bytes]));
    preview.src = address;
    preview.hidden = false;
  }

  model.on("change:state", update);
  model.on("change:preview", showPreview);
  update();
  showPreview();
  return () => {
    model.off("change:state", update);
    model.off("change:preview", showPreview);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
