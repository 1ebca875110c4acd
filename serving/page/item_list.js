/** A field for several items: each is a button that removes it. */

import { field, h, newId } from "./dom.js";

/**
 * Return the element of a field, and its `items`. Enter, or leaving the field, adds an item;
 * `changed` is called after every change. `list` is the id of a datalist.
 */
export function itemList(label, hint, list, changed) {
  const input = h("input", { list, autocomplete: "off", spellcheck: "false" });
  const chosen = h("div", { class: "row chosen-items", role: "group", id: newId("items") });
  chosen.setAttribute("aria-label", label);
  const one = { items: [], element: h("div", {}, field(label, input, hint), chosen) };
  const show = () => {
    chosen.replaceChildren(...one.items.map((item) =>
      h("button", { type: "button", class: "quiet", click: () => remove(item) },
        item, h("span", { class: "visually-hidden" }, " (remove)"),
        h("span", { "aria-hidden": "true" }, " \u00d7"))));
  };
  const remove = (item) => {
    one.set(one.items.filter((other) => other !== item));
    input.focus();
    changed();
  };
  const add = () => {
    const item = input.value.trim();
    input.value = "";
    if (!item || one.items.includes(item)) return;
    one.set([...one.items, item]);
    changed();
  };
  /** Replace the items, without a call of `changed`. */
  one.set = (items) => {
    one.items = items;
    show();
  };
  input.addEventListener("change", add);
  input.addEventListener("keydown", (event) => event.key === "Enter" && add());
  return one;
}
