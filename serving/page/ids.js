/** Ids: recommended items for a user, a predicted rating, and similar items. */

import { predict } from "./api.js";
import { fill } from "./answers.js";
import { debounce, examples, field, fresh, h, number, source } from "./dom.js";

const NUM_SIMILAR = 8;

export function mount(view) {
  const { about } = view;
  view.title("Choose a user");
  const names = about.users.length ? about.users : about.examples.map((one) => one.user);
  const users = h("datalist", { id: fresh("users") }, names.map(option));
  const items = h("datalist", { id: fresh("items") }, about.items.map(option));
  const user = h("input", { list: users.id, autocomplete: "off", spellcheck: "false" });
  const item = h("input", { list: items.id, autocomplete: "off", spellcheck: "false" });
  const k = h("input", { type: "number", min: "1", max: "50", value: "10", inputmode: "numeric" });
  const seen = h("input", { type: "checkbox", checked: true, id: fresh("seen") });
  const hasSimilar = about.signatures.similar !== undefined;
  const rating = h("p", { class: "headline small-headline" });

  /** The predicted rating of the pair, and similar items. */
  const one = async (signal) => {
    const pair = { user: user.value, item: item.value };
    if (!pair.user || !pair.item) return view.explain("Selected item");
    const [given] = await predict(view.model, { instances: [pair] }, signal);
    rating.replaceChildren(number(given.rating), h("span", {}, "predicted rating"));
    mark(view, pair.item);
    const parts = [rating, h("p", { class: "soft small" }, `of ${pair.item} by ${pair.user}`)];
    if (hasSimilar) {
      const body = { signature_name: "similar", inputs: { item: [pair.item], k: NUM_SIMILAR } };
      parts.push(...nearest(await predict(view.model, body, signal), pair.item, choose));
    }
    view.explain("Selected item", ...parts);
  };
  const choose = (name) => {
    item.value = name;
    view.take(one);
  };
  const list = async (signal) => {
    const found = await predict(view.model, listBody(), signal);
    const names = found.items[0].filter(Boolean);
    if (!names.length) return empty(view, user.value);
    const instances = names.map((name) => ({ user: user.value, item: name }));
    const ratings = await predict(view.model, { instances }, signal);
    show(view, names, found.scores[0], ratings, choose);
    if (!item.value) item.value = names[0];
    await one(signal);
  };
  const listBody = () => ({
    signature_name: "recommend",
    inputs: { user: [user.value], k: Math.max(1, Number(k.value) || 1), exclude_seen: seen.checked },
  });
  const now = () => {
    if (!user.value) return view.idle("Enter a user. Unknown users get the most popular items.");
    view.command(listBody());
    return view.take(list);
  };
  const soon = debounce(250, now);
  for (const input of [user, k, seen]) input.addEventListener("input", soon);
  item.addEventListener("input", debounce(250, () => view.take(one)));
  const pick = (place) => {
    user.value = names[place];
    item.value = "";
    now();
  };
  view.question.append(
    field("User", user, "a known user, or any other id"), users,
    examples(names.slice(0, 6), pick, about.users.length ? "Known users" : source(about)) ?? "",
    h("div", { class: "row fields" },
      field("List length", k),
      h("div", { class: "check" }, seen, h("label", { for: seen.id }, "Exclude seen items"))),
    h("hr"),
    field("Selected item", item, "shows the predicted rating by this user, and similar items"), items,
  );
  view.keep = () => [user.value, item.value, k.value, seen.checked];
  if (view.kept) {
    [user.value, item.value, k.value, seen.checked] = view.kept;
    now();
  } else if (names.length) pick(0);
  else now();
}

function option(value) {
  return h("option", { value });
}

function empty(view, name) {
  const words = `${name} has seen every item. Uncheck \u201cExclude seen items\u201d.`;
  view.answer.replaceChildren(h("p", { class: "soft idle" }, words));
  view.explain("Selected item");
}

function show(view, names, scores, ratings, choose) {
  const known = scores.filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...known), Math.max(...known)];
  const rows = names.map((name, place) => {
    const share = (scores[place] - low) / (high - low || 1);
    const button = h("button", { type: "button", class: "link", click: () => choose(name) }, name);
    return h("tr", { "data-item": name },
      h("td", { class: "rank" }, String(place + 1)),
      h("th", { scope: "row" }, button),
      h("td", { class: "wide-cell", "aria-hidden": "true" },
        h("span", { class: "track" }, fill(share))),
      h("td", { class: "value" }, number(scores[place], high)),
      h("td", { class: "value" }, number(ratings[place].rating)));
  });
  view.answer.replaceChildren(
    h("table", { class: "list" },
      h("caption", { class: "unseen" }, "Recommended items for this user"),
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
  view.say(`Top of ${names.length}: ${names.slice(0, 3).join(", ")}`);
}

function mark(view, name) {
  for (const row of view.answer.querySelectorAll("tr[data-item]")) {
    row.classList.toggle("chosen", row.dataset.item === name);
  }
}

function nearest(found, name, choose) {
  const names = found.items[0];
  if (!names.length || !names[0]) {
    return [h("p", { class: "soft" }, `No similar items are known for ${name}.`)];
  }
  const lines = names.map((other, place) =>
    h("li", {},
      h("button", { type: "button", class: "link label", click: () => choose(other) }, other),
      h("span", { class: "track" }, fill(found.scores[0][place])),
      h("span", { class: "value" }, found.scores[0][place].toFixed(2))));
  return [
    h("h3", {}, `Similar to ${name}`),
    h("ol", { class: "nearest" }, lines),
    h("p", { class: "soft small" }, "1: always recommended to the same users; 0: as often as by chance."),
  ];
}
