/** Texts: a text field, and words coloured by their effect on the prediction. */

import { predict } from "./api.js";
import { showAnswer, strength } from "./answers.js";
import { debounce, examples, field, h, number, signed } from "./dom.js";

const MAX_PIECES = 100; // each is removed once

export function mount(view) {
  const { about } = view;
  const [input] = Object.keys(about.signatures.serving_default.inputs);
  const box = h("textarea", { rows: "5", spellcheck: "false" });
  const texts = about.examples.map((one) => (typeof one === "string" ? one : one[input]));
  view.title("Enter a text");

  const body = (...asked) => ({ instances: asked.map((one) => ({ [input]: one })) });
  const now = () => {
    const text = box.value;
    if (!text.trim()) return view.idle("Enter a text. The prediction updates as you type.");
    view.command(body(text));
    return view.take(async (signal) => {
      const [row] = await predict(view.model, body(text), signal);
      let rows = null;
      const pieces = cut(text);
      const why = (index) => rows && colour(view, pieces, rows, index);
      const best = showAnswer(view, row, why);
      if (pieces.length < 2) return view.explain("Effect of each word");
      // Occlusion: the change of the prediction when a piece is removed, all in one batch.
      try {
        rows = await predict(view.model, body(text, ...without(pieces)), signal);
        why(best);
      } catch (error) {
        view.unexplained(error, signal);
      }
    });
  };
  const soon = debounce(250, now);
  box.addEventListener("input", soon);
  const choose = (place) => {
    box.value = texts[place];
    now();
  };
  const clear = h("button", { type: "button", class: "quiet", click: () => {
    box.value = "";
    box.focus();
    now();
  } }, "Clear");
  view.question.append(
    field("Text", box),
    h("div", { class: "row end" }, clear),
    examples(texts.map((text) => h("span", { class: "clip" }, text)), choose) ?? "",
  );
  view.keep = () => box.value;
  if (view.kept !== null) {
    box.value = view.kept;
    now();
  } else if (texts.length) choose(0);
  else now();
}

/** Split a text into words, or characters without spaces; long texts into runs of them. */
function cut(text) {
  const words = text.trim().split(/\s+/);
  const characters = words.length < 3 && /[^\x00-\x7f]/.test(text) && text.length > 2;
  const pieces = characters ? [...text.trim()] : words;
  const joint = characters ? "" : " ";
  const width = Math.ceil(pieces.length / MAX_PIECES);
  const runs = [];
  for (let start = 0; start < pieces.length; start += width) {
    runs.push(pieces.slice(start, start + width).join(joint));
  }
  return Object.assign(runs, { joint });
}

function without(pieces) {
  return pieces.map((_, place) => pieces.filter((_, k) => k !== place).join(pieces.joint));
}

function colour(view, pieces, [whole, ...parts], index) {
  const label = view.about.labels?.[index] ?? view.about.target?.name ?? "the prediction";
  const own = strength(whole, index);
  const added = parts.map((row) => own - strength(row, index));
  const most = Math.max(0.05, ...added.map(Math.abs));
  const words = pieces.flatMap((piece, place) => [
    word(piece, added[place], added[place] / most),
    pieces.joint,
  ]);
  const ranked = pieces.map((piece, place) => [piece, added[place]]);
  ranked.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const told = ranked.slice(0, 5).map(([piece, effect]) => `${piece} ${signed(effect)}`);
  view.explain(
    `Effect of each word on \u201c${label}\u201d`,
    h("p", { class: "words", "aria-hidden": "true" }, words),
    h("p", { class: "unseen" }, `The words with the largest effect: ${told.join("; ")}.`),
    h("p", { class: "legend soft small" },
      h("span", { class: "word for" }, "for"),
      h("span", { class: "word against" }, "against"),
      `change of the log-odds by a word, up to ${number(most)}, measured by removing it`),
  );
}

function word(piece, effect, share) {
  const size = Math.abs(share);
  const kind = size < 0.08 ? "word" : share > 0 ? "word for" : "word against";
  const element = h("span", { class: kind, title: `${signed(effect)} log-odds` }, piece);
  element.style.setProperty("--much", `${Math.round(100 * size)}%`);
  return element;
}
