/** Images: a drawing pad or a file; and a Grad-CAM heat map. */

import { predict, curlOfFile } from "./api.js";
import { showPrediction } from "./predictions.js";
import { debounce, examples, h, examplesTitle } from "./dom.js";
import { heatMap } from "./heat.js";
import { drawingPad } from "./pad.js";

const MAX_DRAWN_SIDE = 64; // pixels
const MAX_FILE_BYTES = 4e6; // larger files are scaled down before they are sent
const SCALED_SIDE = 1024; // pixels
const DEBOUNCE_MILLISECONDS = 150;
const SERVER_TYPES = ["image/png", "image/jpeg", "image/gif", "image/bmp"];
const INPUT = "image_bytes";

export function mount(view) {
  const { about } = view;
  const { height, channels } = about.image;
  const drawn = channels === 1 && height <= MAX_DRAWN_SIDE;
  const names = about.labels.length <= 12 ? `: ${about.labels.join(", ")}` : "";
  view.setTitle(drawn ? "Draw a picture" : "Choose a photo");

  let sent = null; // base64 and name of the file
  const send = (base64, file) => {
    sent = [base64, file];
    view.showCommand(curlOfFile(view.model, "encoded", INPUT, file));
    const instance = { [INPUT]: { b64: base64 } };
    return view.run(async (signal) => {
      const body = { signature_name: "encoded", instances: [instance] };
      const [row] = await predict(view.model, body, signal);
      const explain = (index) => view.run((own) => tryToExplain(view, instance, index, own));
      const best = showPrediction(view, row, explain);
      await tryToExplain(view, instance, best, signal);
    });
  };
  const hint = drawn
    ? "Draw something. The prediction updates as you draw."
    : "Choose an image. The prediction appears here.";
  const board = drawn
    ? drawingPad(debounce(DEBOUNCE_MILLISECONDS, sendDrawing), sendFile)
    : dropArea(sendFile, about.image);
  // Only one object URL exists at a time.
  let url = "";
  const urlOf = (blob) => {
    URL.revokeObjectURL(url);
    url = blob ? URL.createObjectURL(blob) : "";
    return url;
  };
  view.signal.addEventListener("abort", () => {
    board.close?.();
    urlOf(null);
  });

  async function sendDrawing() {
    sent = null;
    if (board.empty()) return view.showHint(hint);
    return send(await board.base64(), "image.png");
  }
  async function sendFile(file) {
    try {
      const blob = await readable(about.image.upright ? file : await withoutExif(file));
      const base64 = await encoded(blob);
      board.show(urlOf(blob));
      await send(base64, file.name ?? "image.png");
    } catch (error) {
      view.showError(error);
    }
  }
  const pasted = (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) sendFile(file);
  };
  document.addEventListener("paste", pasted, { signal: view.signal });

  const images = about.examples.map((one) => (one[INPUT] ?? one).b64);
  const thumbnails = images.map((b64, position) =>
    h("img", { src: address(b64), alt: `Example ${position + 1}`, class: thumbnailClass(about.image) }));
  const showAndSend = (base64, file) => {
    board.show(address(base64));
    send(base64, file);
  };
  const choose = (position) => showAndSend(images[position], "image.png");
  view.input.append(
    h("p", { class: "soft small" }, `One of ${about.labels.length} classes${names}.`),
    board.element,
    examples(thumbnails, choose, examplesTitle(about)) ?? "",
  );
  view.readInput = () => ({ strokes: board.strokes?.(), sent });
  view.showHint(hint);
  const previous = view.previousInput;
  if (previous?.strokes?.length) board.draw?.(previous.strokes);
  else if (previous?.sent) showAndSend(...previous.sent);
  else if (!previous && images.length) choose(0);
}

/** The CSS classes of a thumbnail; small images show their pixels as squares. */
function thumbnailClass({ height }) {
  return height <= MAX_DRAWN_SIDE ? "thumbnail pixelated" : "thumbnail";
}

/** Show an explanation, if the export has one, or its error. */
async function tryToExplain(view, instance, index, signal) {
  if (!view.about.signatures.explain) return;
  try {
    await showHeatMap(view, instance, index, signal);
  } catch (error) {
    view.showExplanationError(error, signal);
  }
}

async function showHeatMap(view, instance, index, signal) {
  const label = view.about.labels[index];
  const body = {
    signature_name: "explain",
    instances: [{ ...instance, class_index: index }],
  };
  const [{ heat, image_bytes: input }] = await predict(view.model, body, signal);
  const source = address(input.b64);
  const kind = thumbnailClass(view.about.image).replace("thumbnail", "model-input");
  const canvas = await heatMap(source, heat, kind, label);
  view.showExplanation(
    `Regions that support \u201c${label}\u201d`,
    h("div", { class: "images" },
      h("figure", {}, h("img", { src: source, class: kind, alt: "The input of the model" }),
        h("figcaption", {}, "input of the model")),
      h("figure", {}, canvas, h("figcaption", {}, `support for \u201c${label}\u201d`))),
    h("p", { class: "legend soft small" }, "low", h("span", { class: "ramp" }), "high",
      h("span", {}, "Grad-CAM. Select another class to see its regions.")),
  );
}

/** An area to drop a file on, or to choose one; `onFile` is called with the file. */
function dropArea(onFile, size) {
  const kind = thumbnailClass(size).replace("thumbnail", "shown");
  const image = h("img", { alt: "The image you chose", hidden: true, class: kind });
  const input = h("input", { type: "file", accept: "image/*", class: "visually-hidden", id: "file" });
  const title = h("strong", {}, "Drop an image here");
  const text = h("span", { class: "drop-label" }, title,
    h("span", { class: "soft" }, "or click to choose one, or paste it"));
  const element = h("label", { class: "drop", for: "file" }, image, text, input);
  input.addEventListener("change", () => input.files[0] && onFile(input.files[0]));
  droppable(element, onFile);
  const show = (source) => {
    image.src = source;
    image.hidden = false;
    title.textContent = "Drop another image here";
  };
  return { element, show, empty: () => image.hidden };
}

/** Let files be dropped on an element; `onFile` is called with the first. */
export function droppable(element, onFile) {
  const highlight = (event) => {
    event.preventDefault();
    element.classList.toggle("dragover", event.type === "dragover");
  };
  element.addEventListener("dragover", highlight);
  element.addEventListener("dragleave", highlight);
  element.addEventListener("drop", (event) => {
    highlight(event);
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  });
}

/** The file, or a PNG copy if the server cannot read the file. */
async function readable(file) {
  if (SERVER_TYPES.includes(file.type) && file.size <= MAX_FILE_BYTES) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name ?? "The file"} is not an image that this page can read.`);
  }
  const scale = Math.min(1, SCALED_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/**
 * Remove the EXIF data of a JPEG file, for a model that ignores the orientation of photographs:
 * browsers rotate an image as the data say. Other files stay unchanged.
 */
async function withoutExif(file) {
  const bytes = new DataView(await file.arrayBuffer());
  const parts = [];
  let at = 2;
  if (bytes.byteLength < 4 || bytes.getUint16(0) !== 0xffd8) return file;
  // A JPEG file starts with segments: a marker of two bytes, and a length that counts itself.
  while (at + 4 <= bytes.byteLength && bytes.getUint16(at) !== 0xffda) {
    const end = at + 2 + bytes.getUint16(at + 2);
    if (bytes.getUint16(at) !== 0xffe1) parts.push(file.slice(at, end));
    at = end;
  }
  return new File([file.slice(0, 2), ...parts, file.slice(at)], file.name ?? "", { type: file.type });
}

/** The bytes of a blob as base64. */
export function encoded(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** The data URL of an image. */
function address(b64) {
  const kinds = { "/9j": "jpeg", R0l: "gif", Qk0: "bmp" };
  return `data:image/${kinds[b64.slice(0, 3)] ?? "png"};base64,${b64}`;
}
