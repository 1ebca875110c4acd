/** Images: a drawing pad or a file; and a Grad-CAM heat map. */

import { predict, curlOfFile } from "./api.js";
import { showAnswer } from "./answers.js";
import { debounce, examples, h, source } from "./dom.js";
import { heated } from "./heat.js";
import { pad } from "./pad.js";

const MAX_DRAWN_SIDE = 64; // pixels
const MAX_FILE_BYTES = 4e6; // larger files are scaled down before they are sent
const SCALED_SIDE = 1024; // pixels
const READ = ["image/png", "image/jpeg", "image/gif", "image/bmp"];
const INPUT = "image_bytes";

export function mount(view) {
  const { about } = view;
  const { height, channels } = about.image;
  const drawn = channels === 1 && height <= MAX_DRAWN_SIDE;
  const names = about.labels.length <= 12 ? `: ${about.labels.join(", ")}` : "";
  view.title(drawn ? "Draw a picture" : "Choose a photo");

  let sent = null;
  const send = (base64, file) => {
    sent = [base64, file];
    view.command(curlOfFile(view.model, "encoded", INPUT, file));
    const picture = { [INPUT]: { b64: base64 } };
    return view.take(async (signal) => {
      const body = { signature_name: "encoded", instances: [picture] };
      const [row] = await predict(view.model, body, signal);
      const why = (index) => view.take((late) => explain(view, picture, index, late));
      const best = showAnswer(view, row, why);
      await explain(view, picture, best, signal);
    });
  };
  const idle = drawn
    ? "Draw something. The prediction updates as you draw."
    : "Choose a picture. The prediction appears here.";
  const board = drawn ? pad(debounce(150, asked), take) : frame(take, about.image);
  // Only one object URL exists at a time.
  let lent = "";
  const lend = (blob) => {
    URL.revokeObjectURL(lent);
    lent = blob ? URL.createObjectURL(blob) : "";
    return lent;
  };
  view.signal.addEventListener("abort", () => {
    board.leave?.();
    lend(null);
  });

  async function asked() {
    sent = null;
    if (board.empty()) return view.idle(idle);
    return send(await board.base64(), "picture.png");
  }
  async function take(file) {
    try {
      const blob = await readable(await withoutNotes(file));
      const base64 = await encoded(blob);
      board.show(lend(blob));
      await send(base64, file.name ?? "picture.png");
    } catch (error) {
      view.fail(error);
    }
  }
  const pasted = (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) take(file);
  };
  document.addEventListener("paste", pasted, { signal: view.signal });

  const pictures = about.examples.map((one) => (one[INPUT] ?? one).b64);
  const thumbnails = pictures.map((b64, place) =>
    h("img", { src: address(b64), alt: `Example ${place + 1}`, class: pixelated(about.image) }));
  const again = (base64, file) => {
    board.show(address(base64));
    send(base64, file);
  };
  const choose = (place) => again(pictures[place], "picture.png");
  view.question.append(
    h("p", { class: "soft small" }, `One of ${about.labels.length} classes${names}.`),
    board.element,
    examples(thumbnails, choose, source(about)) ?? "",
  );
  view.keep = () => ({ strokes: board.strokes?.(), sent });
  view.idle(idle);
  const kept = view.kept;
  if (kept?.strokes?.length) board.draw?.(kept.strokes);
  else if (kept?.sent) again(...kept.sent);
  else if (!kept && pictures.length) choose(0);
}

/** Small pictures are shown as squares of pixels. */
function pixelated({ height }) {
  return height <= MAX_DRAWN_SIDE ? "thumbnail pixelated" : "thumbnail";
}

async function explain(view, picture, index, signal) {
  if (!view.about.signatures.explain) return;
  try {
    await look(view, picture, index, signal);
  } catch (error) {
    view.unexplained(error, signal);
  }
}

async function look(view, picture, index, signal) {
  const label = view.about.labels[index];
  const body = {
    signature_name: "explain",
    instances: [{ ...picture, class_index: index }],
  };
  const [{ heat, image_bytes: seen }] = await predict(view.model, body, signal);
  const source = address(seen.b64);
  const kind = pixelated(view.about.image).replace("thumbnail", "seen");
  const hot = await heated(source, heat, kind, label);
  view.explain(
    `Regions that support \u201c${label}\u201d`,
    h("div", { class: "looks" },
      h("figure", {}, h("img", { src: source, class: kind, alt: "The input of the model" }),
        h("figcaption", {}, "input of the model")),
      h("figure", {}, hot, h("figcaption", {}, `support for \u201c${label}\u201d`))),
    h("p", { class: "legend soft small" }, "low", h("span", { class: "ramp" }), "high",
      h("span", {}, "Grad-CAM. Select another class to see its regions.")),
  );
}

/** A place to drop a file on, or to choose one. */
function frame(take, size) {
  const kind = pixelated(size).replace("thumbnail", "shown");
  const image = h("img", { alt: "The picture you chose", hidden: true, class: kind });
  const input = h("input", { type: "file", accept: "image/*", class: "unseen", id: "file" });
  const asked = h("strong", {}, "Drop a picture here");
  const words = h("span", { class: "words-of-drop" }, asked,
    h("span", { class: "soft" }, "or click to choose one, or paste it"));
  const element = h("label", { class: "drop", for: "file" }, image, words, input);
  input.addEventListener("change", () => input.files[0] && take(input.files[0]));
  droppable(element, take);
  const show = (source) => {
    image.src = source;
    image.hidden = false;
    asked.textContent = "Drop another picture here";
  };
  return { element, show, empty: () => image.hidden };
}

/** Let files be dropped on an element. */
export function droppable(element, take) {
  const over = (event) => {
    event.preventDefault();
    element.classList.toggle("over", event.type === "dragover");
  };
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", over);
  element.addEventListener("drop", (event) => {
    over(event);
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}

/** The file, or a PNG copy if the server cannot read the file. */
async function readable(file) {
  if (READ.includes(file.type) && file.size <= MAX_FILE_BYTES) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name ?? "The file"} is not a picture that this page can read.`);
  }
  const scale = Math.min(1, SCALED_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/**
 * Remove the EXIF data of a JPEG file: browsers rotate a picture by them, training and the server
 * do not. Other files stay unchanged.
 */
async function withoutNotes(file) {
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

/** The bytes as base64. */
export function encoded(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

function address(b64) {
  const kinds = { "/9j": "jpeg", R0l: "gif", Qk0: "bmp" };
  return `data:image/${kinds[b64.slice(0, 3)] ?? "png"};base64,${b64}`;
}
