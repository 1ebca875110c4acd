/** Requests to the server's REST interface, and the curl command of each. */

const MISSING = "\u0000missing\u0000"; // marks a NaN until the JSON text is complete
const WHOLE = "\u0000whole\u0000"; // marks a whole number that needs a decimal point
const MAX_EXACT_INTEGER = 2 ** 24; // the server refuses larger integers for float32

/** The served models: [{name, version, about}]. */
export async function models(signal) {
  const content = await contentOf(fetch("v1/models", { signal }));
  return Array.isArray(content) ? content : content.models ?? [];
}

/**
 * Predict. Returns an array of objects of named outputs for rows, or one object for columns.
 * Throws Error with the server's message.
 */
export async function predict(model, body, signal) {
  const request = fetch(`v1/models/${encodeURIComponent(model.name)}:predict`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: text(model, body),
    signal,
  });
  const content = await contentOf(request);
  const outputs = model.about.signatures[body.signature_name ?? "serving_default"].outputs;
  const [only, ...others] = Object.keys(outputs);
  // TensorFlow Serving omits the name of a single output.
  if (content.outputs !== undefined) {
    return others.length ? content.outputs : { [only]: content.outputs };
  }
  return others.length ? content.predictions : content.predictions.map((one) => ({ [only]: one }));
}

/** The JSON content of a response. Throws Error with the server's message. */
async function contentOf(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("No response from the server. Is it still running?");
  }
  let content;
  try {
    content = parsed(await response.text());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    content = {};
  }
  if (!response.ok) throw new Error(content.error ?? `The server returned status ${response.status}.`);
  return content;
}

/** Parse JSON; NaN and Infinity, which TensorFlow Serving writes, become null. */
function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    const words = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;
    return JSON.parse(content.replace(words, (word) => (word[0] === '"' ? word : "null")));
  }
}

/** The JSON text of a body; missing numbers are NaN, and large floats have a decimal point. */
function text(model, body) {
  const { inputs } = model.about.signatures[body.signature_name ?? "serving_default"];
  const marked = JSON.stringify(body, (name, v) => {
    if (Number.isNaN(v)) return MISSING;
    const large = Number.isInteger(v) && Math.abs(v) >= MAX_EXACT_INTEGER;
    return large && inputs[name]?.dtype.startsWith("float") ? WHOLE + v : v;
  });
  const points = marked.replace(/"\\u0000whole\\u0000([^"]+)"/g, (_, digits) =>
    digits.includes("e") ? digits : `${digits}.0`);
  return points.replaceAll(JSON.stringify(MISSING), "NaN");
}

/** The curl command of a request; single quotes protect everything but themselves. */
export function curl(model, body) {
  const quoted = text(model, body).replaceAll("'", "'\\''");
  return `curl -d '${quoted}' \\\n  ${address(model)}`;
}

/** The curl command for an image in a file. */
export function curlOfFile(model, signature, input, file) {
  const start = `{"signature_name": "${signature}", "instances": [{"${input}": {"b64": "`;
  const quoted = `'${file.replaceAll("'", "'\\''")}'`;
  return [
    `echo '${start}'$(base64 < ${quoted} | tr -d '\\n')'"}}]}' |`,
    `  curl -d @- ${address(model)}`,
  ].join("\n");
}

/** The URL of predictions. */
function address(model) {
  return new URL(`v1/models/${encodeURIComponent(model.name)}:predict`, document.baseURI).href;
}
