/** A drawing pad: for a mouse, a finger, or the arrow keys and the space bar. */

import { h } from "./dom.js";
import { droppable, encoded } from "./image.js";

const SENT_SIDE = 280; // pixels of the image that is sent
const PEN_WIDTH = 0.085; // as a share of the side
const KEY_STEP = 0.04; // of an arrow key, as a share of the side
const MAX_PIXELATED_WIDTH = 64; // of an image whose pixels are shown as squares
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * `onChange` is called after each stroke, `onFile` with a file that the user chooses. `strokes` are lists
 * of points [x, y], as shares of the side.
 */
export function drawingPad(onChange, onFile) {
  let strokes = [];
  let image = null; // shown instead of strokes
  let pen = [0.5, 0.25];
  let down = false;
  const canvas = h("canvas", {
    class: "pad", tabindex: "0", role: "application", "aria-label": "Drawing pad",
    "aria-describedby": "pad-keys",
  });
  canvas.width = canvas.height = 2 * SENT_SIDE;
  const cursor = h("span", { class: "pen", "aria-hidden": "true" });
  const board = h("div", { class: "board" }, canvas, cursor);

  const paint = () => {
    const style = getComputedStyle(canvas);
    drawStrokes(canvas, strokes, style.backgroundColor, style.color);
    if (image && !strokes.length) drawImage(canvas, image);
    cursor.style.left = `${100 * pen[0]}%`;
    cursor.style.top = `${100 * pen[1]}%`;
    cursor.classList.toggle("down", down);
    board.classList.toggle("blank", !strokes.length && !image);
  };
  const startStroke = (point) => {
    image = null;
    strokes.push([point]);
  };
  const extendStroke = (point) => {
    strokes[strokes.length - 1].push(point);
  };
  const clear = () => {
    [strokes, image, down] = [[], null, false];
    paint();
    onChange();
  };
  const undo = () => {
    strokes.pop();
    image = null;
    paint();
    onChange();
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
    startStroke(point(event));
    paint();
    onChange();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) extendStroke(point(one));
    paint();
    onChange();
  });
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move) {
      pen = pen.map((one, k) => Math.min(1, Math.max(0, one + KEY_STEP * move[k])));
      if (down) extendStroke(pen);
    } else if (event.key === " ") {
      down = !down;
      if (down) startStroke(pen);
    } else if (event.key === "Delete" || event.key === "Escape") {
      clear();
    } else if (event.key === "Backspace") {
      undo();
    } else {
      return;
    }
    event.preventDefault();
    paint();
    if (strokes.length) onChange();
  });
  document.addEventListener("theme", paint);
  droppable(board, onFile);

  const file = h("input", { type: "file", accept: "image/*", class: "visually-hidden", id: "file" });
  file.addEventListener("change", () => file.files[0] && onFile(file.files[0]));
  const button = (text, click) => h("button", { type: "button", class: "quiet", click }, text);
  const element = h("div", { class: "drawing" },
    board,
    h("div", { class: "row" }, button("Clear", clear), button("Undo", undo),
      h("span", { class: "file" }, file, h("label", { class: "quiet", for: "file" }, "Choose a file"))),
    h("p", { class: "soft small", id: "pad-keys" },
      "By keyboard: arrows move the pen, space lowers and lifts it, Delete clears."),
  );
  const show = (source) => {
    const loading = new Image();
    loading.onload = () => {
      [strokes, image] = [[], loading];
      paint();
    };
    loading.src = source;
  };
  const base64 = () => {
    // Black on white, whatever the colours of the page.
    const sheet = h("canvas");
    sheet.width = sheet.height = SENT_SIDE;
    drawStrokes(sheet, strokes, "white", "black");
    return new Promise((done) => sheet.toBlob((blob) => done(encoded(blob)), "image/png"));
  };
  requestAnimationFrame(paint);
  const restore = (previous) => {
    strokes = previous;
    paint();
    onChange();
  };
  return {
    element, show, base64,
    draw: restore,
    strokes: () => strokes,
    empty: () => !strokes.length,
    close: () => document.removeEventListener("theme", paint),
  };
}

function drawStrokes(canvas, strokes, paper, ink) {
  const context = canvas.getContext("2d");
  const side = canvas.width;
  context.fillStyle = paper;
  context.fillRect(0, 0, side, side);
  context.strokeStyle = ink;
  context.lineWidth = PEN_WIDTH * side;
  context.lineCap = context.lineJoin = "round";
  for (const [first, ...others] of strokes) {
    context.beginPath();
    context.moveTo(first[0] * side, first[1] * side);
    // A stroke of one point is a dot.
    for (const [x, y] of others.length ? others : [first]) context.lineTo(x * side, y * side);
    context.stroke();
  }
}

/** Draw an image as large as the canvas allows. */
function drawImage(canvas, image) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / Math.max(image.width, image.height);
  const [width, height] = [image.width * scale, image.height * scale];
  context.imageSmoothingEnabled = image.width > MAX_PIXELATED_WIDTH;
  context.drawImage(
    image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
}
