/**
 * The waves of all tokens in one dimension, and what drawings of them are made of.
 *
 * What is drawn was computed by the functions of predictor.js: there are no other formulas.
 */

const WIDE = 200; // half of a drawing's width
const [HALF, WHOLE] = [
  [-100, 80],
  [-WIDE, WIDE],
]; // top and bottom of the drawing of half a circle, or of a whole one
const SPREAD = 160; // half of the width that dots fill in a drawing from nearby
const NEAR = 1.7; // times that a drawing from nearby is larger at least
const NEAREST = 14; // and at most
const STILL = 150; // words, from which on dots jump to their new places instead of moving

/**
 * @typedef {object} Scene  What all pictures share.
 * @property {Reading} reading
 * @property {Answered} answer
 * @property {number[]} scores  by unit
 * @property {number} marked  a unit, [CLS] if none is marked
 * @property {boolean} only_cls  whether [CLS] alone is read
 * @property {number[]} named  units with labels
 * @property {boolean} scaled  whether a slider was moved
 * @property {boolean} moving  whether dots move to their new places, or are there at once
 *
 * @typedef {{x: number, y: number, z: number, near: boolean}} Frame  Its middle, and units for 1.
 * @typedef {{kind: string, from: [number, number], to: [number, number]}} Line  Between numbers of the plane.
 * @typedef {{kind: string, from: number, to: number}} Arc  Between angles.
 */

/**
 * Compute the waves of all tokens in one dimension: both variants and what they combine to.
 * @param {Predictor} network
 * @param {{w: Row[], s2: Row[]}} tokens
 * @param {number} k
 * @param {Scale} [scale]
 */
function in_dimension(network, { w, s2 }, k, scale) {
  const here = scale && {
    magnitude: new Float64Array(w.length).fill(scale.magnitude[k]),
    phase: new Float64Array(w.length).fill(scale.phase[k]),
  };
  const waves = [k, network.d + k].map((column) => {
    const s = Float64Array.from(s2, (row) => Math.sqrt(row[column]));
    return scaled(
      Float64Array.from(w, (row) => row[column]),
      s,
      here,
    );
  });
  return { waves, Z: combined(waves, network.formula.combine) };
}

/**
 * Return magnitude and phase of a wave's token.
 * @param {Wave} wave
 * @param {number} j
 */
function polar({ real, imag }, j) {
  return { G: Math.hypot(real[j], imag[j]), alpha: Math.atan2(imag[j], real[j]) };
}

/**
 * Make an element of a drawing.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  change(made, attributes);
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * Set attributes of an element.
 * @param {Element} of
 * @param {Record<string, string | number>} attributes
 */
function change(of, attributes) {
  for (const [name, value] of Object.entries(attributes)) of.setAttribute(name, String(value));
}

/**
 * Return the path of an arc around a middle, counter-clockwise.
 * @param {Arc} arc
 * @param {number} radius
 * @param {number} x
 * @param {number} y
 */
function arc_path({ from, to }, radius, x, y) {
  const point = (/** @type {number} */ angle) =>
    `${x + radius * Math.cos(angle)} ${y - radius * Math.sin(angle)}`;
  return `M${point(from)}A${radius} ${radius} 0 ${to - from > Math.PI ? 1 : 0} 0 ${point(to)}`;
}

/**
 * Return the largest of many numbers.
 * @param {Row | number[]} values
 */
function most_of(values) {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  return most;
}

/**
 * Choose the frame of a drawing: around all points if they lie close together, else around the whole circle.
 * @param {[number, number][]} points
 * @param {number} size  of the circle
 * @param {boolean} whole
 * @returns {Frame}
 */
function frame_of(points, size, whole) {
  const far = { x: 0, y: whole ? 0 : size / 2, z: (whole ? 160 : 140) / (size || 1), near: false };
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [right, high] = [most_of(xs), most_of(ys)];
  const [left, low] = [-most_of(xs.map((x) => -x)), -most_of(ys.map((y) => -y))];
  const z = Math.min(
    (2 * SPREAD) / (right - left),
    (whole ? 2 * SPREAD : 104) / (high - low),
    NEAREST * far.z,
  );
  return z > NEAR * far.z ? { x: (left + right) / 2, y: (low + high) / 2, z, near: true } : far;
}
