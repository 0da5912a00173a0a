// Keeps the drawing in this tab's own storage; tells a fresh session what the tab kept before.
const NAME = "retinagan-drawing";
const told = new WeakSet();

export default function ({ data, parentElement, setTriggerValue }) {
  try {
    const kept = sessionStorage.getItem(NAME);
    if (data.fresh && kept && kept !== data.drawing) {
      if (!told.has(parentElement)) setTriggerValue("kept", kept);
      told.add(parentElement);
    } else {
      sessionStorage.setItem(NAME, data.drawing);
    }
  } catch (error) {
    console.warn("This browser does not keep the drawing:", error);  // no storage, or no room in it
  }
}
