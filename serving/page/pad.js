/** A pad to draw on: with a mouse, a finger, or the arrow keys and the space bar. */

import { h } from "./dom.js";
import { droppable, encoded } from "./image.js";

const SIDE = 280; // pixels of the picture that is sent
const PEN = 0.085; // width of a stroke, as a share of the side
const STEP = 0.04; // of an arrow key
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function pad(changed, take) {
  let strokes = [];
  let shown = null;
  let at = [0.5, 0.25];
  let down = false;
  const canvas = h("canvas", {
    class: "pad", tabindex: "0", role: "application", "aria-label": "Drawing pad",
    "aria-describedby": "pad-keys",
  });
  canvas.width = canvas.height = 2 * SIDE;
  const cursor = h("span", { class: "pen", "aria-hidden": "true" });
  const board = h("div", { class: "board" }, canvas, cursor);

  const paint = () => {
    const style = getComputedStyle(canvas);
    draw(canvas, strokes, style.backgroundColor, style.color);
    if (shown && !strokes.length) fit(canvas, shown);
    cursor.style.left = `${100 * at[0]}%`;
    cursor.style.top = `${100 * at[1]}%`;
    cursor.classList.toggle("down", down);
    board.classList.toggle("blank", !strokes.length && !shown);
  };
  const begin = (point) => {
    shown = null;
    strokes.push([point]);
  };
  const go = (point) => {
    strokes[strokes.length - 1].push(point);
  };
  const clear = () => {
    [strokes, shown, down] = [[], null, false];
    paint();
    changed();
  };
  const undo = () => {
    strokes.pop();
    shown = null;
    paint();
    changed();
  };
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    down = false;
    begin(point(event));
    paint();
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) go(point(one));
    paint();
    changed();
  });
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move) {
      at = at.map((one, k) => Math.min(1, Math.max(0, one + STEP * move[k])));
      if (down) go(at);
    } else if (event.key === " ") {
      down = !down;
      if (down) begin(at);
    } else if (event.key === "Delete" || event.key === "Escape") {
      clear();
    } else if (event.key === "Backspace") {
      undo();
    } else {
      return;
    }
    event.preventDefault();
    paint();
    if (strokes.length) changed();
  });
  document.addEventListener("theme", paint);
  droppable(board, take);

  const file = h("input", { type: "file", accept: "image/*", class: "unseen", id: "file" });
  file.addEventListener("change", () => file.files[0] && take(file.files[0]));
  const button = (words, click) => h("button", { type: "button", class: "quiet", click }, words);
  const element = h("div", { class: "drawing" },
    board,
    h("div", { class: "row" }, button("Clear", clear), button("Undo", undo),
      h("span", { class: "file" }, file, h("label", { class: "quiet", for: "file" }, "Choose a file"))),
    h("p", { class: "soft small", id: "pad-keys" },
      "By keyboard: arrows move the pen, space lowers and lifts it, Delete clears."),
  );
  const show = (source) => {
    const image = new Image();
    image.onload = () => {
      [strokes, shown] = [[], image];
      paint();
    };
    image.src = source;
  };
  const base64 = () => {
    // Ink on paper, whatever the colours of the page.
    const sheet = h("canvas");
    sheet.width = sheet.height = SIDE;
    draw(sheet, strokes, "white", "black");
    return new Promise((done) => sheet.toBlob((blob) => done(encoded(blob)), "image/png"));
  };
  requestAnimationFrame(paint);
  const restore = (before) => {
    strokes = before;
    paint();
    changed();
  };
  return {
    element, show, base64,
    draw: restore,
    strokes: () => strokes,
    empty: () => !strokes.length,
    leave: () => document.removeEventListener("theme", paint),
  };
}

function draw(canvas, strokes, paper, ink) {
  const context = canvas.getContext("2d");
  const side = canvas.width;
  context.fillStyle = paper;
  context.fillRect(0, 0, side, side);
  context.strokeStyle = ink;
  context.lineWidth = PEN * side;
  context.lineCap = context.lineJoin = "round";
  for (const [first, ...others] of strokes) {
    context.beginPath();
    context.moveTo(first[0] * side, first[1] * side);
    // A point alone is a dot.
    for (const [x, y] of others.length ? others : [first]) context.lineTo(x * side, y * side);
    context.stroke();
  }
}

/** The whole picture, as large as it goes. */
function fit(canvas, image) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / Math.max(image.width, image.height);
  const [width, height] = [image.width * scale, image.height * scale];
  context.imageSmoothingEnabled = image.width > 64;
  context.drawImage(
    image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
}
