/** Rows: a field for each column, and the effect of each column on the prediction. */

import { predict } from "./api.js";
import { effectBars, showPrediction, valueOrLogOdds } from "./predictions.js";
import { debounce, examples, field, newId, h, number, examplesTitle } from "./dom.js";

const MAX_SHOWN_COLUMNS = 12;
const MAX_TESTED_COLUMNS = 100; // each adds a row of all columns to a request
const DAYS = "days since 1970";
const MAX_LISTED_VALUES = 50; // about.json lists no more; a column may have others
const DEBOUNCE_MILLISECONDS = 120;

export function mount(view) {
  const { about } = view;
  const cells = about.columns.map(cell);
  view.setTitle("Enter a row");

  const cards = h("div", { class: "cells" });
  const others = h("div", { class: "cells" });
  const rest = cells.length > MAX_SHOWN_COLUMNS && h("details", {},
    h("summary", {}, `${cells.length - MAX_SHOWN_COLUMNS} more columns`), others);
  const arrange = (sorted) => {
    cards.replaceChildren(...sorted.slice(0, MAX_SHOWN_COLUMNS).map((one) => one.element));
    others.replaceChildren(...sorted.slice(MAX_SHOWN_COLUMNS).map((one) => one.element));
  };
  const rank = (names) => {
    const positions = new Map(names.map((name, position) => [name, position]));
    const position = ({ name }) => positions.get(name) ?? names.length;
    cells.sort((a, b) => position(a) - position(b));
    arrange(cells);
  };
  // Keep the order of the fields when a new version arrives.
  rank(view.previousInput ? Object.keys(view.previousInput) : about.columns.map((one) => one.name));
  if (rest && !view.previousInput) {
    const untouched = () => !cells.some((one) => one.element.contains(document.activeElement));
    // After an error the columns keep the order of the table.
    byEffect(view).then((names) => untouched() && rank(names), () => {});
  }

  const update = () => {
    const row = Object.fromEntries(cells.map((one) => [one.name, one.read()]));
    view.showCommand({ instances: [row] });
    return view.run(async (signal) => {
      const [predicted] = await predict(view.model, { instances: [row] }, signal);
      let tested = null;
      const explain = (index) => tested && showEffects(view, row, predicted, tested, index);
      const best = showPrediction(view, predicted, explain);
      // One batch: a row of typical values, then a copy of this row for each changed column.
      const typical = typicals(about);
      const changed = about.columns.map((one) => one.name).filter((name) => row[name] !== typical[name]);
      const names = changed.slice(0, MAX_TESTED_COLUMNS);
      const instances = [typical, ...names.map((name) => ({ ...row, [name]: typical[name] }))];
      try {
        const [ofTypical, ...others] = await predict(view.model, { instances }, signal);
        const without = Object.fromEntries(names.map((name, position) => [name, others[position]]));
        tested = { ofTypical, without, numUntested: changed.length - names.length };
        explain(best);
      } catch (error) {
        view.showExplanationError(error, signal);
      }
    });
  };
  const updateSoon = debounce(DEBOUNCE_MILLISECONDS, update);
  cells.forEach((one) => one.listen(updateSoon));
  const fill = (values) => {
    cells.forEach((one) => one.write(values[one.name]));
    update();
  };
  const typical = () => fill(typicals(about));
  const reset = h("button", { type: "button", class: "quiet", click: typical }, "Reset to typical values");
  const generated = about.examples_from === "schema" ? ["Typical", "Low", "High"] : [];
  const names = about.examples.map((_, position) => generated[position] ?? `Row ${position + 1}`);
  view.input.append(
    h("div", { class: "spread" },
      examples(names, (position) => fill(about.examples[position]), examplesTitle(about)) ?? h("span"),
      reset),
    cards,
    rest || "",
  );
  view.readInput = () => Object.fromEntries(cells.map((one) => [one.name, one.read()]));
  if (view.previousInput) fill({ ...typicals(about), ...view.previousInput });
  else if (about.examples.length) fill(about.examples[0]);
  else typical();
}

/** The names of the columns, sorted by the effect of an extreme value. */
async function byEffect(view) {
  const { columns } = view.about;
  const typical = typicals(view.about);
  const tested = columns.slice(0, MAX_TESTED_COLUMNS);
  const instances = [typical, ...tested.map((one) => ({ ...typical, [one.name]: extreme(one) }))];
  const [ofTypical, ...others] = await predict(view.model, { instances }, view.signal);
  const probabilities = ofTypical.probabilities ?? [1];
  const index = probabilities.indexOf(Math.max(...probabilities));
  const value = valueOrLogOdds(ofTypical, index);
  const effects = new Map(
    tested.map(({ name }, position) => [name, Math.abs(valueOrLogOdds(others[position], index) - value)]),
  );
  const effect = (name) => effects.get(name) ?? 0;
  return columns.map((one) => one.name).sort((a, b) => effect(b) - effect(a));
}

/** The end of the range that is farther from the typical value, or another category. */
function extreme({ kind, typical, low, high, values }) {
  if (kind !== "number") return values.find((one) => one !== typical) ?? typical;
  return high - typical >= typical - low ? high : low;
}

/** The typical value of each column. */
function typicals({ columns }) {
  return Object.fromEntries(columns.map((one) => [one.name, one.typical]));
}

/** The field of a column: its name and element, and functions to read, write and listen. */
function cell(column) {
  return column.kind === "number" ? numberCell(column) : categoryCell(column);
}

function numberCell({ name, title, typical, low, high, unit }) {
  const step = stepOf(low, high);
  const input = h("input", { type: "number", step, inputmode: "decimal", placeholder: "missing" });
  // The slider is for mouse and touch; the keyboard uses the field.
  const slider = h("input", {
    type: "range", min: low, max: high, step: "any", tabindex: "-1", "aria-hidden": "true",
  });
  const [lowText, highText, typicalText] = [low, high, typical].map((value) => withDate(value, unit, step));
  const hint = `${lowText} to ${highText}, typical ${typicalText}${unit ? `, in ${unit}` : ""}`;
  const element = field(title ?? name, input, hint);
  input.after(slider);
  const write = (value) => {
    const missing = value == null || Number.isNaN(Number(value));
    input.value = missing ? "" : value;
    slider.value = missing ? typical : value;
  };
  const read = () => (input.value === "" ? NaN : input.valueAsNumber);
  const listen = (onChange) => {
    input.addEventListener("input", () => {
      slider.value = input.value === "" ? typical : input.value;
      onChange();
    });
    slider.addEventListener("input", () => {
      const value = Math.round(slider.value / step) * step;
      input.value = String(Number(value.toPrecision(15)));
      onChange();
    });
  };
  return { name, element, read, write, listen };
}

/** A step of one, two or five times a power of ten: about a hundredth of the range. */
function stepOf(low, high) {
  const hundredth = (high - low) / 100 || 1;
  const power = 10 ** Math.floor(Math.log10(hundredth));
  const step = [1, 2, 5, 10].find((one) => one * power >= hundredth) * power;
  return Number(step.toPrecision(1));
}

/** A number with five digits, or enough to show a hundredth of a step. */
function rounded(value, step = Math.abs(value)) {
  const digits = Math.ceil(Math.log10(Math.abs(value) / step || 1)) + 2;
  return String(Number(Number(value).toPrecision(Math.min(15, Math.max(5, digits)))));
}

/** A rounded number; days since 1970 with their date. */
function withDate(value, unit, step) {
  const date = new Date(unit === DAYS ? value * 864e5 : NaN);
  const text = rounded(value, step);
  return Number.isNaN(date.getTime()) ? text : `${text} (${date.toISOString().slice(0, 10)})`;
}

function categoryCell({ name, title, kind, typical, values }) {
  const known = values.includes(typical) ? values : [typical, ...values];
  const free = kind !== "category" || known.length >= MAX_LISTED_VALUES;
  const options = known.map((value) => h("option", { value }, value));
  const id = newId("values");
  const input = free ? h("input", { list: id }) : h("select", {}, options);
  const element = field(title ?? name, input, `typical: ${typical || "empty"}`);
  if (free) element.append(h("datalist", { id }, options));
  const write = (value) => {
    if (!free && ![...input.options].some((one) => one.value === value)) {
      input.append(h("option", { value }, value || "empty"));
    }
    input.value = value;
  };
  const listen = (onChange) => input.addEventListener("input", onChange);
  return { name, element, read: () => input.value, write, listen };
}

function showEffects(view, row, predicted, { ofTypical, without, numUntested }, index) {
  const { columns, answer, labels, target } = view.about;
  const value = valueOrLogOdds(predicted, index);
  const rows = columns
    .filter(({ name }) => name in without)
    .map(({ name, title, unit }) => ({
      name: title ?? name,
      detail: typeof row[name] === "string" ? row[name] || "empty" : numberText(row[name], unit),
      effect: value - valueOrLogOdds(without[name], index),
    }))
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect))
    .slice(0, MAX_SHOWN_COLUMNS);
  const classes = answer === "classes";
  const title = classes ? `Effect of each column on \u201c${labels[index]}\u201d` : "Effect of each column";
  const unit = classes ? "in log-odds" : target?.unit ?? "";
  const caption = classes
    ? "Change of the log-odds by this value, compared with the typical value of the column."
    : `Change of the prediction by this value, compared with the typical value of the column. ` +
      `If all values are typical, the prediction is ${number(ofTypical.value)}${unit ? ` ${unit}` : ""}.`;
  const untested = numUntested ? ` ${numUntested} more changed columns were not tested.` : "";
  if (!rows.length) {
    const hint = "All columns have their typical values. Change one to see its effect.";
    view.showExplanation(title, h("p", { class: "soft small" }, hint));
    return;
  }
  view.showExplanation(title, effectBars(rows), h("p", { class: "soft small" }, caption + untested));
}

function numberText(value, unit) {
  return Number.isNaN(value) ? "missing" : withDate(value, unit);
}
