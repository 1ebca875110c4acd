/** The page: the choice of a model, its score, and the view that the script of a modality fills. */

import { curl, models } from "./api.js";
import { h, number } from "./dom.js";

const MODALITIES = {
  image: () => import("./image.js"),
  row: () => import("./row.js"),
  text: () => import("./text.js"),
  ids: () => import("./ids.js"),
};
const METRICS = {
  accuracy: "Accuracy",
  micro_f1: "Micro F1",
  rmse: "Root mean squared error",
  mae: "Mean absolute error",
};
const REFRESH_MILLISECONDS = 30_000; // between two checks for new versions
const FRACTIONS = ["accuracy", "micro_f1", "macro_f1"]; // metrics that are shown in per cent
const $ = (id) => document.getElementById(id);

/** The interface of the page for the script of a modality. */
class View {
  constructor(model, previousInput = null) {
    this.model = model;
    this.previousInput = previousInput; // the input when the previous version was shown
    this.readInput = () => null; // returns the present input; the script replaces it
    this.about = model.about;
    this.closing = new AbortController();
    this.request = new AbortController(); // of the newest request
  }

  /** The parts that a script fills. */
  get input() { return $("input-body"); }
  get prediction() { return $("prediction"); }
  get explanation() { return $("explanation"); }

  /** Aborted when the user chooses another model. */
  get signal() { return this.closing.signal; }

  setTitle(text) { $("title").textContent = text; }

  /** Announce a prediction to screen readers. */
  announce(text) { $("status").textContent = text; }

  /** Show an explanation; hide its card if there is no content. */
  showExplanation(title, ...content) {
    $("explanation-title").textContent = title;
    this.explanation.replaceChildren(...content);
    $("explanation-card").hidden = !content.length;
  }

  /** Show a hint before the first prediction. */
  showHint(text) {
    this.request.abort();
    this.setBusy(false);
    this.prediction.replaceChildren(h("p", { class: "soft idle" }, text));
    this.showExplanation("Explanation");
    this.showCommand("");
    this.announce("");
  }

  /** Show the curl command; `body` is the body of a request, or the command itself. */
  showCommand(body) {
    $("curl").textContent = typeof body === "string" ? body : curl(this.model, body);
    $("curl-card").hidden = !body;
  }

  /** Report a failed explanation; the prediction stays. */
  showExplanationError(error, signal) {
    if (signal.aborted) throw error;
    this.showExplanation("Explanation", h("p", { class: "soft" }, `The explanation failed: ${error.message}`));
  }

  setBusy(busy) {
    for (const part of [this.prediction, this.explanation]) part.setAttribute("aria-busy", String(busy));
  }

  /** Run a function that sends requests; abort the one before, and show errors. */
  async run(send) {
    this.request.abort();
    const request = new AbortController();
    this.request = request;
    this.setBusy(true);
    try {
      await send(AbortSignal.any([request.signal, this.signal]));
    } catch (error) {
      if (!request.signal.aborted && !this.signal.aborted) this.showError(error);
    } finally {
      if (this.request === request) this.setBusy(false);
    }
  }

  showError(error) {
    const message = h("p", {}, error.message || "Something went wrong.");
    this.prediction.replaceChildren(h("div", { class: "error", role: "alert" }, message));
    this.showExplanation("Explanation");
  }
}

let view = null;
let served = [];

async function start() {
  try {
    served = await models();
  } catch (error) {
    return showPageError("The models could not be listed", error.message);
  }
  if (!served.length) {
    return showPageError("No model is served", "Start the server with a run: athanor serve RUN");
  }
  await choose();
}

/** Show an error instead of a model. */
function showPageError(title, text) {
  $("title").textContent = title;
  $("score").textContent = "";
  $("error").textContent = text;
  $("error").hidden = false;
  $("panels").hidden = true;
  $("curl-card").hidden = true;
}

/** Show the model in the URL, or the first. */
async function choose(previousInput = null) {
  const name = decoded(location.hash.slice(1));
  const model = served.find((one) => one.name === name) ?? served[0];
  view?.closing.abort();
  showLinks(model);
  document.title = `${model.name} \u00b7 athanor`;
  const load = MODALITIES[model.about?.question];
  if (!load) {
    const text =
      "It has no about.json that this page can read. Programs can still use it: " +
      `v1/models/${model.name}/metadata lists its inputs.`;
    return showPageError(`This page cannot show ${model.name}`, text);
  }
  view = new View(model, previousInput);
  const current = view;
  const { mount } = await load();
  if (current !== view) return;
  $("error").hidden = true;
  $("panels").hidden = false;
  Object.assign($("panels").dataset, { modality: model.about.question, answer: model.about.answer });
  $("score").replaceChildren(...scoreAndVersion(model));
  view.input.replaceChildren();
  mount(view);
}

/** Decode a part of a URL; invalid text gives "". */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

/** Show a new version, whose labels and columns may differ; keep the user's input. */
async function refresh() {
  if (document.hidden || !view) return;
  let newest;
  try {
    newest = await models();
  } catch {
    return; // the next request shows the error
  }
  const { name, version } = view.model;
  const found = newest.find((one) => one.name === name);
  if (!found || found.version === version) return;
  served = newest;
  const same = found.about?.question === view.about?.question;
  const position = fields().indexOf(document.activeElement);
  await choose(same ? view.readInput() : null);
  if (same) fields()[position]?.focus({ preventScroll: true });
}

/** The input elements. */
function fields() {
  return [...$("input-body").querySelectorAll("input, select, textarea, canvas")];
}

/** Show a link for each model. */
function showLinks(model) {
  const links = served.map((one) =>
    h("a", { href: `#${encodeURIComponent(one.name)}`, "aria-current": one === model && "page" },
      one.name),
  );
  $("models").replaceChildren(...(served.length > 1 ? links : [h("span", {}, model.name)]));
}

/** The score of the model on the test set, and its version. */
function scoreAndVersion({ about, version }) {
  const parts = [`Version ${version}`];
  const { score } = about;
  if (score) {
    const format = FRACTIONS.includes(score.metric) ? (x) => (100 * x).toFixed(1) : number;
    const unit = FRACTIONS.includes(score.metric) ? "\u202f%" : "";
    const name = METRICS[score.metric] ?? score.metric.replaceAll("_", " ").toUpperCase();
    const interval = score.low == null ? "" : ` (${format(score.low)} to ${format(score.high)})`;
    const value = h("strong", {}, format(score.value) + unit);
    const remarks = (about.remarks ?? []).map((text) => h("span", { class: "remark" }, text));
    const source = `${interval} on the test set`;
    return [`${name} `, value, source, h("span", { class: "dot" }), ...parts, ...remarks];
  }
  return parts;
}

/** Let a button choose light or dark colours. */
function setUpTheme() {
  const button = $("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const update = () => {
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
    update();
  });
  system.addEventListener("change", update);
  update();
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

setUpTheme();
$("copy").addEventListener("click", copy);
addEventListener("hashchange", () => choose());
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, REFRESH_MILLISECONDS);
document.querySelector(".skip").addEventListener("click", (event) => {
  // The hash of the URL names a model, not an element.
  event.preventDefault();
  $("input").focus();
});
await start();
