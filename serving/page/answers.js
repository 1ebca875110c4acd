/** Kinds of answers: a class with its probability, or a number; and bars for either. */

import { fillIn, h, number, percent, signed } from "./dom.js";

const MOST = 10; // classes that are listed

/** Show the answer to one row; of classes each can be chosen to be explained. */
export function showAnswer(view, row, choose) {
  if (view.about.answer === "classes") return showClasses(view, row.probabilities, choose);
  const target = view.about.target ?? { name: "value", unit: "" };
  const value = number(row.value);
  fillIn(
    view.answer,
    h("p", { class: "headline" }, value, target.unit ? h("span", {}, ` ${target.unit}`) : null),
    h("p", { class: "soft" }, target.name),
  );
  view.say(`${target.name}: ${value} ${target.unit}`);
  return 0;
}

function showClasses(view, probabilities, choose) {
  const { labels } = view.about;
  const order = probabilities.map((_, k) => k).sort((a, b) => probabilities[b] - probabilities[a]);
  const [best] = order;
  const focused = document.activeElement?.dataset?.label;
  // In the labels' own order where all are shown: bars that do not jump can be watched.
  const shown = order.slice(0, MOST);
  if (order.length <= MOST) shown.sort((a, b) => a - b);
  const bars = shown.map((k) => bar(labels[k], probabilities[k], k === best, () => pick(k)));
  const pick = (k) => {
    shown.forEach((one, place) => bars[place].setAttribute("aria-pressed", String(one === k)));
    choose(k);
  };
  shown.forEach((one, place) => bars[place].setAttribute("aria-pressed", String(one === best)));
  const others = order.length - shown.length;
  const left = order.slice(MOST).reduce((sum, k) => sum + probabilities[k], 0);
  fillIn(
    view.answer,
    h("p", { class: "headline" }, labels[best], h("span", {}, percent(probabilities[best]))),
    h("div", { class: "bars", role: "group", "aria-label": "Probabilities; press one to see why" },
      bars),
    others > 0 && h("p", { class: "soft small" }, `${others} others: ${percent(left)} together`),
  );
  // Keyboards stay where they were while the answer is renewed.
  bars.find((one) => one.dataset.label === focused)?.focus();
  view.say(`${labels[best]}, ${percent(probabilities[best])}`);
  return best;
}

function bar(label, share, best, click) {
  const track = h("span", { class: "track" }, fill(share));
  const name = h("span", { class: "label", title: label }, label);
  const value = h("span", { class: "value" }, percent(share));
  return h(
    "button",
    { type: "button", class: best ? "bar best" : "bar", "data-label": label, click },
    name, track, value,
  );
}

/** The filled part of a track, 0 to 1. */
export function fill(share) {
  const part = h("span", { class: "fill" });
  part.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  return part;
}

/** How strongly a row's answer is what it is: log-odds of a class, or the number itself. */
export function strength(row, index) {
  if (row.value !== undefined) return row.value;
  const share = Math.min(1 - 1e-7, Math.max(1e-9, row.probabilities[index]));
  return Math.log(share) - Math.log1p(-share);
}

/** Bars to both sides of nothing: [{name, detail, effect}], the largest first. */
export function effects(rows) {
  const sorted = [...rows].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const most = Math.max(1e-9, ...sorted.map((one) => Math.abs(one.effect)));
  const lines = sorted.map(({ name, detail, effect }) => {
    const part = h("span", { class: effect < 0 ? "fill against" : "fill" });
    part.style.width = `${(50 * Math.abs(effect)) / most}%`;
    return h(
      "li",
      {},
      h("span", { class: "label" }, name, h("span", { class: "soft" }, ` ${detail}`)),
      h("span", { class: effect < 0 ? "both minus" : "both" }, part),
      h("span", { class: "value" }, signed(effect, most)),
    );
  });
  return h("ol", { class: "effects" }, lines);
}
