/** A drawing of tokens in the complex plane: dots, circles, names, rays and angles. */

/** One drawing with its caption. */
class Picture {
  /**
   * @param {string} title
   * @param {boolean} whole  a whole circle, or its upper half
   * @param {boolean} pointed  whether arrows point away from [CLS]
   * @param {(unit: number | null) => void} mark
   * @param {(unit: number) => void} take_out
   */
  constructor(title, whole, pointed, mark, take_out) {
    this.title = title;
    this.whole = whole;
    this.pointed = pointed;
    const [top, bottom] = whole ? WHOLE : HALF;
    this.svg = /** @type {SVGSVGElement} */ (
      drawn("svg", { viewBox: `${-WIDE} ${top} ${2 * WIDE} ${bottom - top}`, role: "img" })
    );
    this.axes = drawn("path", { class: "axis" });
    this.ghost = drawn("circle", { class: "ghost" });
    this.circle = drawn("circle", { class: "circle" });
    this.minor = drawn("path", { class: "minor" });
    this.own = drawn("path", { class: "minor own" });
    this.rays = drawn("g", {});
    this.dots = drawn("g", {});
    this.labels = drawn("g", {});
    this.inset = drawn("g", { class: "inset" });
    this.svg.append(
      this.axes,
      this.ghost,
      this.circle,
      this.minor,
      this.rays,
      this.dots,
      this.own,
      this.labels,
      this.inset,
    );
    this.frame = { x: 0, y: 0, z: 1, near: false };
    this.values = element("span", { class: "values" });
    this.figure = element(
      "figure",
      {},
      this.svg,
      element("figcaption", {}, element("b", {}, title), this.values),
    );
    /** @type {[number, number, number][]}  x, y and unit of every dot. */
    this.places = [];
    this.svg.addEventListener("pointermove", (event) => mark(this.nearest(event)));
    this.svg.addEventListener("pointerleave", () => mark(null));
    this.svg.addEventListener("click", (event) => {
      const unit = this.nearest(event);
      if (unit) take_out(unit);
    });
  }

  /**
   * Return the unit whose dot is nearest to the pointer, and near; null if none is.
   * @param {MouseEvent} event
   */
  nearest(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      this.svg.getScreenCTM()?.inverse(),
    );
    let [found, least] = [/** @type {number | null} */ (null), 22];
    for (const [x, y, unit] of this.places) {
      const far = Math.hypot(x - point.x, y - point.y);
      if (far < least) [found, least] = [unit, far];
    }
    return found;
  }

  /**
   * Draw the tokens of a wave.
   * @param {Scene} scene
   * @param {Wave} wave  of the tokens that are in
   * @param {Wave} full  of all tokens, nothing scaled
   * @param {number | null} radius  of the circle that the tokens lie on; null if they lie on none
   * @param {number} size  of the circle of the whole text, or of the largest token
   */
  show(scene, wave, full, radius, size) {
    const { reading, answer, marked } = scene;
    const points = (scene.scaled ? [wave] : [wave, full]).flatMap(({ real, imag }) =>
      Array.from(real, (x, j) => /** @type {[number, number]} */ ([x, imag[j]])),
    );
    this.frame = frame_of(points, Math.max(radius ?? 0, size), this.whole);
    this.encircle(radius, size);
    const position = new Map(answer.kept.map((j, i) => [j, i]));
    const place = (/** @type {number} */ j) => {
      const i = /** @type {number} */ (position.get(j));
      return this.at(wave.real[i], wave.imag[i]);
    };
    const dots = reading.units.flatMap(({ words }, unit) =>
      words
        .filter((j) => position.has(j))
        .map((j) => /** @type {[number, number, number]} */ ([...place(j), unit])),
    );
    this.places = [...dots.slice(1), dots[0]]; // [CLS] covers the others
    this.dot(scene);
    const own = new Set(marked ? reading.units[marked].group : []);
    const path = (/** @type {number[]} */ list) =>
      list
        .map(
          (j) =>
            `M${place(j)
              .map((x) => x.toFixed(1))
              .join(" ")}h0`,
        )
        .join("");
    const minor = answer.kept.filter((j) => reading.pieces[j].first !== j);
    this.minor.setAttribute("d", path(minor));
    this.own.setAttribute("d", path(minor.filter((j) => own.has(j))));
    this.svg.classList.toggle("moving", scene.moving && this.places.length < STILL);
    this.label(scene);
  }

  /**
   * Draw axes and circles.
   * @param {number | null} radius
   * @param {number} size
   */
  encircle(radius, size) {
    const { z } = this.frame;
    const [cx, cy] = this.at(0, 0);
    change(this.circle, { cx, cy, r: (radius ?? 0) * z });
    change(this.ghost, { cx, cy, r: radius === null ? 0 : size * z });
    change(this.axes, { d: `M-999 ${cy}H999M${cx} ${this.whole ? 999 : cy}V-999` });
  }

  /**
   * Draw a dot for every word.
   * @param {Scene} scene
   */
  dot({ scores, marked, only_cls }) {
    const most = Math.max(0, ...scores.map(Math.abs));
    while (this.dots.children.length < this.places.length) this.dots.append(drawn("circle", {}));
    while (this.dots.children.length > this.places.length) this.dots.lastChild?.remove();
    for (const [i, [cx, cy, unit]] of this.places.entries()) {
      const dot = this.dots.children[i];
      const kind = unit === 0 && only_cls ? "read" : side(scores[unit], most);
      const name = `dot ${kind}${unit === marked ? " marked" : ""}`;
      change(dot, { cx, cy });
      if (dot.getAttribute("class") === name && dot.getAttribute("data-unit") === String(unit)) continue;
      change(dot, { r: unit === marked ? 7 : unit === 0 ? 6.5 : 4.5, class: name, "data-unit": unit });
    }
  }

  /**
   * Return the place of a number of the plane in the drawing.
   * @param {number} real
   * @param {number} imag
   * @returns {[number, number]}
   */
  at(real, imag) {
    const { x, y, z } = this.frame;
    return [(real - x) * z, (y - imag) * z];
  }

  /**
   * Name some dots, where names do not cover each other.
   * @param {Scene} scene
   */
  label({ reading, marked, named }) {
    /** @type {[number, number, number, number][]} */
    const taken = [];
    const labels = [];
    const [x0, y0] = this.at(0, 0);
    for (const unit of new Set([marked, 0, ...named])) {
      const place = this.places.find((each) => each[2] === unit);
      if (!place) continue;
      const [dx, dy] = [place[0] - x0, place[1] - y0];
      const far = Math.hypot(dx, dy) || 1;
      const name = reading.units[unit].name;
      const text = name.length > 16 ? `${name.slice(0, 15)}…` : name;
      const wide = 7.6 * text.length;
      const [x, y] =
        this.pointed && unit === 0
          ? [place[0] + 16 + wide / 2, place[1] + 20]
          : [place[0] + (13 * dx) / far, place[1] + (13 * dy) / far + 4];
      const left = Math.min(WIDE - 4 - wide, Math.max(4 - WIDE, x - (wide * (1 - dx / far)) / 2));
      const box = /** @type {[number, number, number, number]} */ ([left, y - 12, left + wide, y + 3]);
      if (
        unit !== marked &&
        taken.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])
      )
        continue;
      taken.push(box);
      labels.push(
        drawn(
          "text",
          { x: left + wide / 2, y, "text-anchor": "middle", class: unit === marked ? "marked" : "" },
          text,
        ),
      );
    }
    this.labels.replaceChildren(...labels);
  }

  /**
   * Draw rays, angles and slopes; if the drawing is from nearby, the whole circle beside it, too.
   * @param {Line[]} lines
   * @param {Arc[]} arcs
   * @param {[string, string][]} slopes  class and path of each
   * @param {number} size  of what is drawn whole
   */
  trace(lines, arcs, slopes, size) {
    const near = this.frame.near;
    const straight = (/** @type {Line} */ { kind, from, to }) =>
      drawn("path", {
        class: `ray ${kind}`,
        d: `M${this.at(...from).join(" ")}L${this.at(...to).join(" ")}`,
      });
    const turned = (/** @type {number} */ radius, /** @type {[number, number]} */ [x, y]) =>
      arcs.map((arc) => drawn("path", { class: `arc ${arc.kind}`, d: arc_path(arc, radius, x, y) }));
    this.rays.replaceChildren(
      ...lines.map(straight),
      ...(near ? [] : turned(30, this.at(0, 0))),
      ...slopes.map(([kind, d]) => drawn("path", { class: kind, d })),
    );
    this.inset.replaceChildren();
    if (!near) return;
    const [, bottom] = this.whole ? WHOLE : HALF;
    const r = 36;
    const aside = this.at(0, 0)[0] < -20 ? -1 : 1; // the side of the middle, where no dots are
    const [x, y] = [aside * (WIDE - r - 10), bottom - (this.whole ? r : 0) - 10];
    const all = { from: 0, to: (this.whole ? 1.9999 : 1) * Math.PI };
    const small = (/** @type {[number, number]} */ [real, imag]) =>
      `${x + (real * r) / size} ${y - (imag * r) / size}`;
    this.inset.append(
      drawn("circle", { class: "under", cx: x, cy: y, r: r + 6 }),
      drawn("path", { class: "circle", d: arc_path({ kind: "", ...all }, r, x, y) }),
      ...lines.map(({ kind, from, to }) =>
        drawn("path", { class: `ray ${kind}`, d: `M${small(from)}L${small(to)}` }),
      ),
      ...turned(12, [x, y]),
    );
  }

  /** @param {string} values */
  say(values) {
    this.values.textContent = values;
    this.svg.setAttribute("aria-label", `${this.title}: ${values}`);
  }
}
