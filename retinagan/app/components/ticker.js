// Asks for the next look at a picture in the making; silent once it is made.
const timers = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  clearInterval(timers.get(parentElement));
  if (data.pending) timers.set(parentElement, setInterval(() => setTriggerValue("tick", Date.now()), data.milliseconds));
  return () => clearInterval(timers.get(parentElement));
}
