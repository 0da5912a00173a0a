// The map to draw on. It shows the server's map; gestures go there as JSON and are drawn here until the map that holds
// them comes back. Coordinates are shares of the side. Gestures are numbered: what the server has not acknowledged is
// sent again with the next one, so that none is lost and none is painted twice.

const CLOSE = 12; // pixels of the screen within which a click closes a polygon
const DRAGGED = ["line", "circle", "rectangle"];
const boards = new WeakMap();

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  let board = boards.get(parentElement);
  if (!board) boards.set(parentElement, (board = new Board(parentElement)));
  board.update(data, setStateValue);
  return () => {
    board.dispose();
    boards.delete(parentElement);
  };
}

class Board {
  constructor(root) {
    this.canvas = root.querySelector(".board");
    this.place = root.querySelector(".place");
    this.status = root.querySelector(".status");
    this.buttons = [...root.querySelectorAll("button")];
    this.queue = []; // gestures that the server has not acknowledged
    this.sequence = 0;
    this.zoom = 1;
    this.origin = [0, 0]; // top left of what is shown
    this.gesture = null; // points of the one in the making
    this.cursor = null;
    this.pointers = new Map();
    this.image = null;
    this.pixels = null;

    const on = (node, name, call) => node.addEventListener(name, call);
    for (const button of this.buttons) on(button, "click", () => this.press(button.dataset));
    on(this.canvas, "pointerdown", (e) => this.down(e));
    on(this.canvas, "pointermove", (e) => this.move(e));
    on(this.canvas, "pointerup", (e) => this.up(e));
    on(this.canvas, "pointercancel", (e) => this.up(e, true));
    on(this.canvas, "pointerleave", () => this.leave());
    on(this.canvas, "contextmenu", (e) => e.preventDefault());
    on(this.canvas, "keydown", (e) => this.key(e));
    on(this.canvas, "blur", () => this.draw());
    on(this.place, "pointerdown", (e) => {
      this.place.setPointerCapture(e.pointerId);
      this.choosePlace(e);
    });
    on(this.place, "pointermove", (e) => e.buttons && this.choosePlace(e));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
  }

  dispose() {
    this.resized.disconnect();
  }

  update(data, setStateValue) {
    const fresh = !this.data || this.data.number !== data.number;
    const changed = fresh || this.data.map !== data.map;
    if (!this.data || this.data.tool !== data.tool) this.gesture = null;
    this.data = data;
    this.send = () => setStateValue("events", this.queue);
    this.sequence = Math.max(this.sequence, data.ack);
    if (fresh) {
      this.queue = [];
      this.show(1);
    }
    const settled = () => {
      this.queue = this.queue.filter((event) => event.seq > data.ack);
      this.canvas.dataset.pending = this.queue.length;
      this.draw();
    };
    if (changed) {
      const image = new Image();
      image.onload = () => {
        if (this.data.map !== data.map) return;
        this.image = image;
        this.pixels = null;
        settled();
      };
      image.src = data.map;
    } else settled();
    for (const button of this.buttons) {
      if (button.dataset.do === "undo") button.disabled = !data.undo;
      if (button.dataset.do === "redo") button.disabled = !data.redo;
      if (button.dataset.do === "clear") button.disabled = !data.clear;
    }
    this.canvas.setAttribute(
      "aria-label",
      `Lesion map. Painting ${data.names[data.label]}, ${data.tool}. Arrow keys move the cursor, Space puts the pen ` +
        "down and up, Enter closes a polygon, Escape gives up, plus and minus zoom, Control Z undoes.",
    );
    this.canvas.dataset.tool = data.tool;
    this.canvas.dataset.label = data.label;
    this.canvas.dataset.width = data.width;
    this.canvas.dataset.number = data.number;
  }

  emit(event) {
    this.sequence += 1;
    this.queue.push({ seq: this.sequence, number: this.data.number, ...event });
    this.canvas.dataset.pending = this.queue.length;
    this.send();
    this.draw();
  }

  finish(points) {
    this.gesture = null;
    const { tool, label, width } = this.data;
    const rounded = points.map(([x, y]) => [Math.round(x * 1e5) / 1e5, Math.round(y * 1e5) / 1e5]);
    const inRange = rounded.map((p) => p.map((v) => Math.min(4.9, Math.max(-3.9, v))));
    this.emit({ do: "stroke", stroke: { tool, label, width, points: inRange } });
  }

  // --- pointer ---

  at(e) {
    const box = this.canvas.getBoundingClientRect();
    return [
      this.origin[0] + (e.clientX - box.left) / box.width / this.zoom,
      this.origin[1] + (e.clientY - box.top) / box.height / this.zoom,
    ];
  }

  down(e) {
    this.pointers.set(e.pointerId, [e.clientX, e.clientY]);
    if (this.pointers.size > 1) {
      this.gesture = null; // a second finger: move the window instead
      this.draw();
      return;
    }
    this.canvas.setPointerCapture(e.pointerId);
    if (e.button !== 0 || !this.data) return;
    const point = this.at(e);
    if (this.data.tool === "polygon") {
      this.corner(point);
    } else this.gesture = [point];
    this.cursor = point;
    this.draw();
  }

  move(e) {
    const before = this.pointers.get(e.pointerId);
    const panning = this.pointers.size > 1 || (before && e.buttons === 4);
    if (before) this.pointers.set(e.pointerId, [e.clientX, e.clientY]);
    if (panning) {
      const side = this.canvas.clientWidth * this.zoom * this.pointers.size;
      this.pan((before[0] - e.clientX) / side, (before[1] - e.clientY) / side);
      return;
    }
    this.cursor = this.at(e);
    if (this.gesture && before && this.data.tool !== "polygon") {
      const events = e.getCoalescedEvents ? e.getCoalescedEvents() : [];
      for (const one of events.length ? events : [e]) this.extend(this.at(one));
    }
    this.report();
    this.draw();
  }

  up(e, cancelled = false) {
    this.pointers.delete(e.pointerId);
    if (this.data?.tool === "polygon" || !this.gesture) return;
    if (cancelled) this.gesture = null;
    else {
      this.extend(this.at(e));
      this.finish(this.gesture);
    }
    this.draw();
  }

  leave() {
    if (this.pointers.size) return;
    this.cursor = null;
    this.status.textContent = "";
    this.draw();
  }

  extend(point) {
    if (DRAGGED.includes(this.data.tool)) this.gesture = [this.gesture[0], point];
    else if (this.data.tool === "disc") this.gesture = [point];
    else if (this.far(point, this.gesture[this.gesture.length - 1], 0.5)) this.gesture.push(point);
  }

  far(a, b, pixels) {
    return Math.hypot(a[0] - b[0], a[1] - b[1]) * this.canvas.clientWidth * this.zoom > pixels;
  }

  corner(point) {
    const points = this.gesture;
    if (points && points.length > 2 && !this.far(point, points[0], CLOSE)) this.finish(points);
    else if (points && !this.far(point, points[points.length - 1], 2)) return; // the second half of a double click
    else this.gesture = [...(points || []), point];
  }

  // --- keyboard ---

  key(e) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const letter = e.key.toLowerCase();
    if (e.ctrlKey || e.metaKey) {
      if (letter !== "z" && letter !== "y") return;
      this.press({ do: letter === "y" || e.shiftKey ? "redo" : "undo" });
    } else if (arrows[e.key]) {
      const step = (e.shiftKey ? 20 : 4) / 512 / this.zoom;
      const from = this.cursor || this.origin.map((v) => v + 0.5 / this.zoom);
      this.cursor = from.map((v, k) => Math.min(1, Math.max(0, v + arrows[e.key][k] * step)));
      if (this.gesture && this.data.tool !== "polygon") this.extend(this.cursor);
      this.follow();
    } else if (e.key === " " || e.key === "Enter") {
      this.cursor ||= this.origin.map((v) => v + 0.5 / this.zoom);
      if (this.data.tool !== "polygon") {
        if (this.gesture) this.finish(this.gesture.length > 1 || !DRAGGED.includes(this.data.tool) ? this.gesture : [this.cursor, this.cursor]);
        else this.gesture = [this.cursor];
      } else if (e.key === " ") this.corner(this.cursor);
      else if (this.gesture?.length > 2) this.finish(this.gesture);
    } else if (e.key === "Escape") this.gesture = null;
    else if (e.key === "+" || e.key === "=") this.show(Math.min(4, this.zoom * 2));
    else if (e.key === "-") this.show(Math.max(1, this.zoom / 2));
    else return;
    e.preventDefault();
    this.report();
    this.draw();
  }

  follow() {
    const side = 1 / this.zoom;
    const moved = this.origin.map((v, k) => Math.min(Math.max(v, this.cursor[k] - 0.95 * side), this.cursor[k] - 0.05 * side));
    this.pan(moved[0] - this.origin[0], moved[1] - this.origin[1]);
  }

  // --- toolbar, window ---

  press({ do: command, zoom }) {
    if (zoom) this.show(Number(zoom));
    else if (this.data) this.emit({ do: command });
  }

  show(zoom) {
    const centre = this.cursor && zoom > this.zoom && this.cursor[0] >= 0 ? this.cursor : this.origin.map((v) => v + 0.5 / this.zoom);
    this.zoom = zoom;
    this.origin = centre.map((v) => v - 0.5 / zoom);
    this.pan(0, 0);
    for (const button of this.buttons) {
      if (button.dataset.zoom) button.setAttribute("aria-pressed", String(Number(button.dataset.zoom) === zoom));
    }
    this.canvas.dataset.zoom = zoom;
    this.place.hidden = zoom === 1;
    this.draw();
  }

  pan(dx, dy) {
    const most = 1 - 1 / this.zoom;
    this.origin = [this.origin[0] + dx, this.origin[1] + dy].map((v) => Math.min(most, Math.max(0, v)));
    this.draw();
  }

  choosePlace(e) {
    const box = this.place.getBoundingClientRect();
    const half = 0.5 / this.zoom;
    this.cursor = null;
    this.origin = [(e.clientX - box.left) / box.width - half, (e.clientY - box.top) / box.height - half];
    this.pan(0, 0);
  }

  // --- what lies under the cursor, in words ---

  report() {
    const { size, names, colours } = this.data;
    if (!this.cursor || !this.image) return;
    const [x, y] = this.cursor.map((v) => Math.floor(v * size));
    if (!(x >= 0 && y >= 0 && x < size && y < size)) return void (this.status.textContent = "");
    this.pixels ||= this.read(size);
    const [r, g, b] = this.pixels.data.subarray(4 * (y * size + x));
    const label = colours.findIndex((c) => c[0] === r && c[1] === g && c[2] === b);
    const text = label < 0 ? "" : `${names[label]} at ${x}, ${y}`;
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  read(size) {
    const copy = Object.assign(document.createElement("canvas"), { width: size, height: size });
    const pen = copy.getContext("2d", { willReadFrequently: true });
    pen.drawImage(this.image, 0, 0, size, size);
    return pen.getImageData(0, 0, size, size);
  }

  // --- painting ---

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const side = Math.round(this.canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!side || !this.image || !this.data) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const pen = this.canvas.getContext("2d");
    const scale = side * this.zoom; // a map's side in pixels of the screen
    const size = this.data.size;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, side, side);
    pen.imageSmoothingEnabled = scale < size;
    const shown = size / this.zoom;
    pen.drawImage(this.image, this.origin[0] * size, this.origin[1] * size, shown, shown, 0, 0, side, side);
    pen.setTransform(scale, 0, 0, scale, -this.origin[0] * scale, -this.origin[1] * scale);
    pen.save();
    pen.beginPath();
    pen.arc(0.5, 0.5, 0.5, 0, 2 * Math.PI);
    pen.clip();
    for (const event of this.queue) if (event.stroke) this.trace(pen, event.stroke);
    const { tool, label, width } = this.data;
    if (this.gesture) {
      const open = tool === "polygon" && this.cursor ? [...this.gesture, this.cursor] : this.gesture;
      this.trace(pen, { tool, label, width, points: open }, tool === "polygon");
    }
    pen.restore();
    if (this.gesture && tool === "polygon") {
      const [x, y] = this.gesture[0]; // where a click closes it
      this.ring(pen, x, y, CLOSE / (this.canvas.clientWidth * this.zoom), 1 / scale);
    }
    if (this.cursor) this.pointer(pen, scale);
    this.paintPlace();
    this.canvas.dataset.drawn = this.data.ack;
  }

  trace(pen, { tool, label, width, points }, unfinished = false) {
    const colour = `rgb(${this.data.colours[label].join()})`;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.globalAlpha = tool === "spray" ? 0.4 : 1;
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = width / 512;
    pen.beginPath();
    const [first, last] = [points[0], points[points.length - 1]];
    if (tool === "circle") {
      pen.arc(...first, Math.hypot(last[0] - first[0], last[1] - first[1]), 0, 2 * Math.PI);
      pen.fill();
    } else if (tool === "rectangle") {
      pen.fillRect(Math.min(first[0], last[0]), Math.min(first[1], last[1]), Math.abs(last[0] - first[0]), Math.abs(last[1] - first[1]));
    } else if (tool === "disc") {
      pen.fillStyle = `rgb(${this.data.colours[5].join()})`;
      pen.globalAlpha = 0.6;
      pen.arc(...last, this.data.disc, 0, 2 * Math.PI);
      pen.fill();
    } else {
      pen.moveTo(...first);
      for (const point of points) pen.lineTo(...point);
      if (tool === "polygon") {
        pen.globalAlpha = unfinished ? 0.5 : 1;
        pen.fill();
        pen.globalAlpha = 1;
        pen.lineWidth = 2 / 512 / this.zoom;
        if (unfinished) pen.stroke();
      } else pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  pointer(pen, scale) {
    const { tool, width } = this.data;
    const brushed = ["freehand", "line", "spray"].includes(tool);
    const radius = tool === "disc" ? this.data.disc : brushed ? width / 1024 : 0;
    this.ring(pen, ...this.cursor, Math.max(radius, 3 / scale), 1 / scale);
  }

  ring(pen, x, y, radius, pixel) {
    for (const [colour, wide] of [["#000", 3], ["#fff", 1.2]]) {
      pen.beginPath();
      pen.strokeStyle = colour;
      pen.lineWidth = wide * pixel;
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  paintPlace() {
    if (this.place.hidden) return;
    const side = Math.round(this.place.clientWidth * (window.devicePixelRatio || 1));
    if (this.place.width !== side) this.place.width = this.place.height = side;
    const pen = this.place.getContext("2d");
    pen.drawImage(this.image, 0, 0, side, side);
    const frame = [this.origin[0] * side, this.origin[1] * side, side / this.zoom, side / this.zoom];
    for (const [colour, wide] of [["#fff", 5], ["#b3452a", 2.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.strokeRect(...frame);
    }
  }
}
