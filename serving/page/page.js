/** The page: which model is asked, what is told of it, and the frame around each kind. */

import { curl, models } from "./api.js";
import { h, number } from "./dom.js";

const KINDS = {
  image: () => import("./image.js"),
  row: () => import("./row.js"),
  text: () => import("./text.js"),
  ids: () => import("./ids.js"),
};
const METRICS = {
  accuracy: "Accuracy",
  rmse: "Root mean squared error",
  mae: "Mean absolute error",
};
const EVERY = 30_000; // milliseconds between two looks for other versions
const FRACTIONS = ["accuracy", "macro_f1"]; // metrics that are shown in per cent
const $ = (id) => document.getElementById(id);

/** What a kind of question sees of the page while one model is asked. */
class View {
  constructor(model, kept = null) {
    this.model = model;
    this.kept = kept; // what was asked of the version before, as its kind keeps it
    this.keep = () => null; // the same of this one; a kind says how
    this.about = model.about;
    this.left = new AbortController();
    this.turn = new AbortController();
  }

  /** The parts that a kind fills. */
  get question() { return $("question-body"); }
  get answer() { return $("answer"); }
  get why() { return $("why"); }

  /** Over when another model is chosen. */
  get signal() { return this.left.signal; }

  title(words) { $("title").textContent = words; }

  /** Say an answer to those who do not see it. */
  say(words) { $("said").textContent = words; }

  /** Show content as the explanation, or none. */
  explain(title, ...content) {
    $("why-title").textContent = title;
    this.why.replaceChildren(...content);
    $("why-card").hidden = !content.length;
  }

  /** Before anything was asked. */
  idle(words) {
    this.turn.abort();
    this.busy(false);
    this.answer.replaceChildren(h("p", { class: "soft idle" }, words));
    this.explain("Why");
    this.command("");
    this.say("");
  }

  /** The command that asks the same; `body` of the REST interface, or the command itself. */
  command(body) {
    $("curl").textContent = typeof body === "string" ? body : curl(this.model, body);
    $("curl-card").hidden = !body;
  }

  /** The answer stands, though what explains it failed. */
  unexplained(error, signal) {
    if (signal.aborted) throw error;
    this.explain("Why", h("p", { class: "soft" }, `This could not be explained: ${error.message}`));
  }

  busy(on) {
    for (const part of [this.answer, this.why]) part.setAttribute("aria-busy", String(on));
  }

  /** Ask: the newest question wins, and trouble is told in words. */
  async take(asking) {
    this.turn.abort();
    const turn = new AbortController();
    this.turn = turn;
    this.busy(true);
    try {
      await asking(AbortSignal.any([turn.signal, this.signal]));
    } catch (error) {
      if (!turn.signal.aborted && !this.signal.aborted) this.fail(error);
    } finally {
      if (this.turn === turn) this.busy(false);
    }
  }

  fail(error) {
    const words = h("p", {}, error.message || "Something went wrong.");
    this.answer.replaceChildren(h("div", { class: "trouble", role: "alert" }, words));
    this.explain("Why");
  }
}

let view = null;
let served = [];

async function begin() {
  try {
    served = await models();
  } catch (error) {
    return trouble("The models could not be listed", error.message);
  }
  if (!served.length) {
    return trouble("No model is served", "Give the server a run: athanor serve RUN");
  }
  await choose();
}

function trouble(title, words) {
  $("title").textContent = title;
  $("score").textContent = "";
  $("trouble").textContent = words;
  $("trouble").hidden = false;
  $("pair").hidden = true;
  $("curl-card").hidden = true;
}

/** Show the model that the address names, or the first. */
async function choose(kept = null) {
  const name = named(location.hash.slice(1));
  const model = served.find((one) => one.name === name) ?? served[0];
  view?.left.abort();
  navigate(model);
  document.title = `${model.name} \u00b7 athanor`;
  const kind = KINDS[model.about?.question];
  if (!kind) {
    const words =
      "It has no about.json that this page can read. Programs can ask it all the same: " +
      `v1/models/${model.name}/metadata tells what it takes.`;
    return trouble(`The page does not know what to ask ${model.name}`, words);
  }
  view = new View(model, kept);
  const current = view;
  const { mount } = await kind();
  if (current !== view) return;
  $("trouble").hidden = true;
  $("pair").hidden = false;
  Object.assign($("pair").dataset, { kind: model.about.question, answer: model.about.answer });
  $("score").replaceChildren(...scored(model));
  view.question.replaceChildren();
  mount(view);
}

/** A part of an address as text; what is no text names nothing. */
function named(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

/** Where another version is served by now, its labels and columns are others, too. */
async function renew() {
  if (document.hidden || !view) return;
  let now;
  try {
    now = await models();
  } catch {
    return; // told when somebody asks
  }
  const { name, version } = view.model;
  const found = now.find((one) => one.name === name);
  if (!found || found.version === version) return;
  served = now;
  const same = found.about?.question === view.about?.question;
  const place = fields().indexOf(document.activeElement);
  await choose(same ? view.keep() : null);
  if (same) fields()[place]?.focus({ preventScroll: true });
}

/** Where people write, choose or draw. */
function fields() {
  return [...$("question-body").querySelectorAll("input, select, textarea, canvas")];
}

function navigate(model) {
  const links = served.map((one) =>
    h("a", { href: `#${encodeURIComponent(one.name)}`, "aria-current": one === model && "page" },
      one.name),
  );
  $("models").replaceChildren(...(served.length > 1 ? links : [h("span", {}, model.name)]));
}

/** How good the model is, by the examples that it never saw. */
function scored({ about, version }) {
  const parts = [`Version ${version}`];
  const { score } = about;
  if (score) {
    const show = FRACTIONS.includes(score.metric) ? (x) => (100 * x).toFixed(1) : number;
    const unit = FRACTIONS.includes(score.metric) ? "\u202f%" : "";
    const name = METRICS[score.metric] ?? score.metric.replaceAll("_", " ").toUpperCase();
    const between = score.low == null ? "" : ` (${show(score.low)} to ${show(score.high)})`;
    const value = h("strong", {}, show(score.value) + unit);
    const remarks = (about.remarks ?? []).map((text) => h("span", { class: "remark" }, text));
    const told = `${between} on held-out data`;
    return [`${name} `, value, told, h("span", { class: "dot" }), ...parts, ...remarks];
  }
  return parts;
}

function dress() {
  const button = $("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to ${dark() ? "light" : "dark"} colours`);
    document.dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // Not kept, where storage is forbidden.
    }
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy").textContent = "Copied";
  } catch {
    // Clipboards belong to safe addresses; what is marked can be copied by hand.
    getSelection().selectAllChildren($("curl"));
    $("copy").textContent = "Marked: press Ctrl+C";
  }
  setTimeout(() => { $("copy").textContent = "Copy"; }, 2500);
}

dress();
$("copy").addEventListener("click", copy);
addEventListener("hashchange", () => choose());
document.addEventListener("visibilitychange", renew);
setInterval(renew, EVERY);
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address names a model, not a part of the page.
  event.preventDefault();
  $("question").focus();
});
await begin();
