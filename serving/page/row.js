/** Rows: a field for each column, and the effect of each column on the prediction. */

import { predict } from "./api.js";
import { effects, showAnswer, strength } from "./answers.js";
import { debounce, examples, field, fresh, h, number, source } from "./dom.js";

const MAX_SHOWN_COLUMNS = 12;
const MAX_TESTED_COLUMNS = 100; // each takes a row of all columns in a request
const DAYS = "days since 1970";
const MAX_LISTED_VALUES = 50; // of about.json; a column may have more values

export function mount(view) {
  const { about } = view;
  const cells = about.columns.map(cell);
  view.title("Enter a row");

  const cards = h("div", { class: "cells" });
  const others = h("div", { class: "cells" });
  const rest = cells.length > MAX_SHOWN_COLUMNS && h("details", {},
    h("summary", {}, `${cells.length - MAX_SHOWN_COLUMNS} more columns`), others);
  const arrange = (sorted) => {
    cards.replaceChildren(...sorted.slice(0, MAX_SHOWN_COLUMNS).map((one) => one.element));
    others.replaceChildren(...sorted.slice(MAX_SHOWN_COLUMNS).map((one) => one.element));
  };
  const rank = (names) => {
    const places = new Map(names.map((name, place) => [name, place]));
    const place = ({ name }) => places.get(name) ?? names.length;
    cells.sort((a, b) => place(a) - place(b));
    arrange(cells);
  };
  // Keep the order of the fields when a new version arrives.
  rank(view.kept ? Object.keys(view.kept) : about.columns.map((one) => one.name));
  if (rest && !view.kept) {
    const untouched = () => !cells.some((one) => one.element.contains(document.activeElement));
    ranked(view).then((names) => untouched() && rank(names), () => {}); // else the order of the table
  }

  const now = () => {
    const row = Object.fromEntries(cells.map((one) => [one.name, one.read()]));
    view.command({ instances: [row] });
    return view.take(async (signal) => {
      const [own] = await predict(view.model, { instances: [row] }, signal);
      let rows = null;
      const why = (index) => rows && explain(view, row, own, rows, index);
      const best = showAnswer(view, own, why);
      // One batch: a row of typical values, then a copy of this row for each changed column.
      const typical = typicals(about);
      const moved = about.columns.map((one) => one.name).filter((name) => row[name] !== typical[name]);
      const tried = moved.slice(0, MAX_TESTED_COLUMNS);
      const instances = [typical, ...tried.map((name) => ({ ...row, [name]: typical[name] }))];
      try {
        const [usual, ...others] = await predict(view.model, { instances }, signal);
        const without = Object.fromEntries(tried.map((name, place) => [name, others[place]]));
        rows = { usual, without, left: moved.length - tried.length };
        why(best);
      } catch (error) {
        view.unexplained(error, signal);
      }
    });
  };
  const soon = debounce(120, now);
  cells.forEach((one) => one.listen(soon));
  const fill = (values) => {
    cells.forEach((one) => one.write(values[one.name]));
    now();
  };
  const typical = () => fill(typicals(about));
  const reset = h("button", { type: "button", class: "quiet", click: typical }, "Reset to typical values");
  const made = about.examples_from === "schema" ? ["Typical", "Low", "High"] : [];
  const names = about.examples.map((_, place) => made[place] ?? `Row ${place + 1}`);
  view.question.append(
    h("div", { class: "spread" },
      examples(names, (place) => fill(about.examples[place]), source(about)) ?? h("span"),
      reset),
    cards,
    rest || "",
  );
  view.keep = () => Object.fromEntries(cells.map((one) => [one.name, one.read()]));
  if (view.kept) fill({ ...typicals(about), ...view.kept });
  else if (about.examples.length) fill(about.examples[0]);
  else typical();
}

/** Names of columns, sorted by the effect of an extreme value. */
async function ranked(view) {
  const { columns } = view.about;
  const typical = typicals(view.about);
  const tried = columns.slice(0, MAX_TESTED_COLUMNS);
  const instances = [typical, ...tried.map((one) => ({ ...typical, [one.name]: far(one) }))];
  const [usual, ...moved] = await predict(view.model, { instances }, view.signal);
  const shares = usual.probabilities ?? [1];
  const index = shares.indexOf(Math.max(...shares));
  const whole = strength(usual, index);
  const effects = new Map(
    tried.map(({ name }, place) => [name, Math.abs(strength(moved[place], index) - whole)]),
  );
  const effect = (name) => effects.get(name) ?? 0;
  return columns.map((one) => one.name).sort((a, b) => effect(b) - effect(a));
}

/** The end of the range farther from the typical value, or another category. */
function far({ kind, typical, low, high, values }) {
  if (kind !== "number") return values.find((one) => one !== typical) ?? typical;
  return high - typical >= typical - low ? high : low;
}

function typicals({ columns }) {
  return Object.fromEntries(columns.map((one) => [one.name, one.typical]));
}

function cell(column) {
  return column.kind === "number" ? numeric(column) : category(column);
}

function numeric({ name, title, typical, low, high, unit }) {
  const step = stepOf(low, high);
  const input = h("input", { type: "number", step, inputmode: "decimal", placeholder: "missing" });
  // For mouse and touch; the keyboard uses the field.
  const slider = h("input", {
    type: "range", min: low, max: high, step: "any", tabindex: "-1", "aria-hidden": "true",
  });
  const [least, most, typicalText] = [low, high, typical].map((value) => shown(value, unit, step));
  const hint = `${least} to ${most}, typical ${typicalText}${unit ? `, in ${unit}` : ""}`;
  const element = field(title ?? name, input, hint);
  input.after(slider);
  const write = (value) => {
    const missing = value == null || Number.isNaN(Number(value));
    input.value = missing ? "" : value;
    slider.value = missing ? typical : value;
  };
  const read = () => (input.value === "" ? NaN : input.valueAsNumber);
  const listen = (changed) => {
    input.addEventListener("input", () => {
      slider.value = input.value === "" ? typical : input.value;
      changed();
    });
    slider.addEventListener("input", () => {
      const value = Math.round(slider.value / step) * step;
      input.value = String(Number(value.toPrecision(15)));
      changed();
    });
  };
  return { name, element, read, write, listen };
}

/** A step of one, two or five times a power of ten: about a hundredth of the range. */
function stepOf(low, high) {
  const raw = (high - low) / 100 || 1;
  const ten = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * ten >= raw) * ten;
  return Number(step.toPrecision(1));
}

/** A number with five digits, or enough to show a hundredth of a step. */
function plain(value, step = Math.abs(value)) {
  const digits = Math.ceil(Math.log10(Math.abs(value) / step || 1)) + 2;
  return String(Number(Number(value).toPrecision(Math.min(15, Math.max(5, digits)))));
}

/** A number as `plain`; a time with its date. */
function shown(value, unit, step) {
  const date = new Date(unit === DAYS ? value * 864e5 : NaN);
  const number = plain(value, step);
  return Number.isNaN(date.getTime()) ? number : `${number} (${date.toISOString().slice(0, 10)})`;
}

function category({ name, title, typical, values }) {
  const known = values.includes(typical) ? values : [typical, ...values];
  const free = known.length >= MAX_LISTED_VALUES;
  const options = known.map((value) => h("option", { value }, value));
  const id = fresh("values");
  const input = free ? h("input", { list: id }) : h("select", {}, options);
  const element = field(title ?? name, input, `typical: ${typical || "empty"}`);
  if (free) element.append(h("datalist", { id }, options));
  const write = (value) => {
    if (!free && ![...input.options].some((one) => one.value === value)) {
      input.append(h("option", { value }, value || "empty"));
    }
    input.value = value;
  };
  const listen = (changed) => input.addEventListener("input", changed);
  return { name, element, read: () => input.value, write, listen };
}

function explain(view, row, own, { usual, without, left }, index) {
  const { columns, answer, labels, target } = view.about;
  const whole = strength(own, index);
  const moved = columns
    .filter(({ name }) => name in without)
    .map(({ name, title, unit }) => ({
      name: title ?? name,
      detail: typeof row[name] === "string" ? row[name] || "empty" : known(row[name], unit),
      effect: whole - strength(without[name], index),
    }))
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect))
    .slice(0, MAX_SHOWN_COLUMNS);
  const classes = answer === "classes";
  const title = classes ? `Effect of each column on \u201c${labels[index]}\u201d` : "Effect of each column";
  const unit = classes ? "in log-odds" : target?.unit ?? "";
  const words = classes
    ? "Change of the log-odds by this value, compared with the typical value of the column."
    : `Change of the prediction by this value, compared with the typical value of the column. ` +
      `If all values are typical, the prediction is ${number(usual.value)}${unit ? ` ${unit}` : ""}.`;
  const untried = left ? ` ${left} more changed columns were not tested.` : "";
  if (!moved.length) {
    const words = "All columns have their typical values. Change one to see its effect.";
    view.explain(title, h("p", { class: "soft small" }, words));
    return;
  }
  view.explain(title, effects(moved), h("p", { class: "soft small" }, words + untried));
}

function known(value, unit) {
  return Number.isNaN(value) ? "missing" : shown(value, unit);
}
