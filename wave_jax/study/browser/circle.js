/** One wave of a text in the complex plane: dots, names and the way of a token. */

const REACH = 100; // the largest number of a wave, in units of the drawing
const SIDE = 160; // half the width of a drawing: names stand beside the circle
const MOST_NAMED = 8;

/**
 * Return the element of this id.
 * @param {string} id
 * @returns {any}
 */
function part(id) {
  return document.getElementById(id);
}

/**
 * Make an element of a drawing, or of the page.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {string} [text]
 */
function shape(tag, attributes = {}, text) {
  const html = ["b", "button", "div", "figcaption", "figure", "i", "option", "span"].includes(tag);
  const made = html
    ? document.createElement(tag)
    : document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * Return what lies between two complex numbers: magnitude and phase change evenly, the phase the short way.
 * @param {[number, number]} one
 * @param {[number, number]} other
 * @param {number} share
 * @returns {[number, number]}
 */
function between(one, other, share) {
  if (share === 0) return one;
  const [from, to] = [one, other].map(([x, y]) => Math.atan2(y, x));
  const turn = to - from - 2 * Math.PI * Math.round((to - from) / (2 * Math.PI));
  const size = Math.hypot(...one) * (1 - share) + Math.hypot(...other) * share;
  return [size * Math.cos(from + share * turn), size * Math.sin(from + share * turn)];
}

/**
 * Return the radius of the circle that all numbers lie on, and the largest of their magnitudes.
 * @param {[number, number][]} wave
 * @returns {[number | null, number]}
 */
function radius_of(wave) {
  const sizes = wave.map((z) => Math.hypot(...z));
  const most = Math.max(...sizes);
  return [most - Math.min(...sizes) <= 2e-3 * most ? most : null, most];
}

/** One wave in one dimension, as a drawing with its caption. */
class Circle {
  /**
   * @param {string} name  of the wave
   * @param {string[]} tokens
   * @param {(token: number) => void} follow
   */
  constructor(name, tokens, follow) {
    this.name = name;
    this.tokens = tokens;
    this.svg = shape("svg", { role: "img" });
    /** @type {[number, number][][]}  The wave at every moment. */
    this.moments = [];
    this.most = 1; // the largest magnitude of all moments
    this.scale = 1; // of what is drawn
    this.axes = shape("path", { class: "axis" });
    this.ghost = shape("circle", { class: "ghost" });
    this.circle = shape("circle", { class: "circle" });
    this.way = shape("path", { class: "way" });
    this.rays = shape("path", { class: "ray" });
    this.names = shape("g");
    this.dots = tokens.map((_, j) => shape("circle", { r: j ? 4.5 : 6, class: j ? "dot" : "dot first" }));
    for (const [j, dot] of this.dots.entries()) dot.addEventListener("click", () => follow(j));
    const real = shape("text", { x: REACH + 14, y: 4, class: "unit" }, "Re Z");
    const imaginary = shape("text", { x: 6, y: -REACH - 22, class: "unit" }, "Im Z");
    const behind = [this.axes, this.ghost, this.rays, this.circle, this.way];
    this.svg.append(real, imaginary, ...behind, ...this.dots, this.names);
    this.caption = shape("span");
    const caption = shape("figcaption");
    caption.append(shape("b", {}, name), this.caption);
    this.figure = shape("figure");
    this.figure.append(this.svg, caption);
  }

  /**
   * Take a dimension, and find the scale that fits all its moments.
   * @param {[number, number][][]} moments
   */
  take(moments) {
    this.moments = moments;
    const most = Math.max(...moments.map((wave) => radius_of(wave)[1])) || 1;
    this.most = most;
    this.whole = moments.some((wave) => wave.some(([, y]) => y < -1e-3 * most));
    const bottom = this.whole ? REACH + 34 : 10;
    this.svg.setAttribute("viewBox", `${-SIDE} ${-REACH - 34} ${2 * SIDE} ${REACH + 34 + bottom}`);
    this.axes.setAttribute("d", `M${-REACH - 10} 0H${REACH + 10}M0 ${this.whole ? REACH + 10 : 0}V${-REACH - 10}`);
  }

  /**
   * Return the wave at a moment that may lie between two.
   * @param {number} moment
   */
  wave(moment) {
    const { moments } = this;
    const i = Math.min(Math.floor(moment), moments.length - 1);
    const next = moments[Math.min(i + 1, moments.length - 1)];
    return moments[i].map((z, j) => between(z, next[j], moment - i));
  }

  /**
   * Draw a moment.
   * @param {number} moment
   * @param {number | null} followed
   * @param {boolean} even  whether every moment is drawn at one size
   */
  show(moment, followed, even) {
    const wave = this.wave(moment);
    const [radius, most] = radius_of(wave);
    const scale_of = (/** @type {number} */ size) => REACH / ((even ? size : this.most) || 1);
    const scale = (this.scale = scale_of(most));
    this.ghost.setAttribute("r", String((radius_of(this.moments[0])[0] ?? 0) * scale));
    const places = wave.map(([x, y]) => /** @type {[number, number]} */ ([x * scale, -y * scale]));
    this.circle.setAttribute("r", String((radius ?? 0) * scale));
    for (const [j, [x, y]] of places.entries()) {
      const dot = this.dots[j];
      dot.setAttribute("cx", x.toFixed(2));
      dot.setAttribute("cy", y.toFixed(2));
      dot.classList.toggle("followed", j === followed);
    }
    this.rays.setAttribute("d", followed === null ? "" : `M0 0L${places[followed].join(" ")}`);
    const way = followed === null ? [] : this.moments;
    const line = way.map((each) => {
      const [[x, y], size] = [each[followed ?? 0], scale_of(radius_of(each)[1])];
      return `${(x * size).toFixed(1)} ${(-y * size).toFixed(1)}`;
    });
    this.way.setAttribute("d", line.length ? `M${line.join("L")}` : "");
    this.name_tokens(places, followed);
    const size = `${radius === null ? "largest |Z|" : "radius"} ${most.toPrecision(3)}`;
    this.caption.textContent = ` ${size}`;
    const angle = followed === null ? "" : `, ${this.tokens[followed]} at ${angle_of(wave[followed])}`;
    this.svg.setAttribute("aria-label", `${this.name}: ${size}${angle}`);
  }

  /**
   * Name the followed token, [CLS], and those farthest from the top, where names do not cover each other.
   * @param {[number, number][]} places
   * @param {number | null} followed
   */
  name_tokens(places, followed) {
    const far = places.map((_, j) => j).sort((a, b) => Math.abs(places[b][0]) - Math.abs(places[a][0]));
    const order = new Set([...(followed === null ? [] : [followed]), 0, ...far.slice(0, MOST_NAMED)]);
    /** @type {[number, number, number, number][]} */
    const taken = [];
    const labels = [];
    for (const j of order) {
      const token = this.tokens[j];
      const text = token.length > 14 ? `${token.slice(0, 13)}…` : token;
      const [x, y] = places[j];
      const size = Math.hypot(x, y) || 1;
      const wide = 7 * text.length;
      const middle = x + (13 * x) / size + (wide / 2) * (x / size);
      const at = Math.min(SIDE - wide / 2 - 2, Math.max(wide / 2 + 2 - SIDE, middle));
      const low = y + (14 * y) / size + 4;
      const [left, right] = [at - wide / 2, at + wide / 2];
      const box = /** @type {[number, number, number, number]} */ ([left, low - 11, right, low + 3]);
      const covered = taken.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3]);
      if (covered && j !== followed) continue;
      taken.push(box);
      const look = { x: at.toFixed(1), y: low.toFixed(1), "text-anchor": "middle" };
      labels.push(shape("text", { ...look, class: j === followed ? "followed" : "" }, text));
    }
    this.names.replaceChildren(...labels);
  }
}

/** @param {[number, number]} z */
function angle_of([x, y]) {
  return `${Math.round((((Math.atan2(y, x) * 180) / Math.PI) % 360) + (y < 0 ? 360 : 0))}°`;
}

