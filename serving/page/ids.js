/** Ids: recommended items for a user or for liked items, a predicted rating, and similar items. */

import { predict } from "./api.js";
import { debounce, examples, examplesTitle, field, h, newId, number } from "./dom.js";
import { itemList } from "./item_list.js";
import { highlight, showItems, similarItems } from "./item_tables.js";

const NUM_SIMILAR = 8;
const DEBOUNCE_MILLISECONDS = 250;
const WITH_OPTIONS = "recommend_with"; // exports of older versions lack this signature

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
  const diversity = h("input", { type: "range", min: "0", max: "1", step: "0.1", value: "0" });
  const changed = () => update();
  const liked = itemList("Liked items", "in place of a user; Enter adds an item", items.id, () => {
    if (liked.items.length) user.value = "";
    update();
  });
  const only = itemList("Only these items", "", items.id, changed);
  const exclude = itemList("Leave out", "", items.id, changed);
  const attributes = h("datalist", { id: newId("attributes") }, (about.attributes ?? []).map(option));
  const onlyWith = itemList("Only with", "such as genre=Noir", attributes.id, changed);
  const excludeWith = itemList("Without", "", attributes.id, changed);
  const lists = [liked, only, exclude, onlyWith, excludeWith];
  const hasAttributes = attributes.children.length > 0;
  const hasOptions = about.signatures[WITH_OPTIONS] !== undefined;
  const hasSimilar = about.signatures.similar !== undefined;
  const rating = h("p", { class: "headline small-headline" });

  /** Show the predicted rating of the pair, and similar items. */
  const showPair = async (signal) => {
    const pair = { user: user.value, item: item.value };
    if (!pair.item || !(pair.user || liked.items.length)) return view.showExplanation("Selected item");
    const [predicted] = await predict(view.model, { instances: [pair] }, signal);
    rating.replaceChildren(number(predicted.rating), h("span", {}, "predicted rating" + spread(predicted)));
    highlight(view, pair.item);
    const by = pair.user || "an unknown user";
    const parts = [rating, h("p", { class: "soft small" }, `of ${pair.item} by ${by}`)];
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
  /** Show the recommended items. */
  const showList = async (signal) => {
    const recommended = await predict(view.model, listBody(), signal);
    const names = recommended.items[0].filter(Boolean);
    if (!names.length) return showEmptyList(recommended.unknown);
    const instances = names.map((name) => ({ user: user.value, item: name }));
    const ratings = await predict(view.model, { instances }, signal);
    showItems(view, recommended, ratings, choose);
    if (!item.value) item.value = names[0];
    await showPair(signal);
  };
  const showEmptyList = (unknown = []) => {
    const notes = [
      lists.slice(1).some((list) => list.items.length)
        ? "No item is left. Remove items from the filters."
        : `${user.value} has seen every item. Uncheck \u201cExclude seen items\u201d.`,
      unknown.length ? `Unknown items: ${unknown.join(", ")}.` : "",
    ];
    view.prediction.replaceChildren(h("p", { class: "soft idle" }, notes.join(" ")));
    view.showExplanation("Selected item");
  };
  const listBody = () => {
    const inputs = { k: Math.max(1, Number(k.value) || 1), exclude_seen: seen.checked };
    if (!hasOptions) return { signature_name: "recommend", inputs: { user: [user.value], ...inputs } };
    if (liked.items.length) inputs.liked = [liked.items];
    else inputs.user = [user.value];
    if (only.items.length) inputs.only = only.items;
    if (exclude.items.length) inputs.exclude = exclude.items;
    if (onlyWith.items.length) inputs.only_with = onlyWith.items;
    if (excludeWith.items.length) inputs.exclude_with = excludeWith.items;
    if (Number(diversity.value)) inputs.diversity = Number(diversity.value);
    return { signature_name: WITH_OPTIONS, inputs };
  };
  const update = () => {
    if (!user.value && !liked.items.length) {
      return view.showHint("Enter a user. Unknown users get the most popular items.");
    }
    view.showCommand(listBody());
    return view.run(showList);
  };
  const updateSoon = debounce(DEBOUNCE_MILLISECONDS, update);
  user.addEventListener("input", () => liked.set([]));
  for (const input of [user, k, seen, diversity]) input.addEventListener("input", updateSoon);
  item.addEventListener("input", debounce(DEBOUNCE_MILLISECONDS, () => view.run(showPair)));
  const pick = (position) => {
    user.value = names[position];
    item.value = "";
    liked.set([]);
    update();
  };
  const options = h("details", {},
    h("summary", {}, "Filters and diversity"),
    h("div", { class: "cells" }, only.element, exclude.element,
      hasAttributes && [onlyWith.element, excludeWith.element, attributes],
      hasSimilar && field("Diversity", diversity, "how much the items differ from each other")));
  view.input.append(
    field("User", user, "a known user, or any other id"), users,
    examples(names.slice(0, 6), pick, about.users.length ? "Known users" : examplesTitle(about)) ?? "",
    hasOptions ? liked.element : "",
    h("div", { class: "row fields" },
      field("List length", k),
      h("div", { class: "check" }, seen, h("label", { for: seen.id }, "Exclude seen items"))),
    hasOptions ? options : "",
    h("hr"),
    field("Selected item", item, "shows the predicted rating by this user, and similar items"), items,
  );
  const inputs = [user, item, k, diversity];
  view.readInput = () => ({
    values: inputs.map((input) => input.value),
    lists: lists.map((list) => list.items),
    seen: seen.checked,
  });
  if (view.previousInput) {
    const { previousInput } = view;
    inputs.forEach((input, position) => { input.value = previousInput.values[position]; });
    lists.forEach((list, position) => list.set(previousInput.lists[position]));
    seen.checked = previousInput.seen;
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
