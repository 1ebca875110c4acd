/** Texts: a text field, and words coloured by their effect on the prediction. */

import { predict } from "./api.js";
import { showPrediction, valueOrLogOdds } from "./predictions.js";
import { debounce, examples, field, h, number, signed } from "./dom.js";

const MAX_PIECES = 100; // each is removed once, in one request
const DEBOUNCE_MILLISECONDS = 250;

export function mount(view) {
  const { about } = view;
  const [input] = Object.keys(about.signatures.serving_default.inputs);
  const box = h("textarea", { rows: "5", spellcheck: "false" });
  const texts = about.examples.map((one) => (typeof one === "string" ? one : one[input]));
  view.setTitle("Enter a text");

  const body = (...inputs) => ({ instances: inputs.map((one) => ({ [input]: one })) });
  const update = () => {
    const text = box.value;
    if (!text.trim()) return view.showHint("Enter a text. The prediction updates as you type.");
    view.showCommand(body(text));
    return view.run(async (signal) => {
      const [row] = await predict(view.model, body(text), signal);
      let rows = null;
      const pieces = split(text);
      const explain = (index) => rows && showEffects(view, pieces, rows, index);
      const best = showPrediction(view, row, explain);
      if (pieces.length < 2) return view.showExplanation("Effect of each word");
      // Occlusion: the change of the prediction when a piece is removed; one batch for all pieces.
      try {
        rows = await predict(view.model, body(text, ...withoutEach(pieces)), signal);
        explain(best);
      } catch (error) {
        view.showExplanationError(error, signal);
      }
    });
  };
  box.addEventListener("input", debounce(DEBOUNCE_MILLISECONDS, update));
  const choose = (position) => {
    box.value = texts[position];
    update();
  };
  const clear = h("button", { type: "button", class: "quiet", click: () => {
    box.value = "";
    box.focus();
    update();
  } }, "Clear");
  view.input.append(
    field("Text", box),
    h("div", { class: "row end" }, clear),
    examples(texts.map((text) => h("span", { class: "clip" }, text)), choose) ?? "",
  );
  view.readInput = () => box.value;
  if (view.previousInput !== null) {
    box.value = view.previousInput;
    update();
  } else if (texts.length) choose(0);
  else update();
}

/** Split a text into words, or into characters if it has no spaces; join some if it is long. */
function split(text) {
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

/** A text without each of the pieces. */
function withoutEach(pieces) {
  return pieces.map((_, position) => pieces.filter((_, k) => k !== position).join(pieces.joint));
}

function showEffects(view, pieces, [full, ...shortened], index) {
  const label = view.about.labels?.[index] ?? view.about.target?.name ?? "the prediction";
  const value = valueOrLogOdds(full, index);
  const effects = shortened.map((row) => value - valueOrLogOdds(row, index));
  const largest = Math.max(0.05, ...effects.map(Math.abs));
  const words = pieces.flatMap((piece, position) => [
    word(piece, effects[position], effects[position] / largest),
    pieces.joint,
  ]);
  const ranked = pieces.map((piece, position) => [piece, effects[position]]);
  ranked.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const described = ranked.slice(0, 5).map(([piece, effect]) => `${piece} ${signed(effect)}`);
  view.showExplanation(
    `Effect of each word on \u201c${label}\u201d`,
    h("p", { class: "words", "aria-hidden": "true" }, words),
    h("p", { class: "visually-hidden" }, `The words with the largest effect: ${described.join("; ")}.`),
    h("p", { class: "legend soft small" },
      h("span", { class: "word for" }, "for"),
      h("span", { class: "word against" }, "against"),
      `change of the log-odds by a word, up to ${number(largest)}, measured by removing it`),
  );
}

function word(piece, effect, share) {
  const size = Math.abs(share);
  const kind = size < 0.08 ? "word" : share > 0 ? "word for" : "word against";
  const element = h("span", { class: kind, title: `${signed(effect)} log-odds` }, piece);
  element.style.setProperty("--strength", `${Math.round(100 * size)}%`);
  return element;
}
