/** Shows recommended items and similar items. */

import { fill } from "./predictions.js";
import { fillIn, h, number } from "./dom.js";

/**
 * Show recommended items with their scores and predicted ratings; `recommended` is the outputs of
 * the server, and `choose` is called with an item that the user selects.
 */
export function showItems(view, recommended, ratings, choose) {
  const names = recommended.items[0].filter(Boolean);
  const [scores] = recommended.scores;
  const known = scores.filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...known), Math.max(...known)];
  const rows = names.map((name, position) => {
    const share = (scores[position] - low) / (high - low || 1);
    const button = h("button", { type: "button", class: "link", click: () => choose(name) }, name);
    const because = (recommended.reasons?.[0][position] ?? []).filter(Boolean);
    return h("tr", { "data-item": name },
      h("td", { class: "rank" }, String(position + 1)),
      h("th", { scope: "row" }, button,
        because.length > 0 && h("div", { class: "soft small because" }, `like ${because.join(", ")}`)),
      h("td", { class: "wide-cell", "aria-hidden": "true" },
        h("span", { class: "track" }, fill(share))),
      h("td", { class: "value" }, number(scores[position], high)),
      h("td", { class: "value" }, number(ratings[position].rating)));
  });
  const unknown = recommended.unknown ?? [];
  const hasReasons = recommended.reasons?.[0].some((one) => one.some(Boolean));
  fillIn(
    view.prediction,
    h("table", { class: "list" },
      h("caption", { class: "visually-hidden" }, "Recommended items"),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col", class: "rank" }, "#"),
        h("th", { scope: "col" }, "Item"),
        h("th", { scope: "col", class: "wide-cell", "aria-hidden": "true" }),
        h("th", { scope: "col", class: "value" }, "Score"),
        h("th", { scope: "col", class: "value" }, "Rating"))),
      h("tbody", {}, rows)),
    h("p", { class: "soft small" }, "The best first. Rating: the predicted rating by this user. " +
      (hasReasons ? "Like: the items of the user that are most similar. " : "") +
      "Select an item to see similar ones."),
    unknown.length > 0 &&
      h("p", { class: "soft small" }, `Unknown items are ignored: ${unknown.join(", ")}.`),
  );
  view.announce(`Top of ${names.length}: ${names.slice(0, 3).join(", ")}`);
}

/** Highlight the row of an item. */
export function highlight(view, name) {
  for (const row of view.prediction.querySelectorAll("tr[data-item]")) {
    row.classList.toggle("chosen", row.dataset.item === name);
  }
}

/** Return the elements of the items that are similar to one. */
export function similarItems(similar, name, choose) {
  const names = similar.items[0];
  if (!names.length || !names[0]) {
    return [h("p", { class: "soft" }, `No similar items are known for ${name}.`)];
  }
  const lines = names.map((other, position) =>
    h("li", {},
      h("button", { type: "button", class: "link label", click: () => choose(other) }, other),
      h("span", { class: "track" }, fill(similar.scores[0][position])),
      h("span", { class: "value" }, similar.scores[0][position].toFixed(2))));
  return [
    h("h3", {}, `Similar to ${name}`),
    h("ol", { class: "similar" }, lines),
    h("p", { class: "soft small" }, "1: always recommended to the same users; 0: as often as by chance."),
  ];
}
