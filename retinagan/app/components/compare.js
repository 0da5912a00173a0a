// Two pictures of the same size, one over the other, cut where the slider stands.
export default function ({ data, parentElement }) {
  const frame = parentElement.querySelector(".compare");
  const range = frame.querySelector("input");
  const show = () => frame.style.setProperty("--at", `${range.value}%`);
  for (const [name, picture] of [["before", data.before], ["after", data.after]]) {
    const image = frame.querySelector(`.${name}`);
    if (image.getAttribute("src") !== picture.url) image.src = picture.url;
    image.alt = picture.name;
    frame.querySelector(name === "before" ? ".left" : ".right").textContent = picture.name;
  }
  range.oninput = show;
  show();
}
