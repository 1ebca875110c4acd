/** Shows predictions: one class or several with probabilities, or a number; and bars for both. */

import { fillIn, h, number, percent, signed } from "./dom.js";

const MAX_LISTED_CLASSES = 10;

/**
 * Show the prediction for one row. Return the index of the predicted class; `choose` is called with
 * that of a class that the user selects.
 */
export function showPrediction(view, row, choose) {
  if (view.about.answer === "classes") {
    const best = row.probabilities.indexOf(Math.max(...row.probabilities));
    if (view.about.decision) return showDecided(view, row, choose, best);
    const name = view.about.labels[best];
    const share = percent(row.probabilities[best]);
    showBars(view, row.probabilities, [best], choose, [name, h("span", {}, share)], setLine(view, row));
    view.announce(`${name}, ${share}`);
    return best;
  }
  if (view.about.answer === "multilabel") return showSeveral(view, row, choose);
  const target = view.about.target ?? { name: "value", unit: "" };
  const value = number(row.value);
  fillIn(
    view.prediction,
    h("p", { class: "headline" }, value, target.unit ? h("span", {}, ` ${target.unit}`) : null),
    h("p", { class: "soft" }, target.name),
    row.interval && h("p", { class: "soft small" },
      `${row.interval.map(number).join(" to ")}: such intervals contain the true value in ` +
      `${percent(view.about.coverage)} of the cases.`),
  );
  view.announce(`${target.name}: ${value} ${target.unit}`);
  return 0;
}

/** Show the answer that the decision of the model gives, which may be another class or "unsure". */
function showDecided(view, row, choose, best) {
  const { labels, decision } = view.about;
  const index = labels.indexOf(row.class);
  const share = percent(row.probabilities[index < 0 ? best : index]);
  const headline = index < 0 ? [row.class, h("span", {}, `${labels[best]} ${share}`)]
    : [row.class, h("span", {}, share)];
  const marks = decision.threshold === null ? undefined
    : labels.map((label) => (label === decision.positive ? decision.threshold : undefined));
  const lines = [h("p", { class: "soft small" }, `Decision: ${decision.text}.`), setLine(view, row)];
  showBars(view, row.probabilities, index < 0 ? [] : [index], choose, headline, lines, marks, index < 0 ? best : index);
  view.announce(`${row.class}, ${share}`);
  return index < 0 ? best : index;
}

/** A line with the classes of which one is the true one with the coverage of the model, if it has sets. */
function setLine({ about }, { classes, probabilities }) {
  if (!classes) return null;
  const members = descending(probabilities).filter((k) => classes[k]);
  const names = members.slice(0, MAX_LISTED_CLASSES).map((k) => about.labels[k]).join(", ");
  const more = members.length - MAX_LISTED_CLASSES;
  return h("p", { class: "soft small" },
    `Set of classes: ${names}${more > 0 ? ` and ${more} more` : ""}. Such sets contain the true ` +
    `class in ${percent(about.coverage)} of the cases or more.`);
}

/** Show the chosen classes of a row; return the index of the most probable class. */
function showSeveral(view, { probabilities, selected }, choose) {
  const order = descending(probabilities);
  const chosen = order.filter((k) => selected[k]);
  const names = chosen.map((k) => view.about.labels[k]).join(", ") || "no class";
  showBars(view, probabilities, chosen, choose, [names]);
  view.announce(names);
  return order[0];
}

/** The indices of numbers, that of the largest number first. */
const descending = (numbers) => numbers.map((_, k) => k).sort((a, b) => numbers[b] - numbers[a]);

/** Show bars of probabilities; those of the `chosen` classes stand out, the most probable is explained. */
function showBars(view, probabilities, chosen, choose, headline, note = null, marks = undefined, selected = undefined) {
  const { labels, thresholds } = view.about;
  const order = descending(probabilities);
  const best = selected ?? order[0];
  const focused = document.activeElement?.dataset?.label;
  // If all classes fit, they keep their order: bars that move are hard to follow.
  const shown = order.filter((k, rank) => rank < MAX_LISTED_CLASSES || chosen.includes(k));
  if (order.length <= MAX_LISTED_CLASSES) shown.sort((a, b) => a - b);
  const bars = shown.map((k) =>
    bar(labels[k], probabilities[k], chosen.includes(k), () => pick(k), (thresholds ?? marks)?.[k]));
  const pick = (k) => {
    shown.forEach((one, position) => bars[position].setAttribute("aria-pressed", String(one === k)));
    choose(k);
  };
  shown.forEach((one, position) => bars[position].setAttribute("aria-pressed", String(one === best)));
  const others = order.length - shown.length;
  const rest = 1 - shown.reduce((sum, k) => sum + probabilities[k], 0);
  const total = thresholds ? "below their thresholds" : `${percent(Math.max(0, rest))} in total`;
  fillIn(
    view.prediction,
    h("p", { class: thresholds ? "headline small-headline" : "headline" }, headline),
    h("div", { class: "bars", role: "group", "aria-label": "Probabilities; select a class for its explanation" },
      bars),
    others > 0 && h("p", { class: "soft small" }, `${others} other classes: ${total}`),
    note,
    thresholds && h("p", { class: "soft small" }, "A class is chosen if its bar reaches its mark."),
  );
  // Keep the keyboard focus when the prediction changes.
  bars.find((one) => one.dataset.label === focused)?.focus();
}

/** A bar of a class, with a mark at the threshold from which the class is chosen, if it has one. */
function bar(label, probability, isChosen, click, threshold) {
  const mark = threshold === undefined ? null : h("span", { class: "mark" });
  if (mark) mark.style.insetInlineStart = `${100 * threshold}%`;
  const track = h("span", { class: "track" }, fill(probability), mark);
  const name = h("span", { class: "label", title: label }, label);
  const value = h("span", { class: "value" }, percent(probability));
  return h(
    "button",
    { type: "button", class: isChosen ? "bar best" : "bar", "data-label": label, click },
    name, track, value,
  );
}

/** The filled part of a bar; `share` of its length, 0 to 1. */
export function fill(share) {
  const part = h("span", { class: "fill" });
  part.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  return part;
}

/** The predicted number, or the log-odds of a class. */
export function valueOrLogOdds(row, index) {
  if (row.value !== undefined) return row.value;
  const probability = Math.min(1 - 1e-7, Math.max(1e-9, row.probabilities[index]));
  return Math.log(probability) - Math.log1p(-probability);
}

/** A list of bars to the left or right of zero, largest first; rows are {name, detail, effect}. */
export function effectBars(rows) {
  const sorted = [...rows].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const largest = Math.max(1e-9, ...sorted.map((one) => Math.abs(one.effect)));
  const lines = sorted.map(({ name, detail, effect }) => {
    const part = h("span", { class: effect < 0 ? "fill against" : "fill" });
    part.style.width = `${(50 * Math.abs(effect)) / largest}%`;
    return h(
      "li",
      {},
      h("span", { class: "label" }, name, h("span", { class: "soft" }, ` ${detail}`)),
      h("span", { class: effect < 0 ? "signed-track minus" : "signed-track" }, part),
      h("span", { class: "value" }, signed(effect, largest)),
    );
  });
  return h("ol", { class: "effects" }, lines);
}
