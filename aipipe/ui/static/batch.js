// The live page of a batch: the kernel's own HTML (escaped there, without script), and buttons that speak to the batch.

const WORDS = [
  ["pause", "Pause", "Start no more cases; running ones come to their end"],
  ["resume", "Resume", "Go on"],
  ["drain", "Drain", "Let running cases come to their end, then end; the same plan again continues"],
  ["stop", "Stop", "End at once, in the middle of cases; the same plan again continues"],
];

function render({ model, el }) {
  const root = document.createElement("section");
  root.className = "aipb";
  root.dataset.lmSuppressShortcuts = "true"; // keys on a button are the button's, not JupyterLab's
  const bar = document.createElement("div");
  bar.className = "aipb-bar";
  const said = document.createElement("span");
  said.className = "aipb-said";
  said.setAttribute("role", "status");
  const buttons = WORDS.map(([word, label, title]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `aipb-${word}`;
    button.textContent = label;
    button.title = title;
    button.addEventListener("click", () => {
      said.textContent = `${label.toLowerCase()} …`;
      model.send({ type: "say", word });
    });
    bar.append(button);
    return button;
  });
  bar.append(said);
  const body = document.createElement("div");
  root.append(bar, body);
  el.replaceChildren(root);
  const draw = () => {
    body.innerHTML = model.get("html");
  };
  const allow = () => {
    const paused = model.get("paused");
    buttons[0].hidden = paused;
    buttons[1].hidden = !paused;
    said.textContent = model.get("said");
  };
  model.on("change:html", draw);
  model.on("change:paused change:said", allow);
  draw();
  allow();
}

export default { render };
