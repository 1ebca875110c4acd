/** The page: choice of the model, its score, and the frame around each modality. */

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
const REFRESH_MILLISECONDS = 30_000; // between two checks for new versions
const FRACTIONS = ["accuracy", "macro_f1"]; // metrics that are shown in per cent
const $ = (id) => document.getElementById(id);

/** The interface of the page for the script of a modality. */
class View {
  constructor(model, kept = null) {
    this.model = model;
    this.kept = kept; // the input for the previous version
    this.keep = () => null; // returns the present input; set by the script
    this.about = model.about;
    this.left = new AbortController();
    this.turn = new AbortController();
  }

  /** The parts that a script fills. */
  get question() { return $("question-body"); }
  get answer() { return $("answer"); }
  get why() { return $("why"); }

  /** Aborted when the user chooses another model. */
  get signal() { return this.left.signal; }

  title(words) { $("title").textContent = words; }

  /** Announce a prediction to screen readers. */
  say(words) { $("said").textContent = words; }

  /** Show an explanation, or hide the card. */
  explain(title, ...content) {
    $("why-title").textContent = title;
    this.why.replaceChildren(...content);
    $("why-card").hidden = !content.length;
  }

  /** Show a hint before the first prediction. */
  idle(words) {
    this.turn.abort();
    this.busy(false);
    this.answer.replaceChildren(h("p", { class: "soft idle" }, words));
    this.explain("Explanation");
    this.command("");
    this.say("");
  }

  /** Show the curl command; `body` is the body of a request, or the command itself. */
  command(body) {
    $("curl").textContent = typeof body === "string" ? body : curl(this.model, body);
    $("curl-card").hidden = !body;
  }

  /** Report a failed explanation; the prediction stays. */
  unexplained(error, signal) {
    if (signal.aborted) throw error;
    this.explain("Explanation", h("p", { class: "soft" }, `The explanation failed: ${error.message}`));
  }

  busy(on) {
    for (const part of [this.answer, this.why]) part.setAttribute("aria-busy", String(on));
  }

  /** Run a request: the newest one wins, and errors are shown. */
  async take(request) {
    this.turn.abort();
    const turn = new AbortController();
    this.turn = turn;
    this.busy(true);
    try {
      await request(AbortSignal.any([turn.signal, this.signal]));
    } catch (error) {
      if (!turn.signal.aborted && !this.signal.aborted) this.fail(error);
    } finally {
      if (this.turn === turn) this.busy(false);
    }
  }

  fail(error) {
    const words = h("p", {}, error.message || "Something went wrong.");
    this.answer.replaceChildren(h("div", { class: "trouble", role: "alert" }, words));
    this.explain("Explanation");
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
    return trouble("No model is served", "Start the server with a run: athanor serve RUN");
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

/** Show the model in the URL, or the first. */
async function choose(kept = null) {
  const name = named(location.hash.slice(1));
  const model = served.find((one) => one.name === name) ?? served[0];
  view?.left.abort();
  navigate(model);
  document.title = `${model.name} \u00b7 athanor`;
  const kind = KINDS[model.about?.question];
  if (!kind) {
    const words =
      "It has no about.json that this page can read. Programs can still use it: " +
      `v1/models/${model.name}/metadata lists its inputs.`;
    return trouble(`This page cannot show ${model.name}`, words);
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

/** Decode a part of a URL; invalid text gives "". */
function named(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

/** Load a new version: its labels and columns may differ. */
async function renew() {
  if (document.hidden || !view) return;
  let now;
  try {
    now = await models();
  } catch {
    return; // the next request reports it
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

/** The input elements. */
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

/** The score of the model on the test set, and its version. */
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
    const told = `${between} on the test set`;
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
      // The browser may forbid storage.
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
    // Only secure pages may use the clipboard; the user can copy the selection.
    getSelection().selectAllChildren($("curl"));
    $("copy").textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { $("copy").textContent = "Copy"; }, 2500);
}

dress();
$("copy").addEventListener("click", copy);
addEventListener("hashchange", () => choose());
document.addEventListener("visibilitychange", renew);
setInterval(renew, REFRESH_MILLISECONDS);
document.querySelector(".skip").addEventListener("click", (event) => {
  // The hash of the URL names a model, not an element.
  event.preventDefault();
  $("question").focus();
});
await begin();
