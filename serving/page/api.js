/** The server's REST interface, TensorFlow Serving's, and the curl line that asks the same. */

const MISSING = "\u0000missing\u0000"; // stands for NaN until the text is made
const WHOLE = "\u0000whole\u0000"; // before a whole number that needs a decimal point
const EXACT = 2 ** 24; // from here on no whole number is taken for a float

/** The served models: [{name, version, about}]. */
export async function models(signal) {
  const given = await answered(fetch("v1/models", { signal }));
  return Array.isArray(given) ? given : given.models ?? [];
}

/**
 * The answers to rows, an object of named outputs each; or to named columns, one object.
 * Throws Error with the server's own words.
 */
export async function ask(model, body, signal) {
  const request = fetch(`v1/models/${encodeURIComponent(model.name)}:predict`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: text(model, body),
    signal,
  });
  const given = await answered(request);
  const outputs = model.about.signatures[body.signature_name ?? "serving_default"].outputs;
  const [only, ...others] = Object.keys(outputs);
  // TensorFlow Serving leaves the name out where there is one output.
  if (given.outputs !== undefined) return others.length ? given.outputs : { [only]: given.outputs };
  return others.length ? given.predictions : given.predictions.map((one) => ({ [only]: one }));
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  let content;
  try {
    content = parsed(await response.text());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    content = {};
  }
  if (!response.ok) throw new Error(content.error ?? `The server answered ${response.status}.`);
  return content;
}

/** JSON; also with the NaN and Infinity that TensorFlow Serving writes, as null. */
function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    const words = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;
    return JSON.parse(content.replace(words, (word) => (word[0] === '"' ? word : "null")));
  }
}

/** JSON text of a body, in which NaN is a missing number, and large floats have a point. */
function text(model, body) {
  const { inputs } = model.about.signatures[body.signature_name ?? "serving_default"];
  const marked = JSON.stringify(body, (name, v) => {
    if (Number.isNaN(v)) return MISSING;
    const large = Number.isInteger(v) && Math.abs(v) >= EXACT;
    return large && inputs[name]?.dtype.startsWith("float") ? WHOLE + v : v;
  });
  const points = marked.replace(/"\\u0000whole\\u0000([^"]+)"/g, (_, digits) =>
    digits.includes("e") ? digits : `${digits}.0`);
  return points.replaceAll(JSON.stringify(MISSING), "NaN");
}

/** The command that asks this; within single quotes a shell reads nothing but the quote. */
export function curl(model, body) {
  const quoted = text(model, body).replaceAll("'", "'\\''");
  return `curl -d '${quoted}' \\\n  ${address(model)}`;
}

/** The command that asks about a picture in a file. */
export function curlOfFile(model, signature, input, file) {
  const start = `{"signature_name": "${signature}", "instances": [{"${input}": {"b64": "`;
  const quoted = `'${file.replaceAll("'", "'\\''")}'`;
  return [
    `echo '${start}'$(base64 < ${quoted} | tr -d '\\n')'"}}]}' |`,
    `  curl -d @- ${address(model)}`,
  ].join("\n");
}

function address(model) {
  return new URL(`v1/models/${encodeURIComponent(model.name)}:predict`, document.baseURI).href;
}
