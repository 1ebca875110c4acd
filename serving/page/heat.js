/** Draws a heat map over an image. */

import { h } from "./dom.js";

const CANVAS_SIDE = 448; // pixels of the longer side
const SHADE = "rgba(24, 18, 15, 0.55)"; // darkens the image under the heat map
// From transparent over orange to pale yellow; brightness alone also shows the order.
const RAMP = [
  [0, [190, 60, 20, 0]],
  [0.35, [205, 75, 25, 0.38]],
  [0.7, [236, 112, 44, 0.6]],
  [1, [255, 226, 140, 0.72]],
];

/** A canvas with an image and a heat map over it: [rows][columns] of 0 to 1. */
export async function heatMap(source, heat, kind, label) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = h("canvas", {
    class: kind, role: "img", "aria-label": `Strongest support for ${label}: ${region(heat)}`,
  });
  const scale = CANVAS_SIDE / Math.max(image.width, image.height);
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = !kind.includes("pixelated");
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.fillStyle = SHADE;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(coloured(heat), 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** A canvas with a pixel for each value of a heat map. */
function coloured(heat) {
  const canvas = h("canvas");
  canvas.height = heat.length;
  canvas.width = heat[0].length;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  heat.flat().forEach((value, position) => pixels.data.set(colour(value), 4 * position));
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Red, green, blue and alpha, 0 to 255. */
function colour(value) {
  const above = Math.max(1, RAMP.findIndex(([level]) => level >= value));
  const [[low, from], [high, to]] = [RAMP[above - 1], RAMP[above]];
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const [red, green, blue, alpha] = from.map((one, k) => one + share * (to[k] - one));
  return [red, green, blue, 255 * alpha];
}

/** Describe the region of the largest value. */
function region(heat) {
  let best = [0, 0];
  heat.forEach((row, y) => row.forEach((value, x) => {
    if (value > heat[best[0]][best[1]]) best = [y, x];
  }));
  const third = (k, count, names) => names[Math.min(2, Math.floor((3 * (k + 0.5)) / count))];
  const vertical = third(best[0], heat.length, ["top", "middle", "bottom"]);
  const horizontal = third(best[1], heat[0].length, ["left", "centre", "right"]);
  return `${vertical} ${horizontal}`;
}
