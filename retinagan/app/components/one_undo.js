// Hides what the canvas' own toolbar undoes by itself: the page's Undo, Redo and Clear know of every step, its own do not.
const SECOND = '.dc-icon-button:is([title^="Undo"], [title^="Redo"], [title^="Reset"]), .dc-toolbar-separator';
const FRAMES = 120; // a canvas that has just come in gets its shadow root within some frames

function hide(box, left) {
  const hosts = [...box.querySelectorAll("[data-testid=stBidiComponentIsolated]")];
  for (const root of hosts.map(host => host.shadowRoot).filter(Boolean)) {
    if (root.querySelector("style.rg-one-undo")) continue;
    const style = document.createElement("style");
    style.className = "rg-one-undo";
    style.textContent = `${SECOND} { display: none !important; }`;
    root.append(style);
  }
  if (left && !(hosts.length && hosts.every(host => host.shadowRoot))) requestAnimationFrame(() => hide(box, left - 1));
}

export default function ({ parentElement }) {
  const box = (parentElement.host ?? parentElement).closest(".st-key-canvas_box");
  if (!box) return;
  hide(box, FRAMES);
  const observer = new MutationObserver(() => hide(box, FRAMES));
  observer.observe(box, { childList: true, subtree: true });
  return () => observer.disconnect();
}
