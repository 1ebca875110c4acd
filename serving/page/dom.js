/** Makes elements from plain data, and formats numbers. Nothing here parses markup. */

/** An element. Of its attributes, functions are listeners; true and false mean present and absent. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  fillIn(element, ...children);
  return element;
}

/** Replace the content of an element; null and false are left out. */
export function fillIn(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child != null && child !== false));
}

/** A label above an input, and a hint below it. */
export function field(label, input, hint = "") {
  input.id ||= newId("field");
  const below = hint && h("small", { class: "soft hint", id: newId("hint") }, hint);
  if (below) input.setAttribute("aria-describedby", below.id);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, below);
}

let count = 0;
/** An id that no other element has. */
export function newId(stem) {
  count += 1;
  return `${stem}-${count}`;
}

/** A title that says where the examples of a model come from. */
export const examplesTitle = (about) =>
  about.examples_from === "schema" ? "Generated examples" : "From the test data"; // also for older exports

/** Buttons that each fill in an example, under a small heading. */
export function examples(contents, choose, title = "Examples") {
  if (!contents.length) return null;
  const id = newId("examples");
  const buttons = contents.map((content, position) =>
    h("button", { type: "button", class: "example", click: () => choose(position) }, content),
  );
  return h(
    "div",
    { class: "examples", role: "group", "aria-labelledby": id },
    h("span", { class: "soft small", id }, title),
    h("div", { class: "row" }, buttons),
  );
}

/** Debounce: run a function after `milliseconds` without calls. */
export function debounce(milliseconds, run) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...given), milliseconds);
  };
}

/** A number with its significant digits; `like` is the largest of the numbers shown with it. */
export function number(value, like = value) {
  if (value == null || !Number.isFinite(value)) return "none";
  const size = Math.abs(like);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 || size === 0 ? 2 : 3;
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A number with its sign. */
export function signed(value, like = value) {
  if (!value) return "0";
  return (value < 0 ? "\u2212" : "+") + number(Math.abs(value), like);
}

/** A share as a percentage that never rounds to 0 or 100. */
export function percent(share) {
  if (share > 0.9995 && share < 1) return "> 99.9\u202f%";
  if (share < 0.0005 && share > 0) return "< 0.1\u202f%";
  return `${(100 * share).toFixed(1)}\u202f%`;
}
