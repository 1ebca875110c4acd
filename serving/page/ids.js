/** Ids: recommended items for a user, a predicted rating, and similar items. */

import { predict } from "./api.js";
import { fill } from "./predictions.js";
import { debounce, examples, field, newId, h, number, examplesTitle } from "./dom.js";

const NUM_SIMILAR = 8;
const DEBOUNCE_MILLISECONDS = 250;

export function mount(view) {
  const { about } = view;
  view.setTitle("Choose a user");
  const names = about.users.length ? about.users : about.examples.map((one) => one.user);
  const users = h("datalist", { id: newId("users") }, names.map(option));
  const items = h("datalist", { id: newId("items") }, about.items.map(option));
  const user = h("input", { list: users.id, autocomplete: "off", spellcheck: "false" });
  const item = h("input", { list: items.id, autocomplete: "off", spellcheck: "false" });
  const k = h("input", { type: "number", min: "1", max: "50", value: "10", inputmode: "numeric" });
  const seen = h("input", { type: "checkbox", checked: true, id: newId("seen") });
  const hasSimilar = about.signatures.similar !== undefined;
  const rating = h("p", { class: "headline small-headline" });

  /** Show the predicted rating of the pair, and similar items. */
  const showPair = async (signal) => {
    const pair = { user: user.value, item: item.value };
    if (!pair.user || !pair.item) return view.showExplanation("Selected item");
    const [predicted] = await predict(view.model, { instances: [pair] }, signal);
    rating.replaceChildren(number(predicted.rating), h("span", {}, "predicted rating" + spread(predicted)));
    highlight(view, pair.item);
    const parts = [rating, h("p", { class: "soft small" }, `of ${pair.item} by ${pair.user}`)];
    if (hasSimilar) {
      const body = { signature_name: "similar", inputs: { item: [pair.item], k: NUM_SIMILAR } };
      parts.push(...similarItems(await predict(view.model, body, signal), pair.item, choose));
    }
    view.showExplanation("Selected item", ...parts);
  };
  const choose = (name) => {
    item.value = name;
    view.run(showPair);
  };
  /** Show the recommended items of the user. */
  const showList = async (signal) => {
    const recommended = await predict(view.model, listBody(), signal);
    const names = recommended.items[0].filter(Boolean);
    if (!names.length) return showEmptyList(view, user.value);
    const instances = names.map((name) => ({ user: user.value, item: name }));
    const ratings = await predict(view.model, { instances }, signal);
    showItems(view, names, recommended.scores[0], ratings, choose);
    if (!item.value) item.value = names[0];
    await showPair(signal);
  };
  const listBody = () => ({
    signature_name: "recommend",
    inputs: { user: [user.value], k: Math.max(1, Number(k.value) || 1), exclude_seen: seen.checked },
  });
  const update = () => {
    if (!user.value) return view.showHint("Enter a user. Unknown users get the most popular items.");
    view.showCommand(listBody());
    return view.run(showList);
  };
  const updateSoon = debounce(DEBOUNCE_MILLISECONDS, update);
  for (const input of [user, k, seen]) input.addEventListener("input", updateSoon);
  item.addEventListener("input", debounce(DEBOUNCE_MILLISECONDS, () => view.run(showPair)));
  const pick = (position) => {
    user.value = names[position];
    item.value = "";
    update();
  };
  view.input.append(
    field("User", user, "a known user, or any other id"), users,
    examples(names.slice(0, 6), pick, about.users.length ? "Known users" : examplesTitle(about)) ?? "",
    h("div", { class: "row fields" },
      field("List length", k),
      h("div", { class: "check" }, seen, h("label", { for: seen.id }, "Exclude seen items"))),
    h("hr"),
    field("Selected item", item, "shows the predicted rating by this user, and similar items"), items,
  );
  view.readInput = () => [user.value, item.value, k.value, seen.checked];
  if (view.previousInput) {
    [user.value, item.value, k.value, seen.checked] = view.previousInput;
    update();
  } else if (names.length) pick(0);
  else update();
}

/** The standard deviation of a rating, if the model knows it. */
function spread(predicted) {
  return predicted.rating_std === undefined ? "" : ` \u00b1 ${number(predicted.rating_std)}`;
}

function option(value) {
  return h("option", { value });
}

function showEmptyList(view, name) {
  const text = `${name} has seen every item. Uncheck \u201cExclude seen items\u201d.`;
  view.prediction.replaceChildren(h("p", { class: "soft idle" }, text));
  view.showExplanation("Selected item");
}

function showItems(view, names, scores, ratings, choose) {
  const known = scores.filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...known), Math.max(...known)];
  const rows = names.map((name, position) => {
    const share = (scores[position] - low) / (high - low || 1);
    const button = h("button", { type: "button", class: "link", click: () => choose(name) }, name);
    return h("tr", { "data-item": name },
      h("td", { class: "rank" }, String(position + 1)),
      h("th", { scope: "row" }, button),
      h("td", { class: "wide-cell", "aria-hidden": "true" },
        h("span", { class: "track" }, fill(share))),
      h("td", { class: "value" }, number(scores[position], high)),
      h("td", { class: "value" }, number(ratings[position].rating)));
  });
  view.prediction.replaceChildren(
    h("table", { class: "list" },
      h("caption", { class: "visually-hidden" }, "Recommended items for this user"),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col", class: "rank" }, "#"),
        h("th", { scope: "col" }, "Item"),
        h("th", { scope: "col", class: "wide-cell", "aria-hidden": "true" }),
        h("th", { scope: "col", class: "value" }, "Score"),
        h("th", { scope: "col", class: "value" }, "Rating"))),
      h("tbody", {}, rows)),
    h("p", { class: "soft small" }, "Sorted by score. Rating: the predicted rating by this user. " +
      "Select an item to see similar ones."),
  );
  view.announce(`Top of ${names.length}: ${names.slice(0, 3).join(", ")}`);
}

function highlight(view, name) {
  for (const row of view.prediction.querySelectorAll("tr[data-item]")) {
    row.classList.toggle("chosen", row.dataset.item === name);
  }
}

function similarItems(similar, name, choose) {
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
