/** Questions that are ids: the first items for a user, his rating of one, and what is like it. */

import { ask } from "./api.js";
import { fill } from "./answers.js";
import { calm, examples, field, fresh, h, number, source } from "./dom.js";

const NEAREST = 8;

export function mount(view) {
  const { about } = view;
  view.title("Pick a user");
  const names = about.users.length ? about.users : about.examples.map((one) => one.user);
  const users = h("datalist", { id: fresh("users") }, names.map(option));
  const items = h("datalist", { id: fresh("items") }, about.items.map(option));
  const user = h("input", { list: users.id, autocomplete: "off", spellcheck: "false" });
  const item = h("input", { list: items.id, autocomplete: "off", spellcheck: "false" });
  const k = h("input", { type: "number", min: "1", max: "50", value: "10", inputmode: "numeric" });
  const seen = h("input", { type: "checkbox", checked: true, id: fresh("seen") });
  const alike = about.signatures.similar !== undefined;
  const rating = h("p", { class: "headline small-headline" });

  /** The rating of the pair, and the items like this one. */
  const one = async (signal) => {
    const pair = { user: user.value, item: item.value };
    if (!pair.user || !pair.item) return view.explain("One item");
    const [given] = await ask(view.model, { instances: [pair] }, signal);
    rating.replaceChildren(number(given.rating), h("span", {}, "expected rating"));
    mark(view, pair.item);
    const parts = [rating, h("p", { class: "soft small" }, `of ${pair.item}, by ${pair.user}`)];
    if (alike) {
      const body = { signature_name: "similar", inputs: { item: [pair.item], k: NEAREST } };
      parts.push(...nearest(await ask(view.model, body, signal), pair.item, choose));
    }
    view.explain("One item", ...parts);
  };
  const choose = (name) => {
    item.value = name;
    view.take(one);
  };
  const list = async (signal) => {
    const found = await ask(view.model, listBody(), signal);
    const names = found.items[0].filter(Boolean);
    if (!names.length) return empty(view, user.value);
    const instances = names.map((name) => ({ user: user.value, item: name }));
    const ratings = await ask(view.model, { instances }, signal);
    show(view, names, found.scores[0], ratings, choose);
    if (!item.value) item.value = names[0];
    await one(signal);
  };
  const listBody = () => ({
    signature_name: "recommend",
    inputs: { user: [user.value], k: Math.max(1, Number(k.value) || 1), exclude_seen: seen.checked },
  });
  const now = () => {
    if (!user.value) return view.idle("Name a user; an unknown one is answered by popularity.");
    view.command(listBody());
    return view.take(list);
  };
  const soon = calm(250, now);
  for (const input of [user, k, seen]) input.addEventListener("input", soon);
  item.addEventListener("input", calm(250, () => view.take(one)));
  const pick = (place) => {
    user.value = names[place];
    item.value = "";
    now();
  };
  view.question.append(
    field("User", user, "one of these, or any other"), users,
    examples(names.slice(0, 6), pick, about.users.length ? "Known users" : source(about)) ?? "",
    h("div", { class: "row fields" },
      field("How many", k),
      h("div", { class: "check" }, seen, h("label", { for: seen.id }, "Leave out what was met"))),
    h("hr"),
    field("One item", item, "the rating that this user would give it"), items,
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
  const words = `${name} has met every item. Untick \u201cLeave out what was met\u201d.`;
  view.answer.replaceChildren(h("p", { class: "soft idle" }, words));
  view.explain("One item");
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
      h("caption", { class: "unseen" }, "The first items for this user"),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col", class: "rank" }, "#"),
        h("th", { scope: "col" }, "Item"),
        h("th", { scope: "col", class: "wide-cell", "aria-hidden": "true" }),
        h("th", { scope: "col", class: "value" }, "Score"),
        h("th", { scope: "col", class: "value" }, "Rating"))),
      h("tbody", {}, rows)),
    h("p", { class: "soft small" }, "Ordered by score; the rating is what this user would give. " +
      "Press an item to see what is like it."),
  );
  view.say(`First of ${names.length}: ${names.slice(0, 3).join(", ")}`);
}

function mark(view, name) {
  for (const row of view.answer.querySelectorAll("tr[data-item]")) {
    row.classList.toggle("chosen", row.dataset.item === name);
  }
}

function nearest(found, name, choose) {
  const names = found.items[0];
  if (!names.length || !names[0]) {
    return [h("p", { class: "soft" }, `Nothing is known of ${name}: it has no neighbours.`)];
  }
  const lines = names.map((other, place) =>
    h("li", {},
      h("button", { type: "button", class: "link label", click: () => choose(other) }, other),
      h("span", { class: "track" }, fill(found.scores[0][place])),
      h("span", { class: "value" }, found.scores[0][place].toFixed(2))));
  return [
    h("h3", {}, `Most like ${name}`),
    h("ol", { class: "nearest" }, lines),
    h("p", { class: "soft small" }, "Offered to the same users: 1 is always, 0 is as by chance."),
  ];
}
