/** The three pictures of the chosen dimension together, and the choice of the dimension. */

const TOLD = 6; // dimensions that are offered first
const LABELLED = 12; // words with their names, besides those that are marked and read
const ARROW = 40; // length of the longest slope

/** @param {number} x */
function figure_of(x) {
  const text = Math.abs(x) >= 1e5 || (x && Math.abs(x) < 1e-3) ? x.toExponential(2) : x.toPrecision(3);
  return text.replaceAll("-", "−");
}

/** @param {number} alpha */
function degrees(alpha) {
  return `${((alpha * 180) / Math.PI).toFixed(1)}°`;
}

/** The pictures of one dimension. */
class Dimension {
  /**
   * @param {Predictor} network
   * @param {(k: number) => void} choose
   * @param {(unit: number | null) => void} mark
   * @param {(unit: number) => void} take_out
   */
  constructor(network, choose, mark, take_out) {
    this.network = network;
    this.choose = choose;
    this.modulate = network.formula.combine === "modulate";
    const result = this.modulate
      ? "Z · Z′, modulation: magnitudes multiply, phases add"
      : "Z + Z′, interference: the sum of both";
    const titles = ["Z, the first variant", "Z′, the second variant", result];
    this.pictures = titles.map(
      (title, i) =>
        new Picture(title, i === 2 && this.modulate, i < 2 && network.formula.pool === "cls", mark, take_out),
    );
    the("pictures").append(...this.pictures.map((picture) => picture.figure));
    the("dimension").append(
      ...Array.from({ length: network.d }, (_, k) => element("option", { value: k }, String(k + 1))),
    );
    the("dimension").addEventListener("change", () => choose(Number(the("dimension").value)));
  }

  /**
   * Offer the dimensions through which the words move the logit most.
   * @param {Float64Array} telling  by dimension
   * @param {number} chosen
   */
  offer(telling, chosen) {
    const total = telling.reduce((a, b) => a + b, 0) || 1;
    const ranked = Array.from(telling, (_, k) => k)
      .sort((a, b) => telling[b] - telling[a] || a - b)
      .slice(0, TOLD);
    const most = telling[ranked[0]] || 1;
    const focused =
      document.activeElement instanceof HTMLInputElement && document.activeElement.name === "dimension";
    the("telling").replaceChildren(
      ...ranked.map((k) => {
        const choice = /** @type {HTMLInputElement} */ (
          element("input", { type: "radio", name: "dimension", value: k })
        );
        choice.checked = k === chosen;
        choice.addEventListener("change", () => this.choose(k));
        const name = element(
          "span",
          { title: `${((100 * telling[k]) / total).toFixed(0)} % of what the words do` },
          String(k + 1),
        );
        name.style.setProperty("--s", ((100 * telling[k]) / most).toFixed(0));
        return element("label", { "aria-label": `dimension ${k + 1}` }, choice, name);
      }),
    );
    if (focused) the("telling").querySelector("input:checked")?.focus();
    the("dimension").value = String(chosen);
  }

  /**
   * Draw a dimension.
   * @param {Omit<Scene, "named">} about
   * @param {number} k
   * @param {Gradient | null} slopes
   * @param {Scale} [scale]
   */
  show(about, k, slopes, scale) {
    const { reading, answer } = about;
    const now = in_dimension(this.network, answer, k, scale);
    const full = in_dimension(this.network, reading, k);
    const sizes = full.waves.map((wave) => polar(wave, 0).G);
    const scene = { ...about, named: this.most_visible(reading, full.waves, sizes) };
    // [CLS] in place of a word that is out.
    const shown = Math.max(0, answer.kept.indexOf(reading.units[about.marked].words[0]));
    const owner = reading.pieces[answer.kept[shown]];
    const name = reading.units.find(({ words }) => words.includes(owner.first))?.name ?? "";
    for (const [v, picture] of this.pictures.slice(0, 2).entries()) {
      const wave = now.waves[v];
      const { G, alpha } = polar(wave, shown);
      const kind = v ? "two" : "one";
      picture.show(scene, wave, full.waves[v], G, sizes[v]);
      picture.trace(
        [ray(kind, wave, shown)],
        [{ kind, from: 0, to: alpha }],
        this.slopes(slopes, k, v, now.waves, picture),
        Math.max(G, sizes[v]),
      );
      picture.say(
        `${name}: w ${figure_of(wave.real[shown])}, s ${figure_of(wave.imag[shown])}; radius G ${figure_of(G)}, phase ${degrees(alpha)}`,
      );
    }
    this.result(scene, now, full, shown, name);
  }

  /**
   * Draw what the two waves combine to.
   * @param {Scene} scene
   * @param {{waves: Wave[], Z: Wave}} now
   * @param {{waves: Wave[], Z: Wave}} full
   * @param {number} shown  the token with rays
   * @param {string} name
   */
  result(scene, { waves, Z }, full, shown, name) {
    const picture = this.pictures[2];
    const [{ alpha: alpha1 }, { alpha: alpha2 }] = waves.map((wave) => polar(wave, shown));
    const { G, alpha } = polar(Z, shown);
    const all = ray("sum", Z, shown);
    const largest = Math.max(
      ...[Z, full.Z].map(({ real, imag }) => most_of(real.map((x, j) => Math.hypot(x, imag[j])))),
    );
    let phase = degrees(alpha);
    if (this.modulate) {
      picture.show(scene, Z, full.Z, G, polar(full.Z, 0).G);
      const arcs = [
        { kind: "one", from: 0, to: alpha1 },
        { kind: "two", from: alpha1, to: alpha1 + alpha2 },
      ];
      picture.trace([all], arcs, [], largest);
      phase = `${degrees(alpha1)} + ${degrees(alpha2)} = ${degrees(alpha1 + alpha2)}`;
    } else {
      picture.show(scene, Z, full.Z, null, largest);
      const first = ray("one", waves[0], shown);
      picture.trace([first, { kind: "two", from: first.to, to: all.to }, all], [], [], largest);
    }
    picture.say(
      `${name}: real ${figure_of(Z.real[shown])}, imaginary ${figure_of(Z.imag[shown])}; magnitude ${figure_of(G)}, phase ${phase}`,
    );
  }

  /**
   * Return the words that turn furthest from the others.
   * @param {Reading} reading
   * @param {Wave[]} waves
   * @param {number[]} sizes
   */
  most_visible({ units }, waves, sizes) {
    const turned = units.map(({ words }) =>
      Math.max(...waves.map((wave, v) => Math.abs(wave.real[words[0]]) / (sizes[v] || 1))),
    );
    return units
      .map((_, i) => i)
      .sort((a, b) => turned[b] - turned[a])
      .slice(0, LABELLED);
  }

  /**
   * Return arrows at [CLS], along the radius and along the circle: where the logit rises, and how steeply.
   * @param {Gradient | null} slopes  null if other tokens are read too
   * @param {number} k
   * @param {number} v
   * @param {Wave[]} waves
   * @param {Picture} picture
   * @returns {[string, string][]}
   */
  slopes(slopes, k, v, waves, picture) {
    if (!slopes) return [];
    const steep = waves.flatMap((wave, i) => {
      const column = i * this.network.d + k;
      return [slopes.of_magnitude[column], slopes.of_phase[0][column] / (polar(wave, 0).G || 1)];
    });
    const most = Math.max(...steep.map(Math.abs)) || 1;
    const { alpha } = polar(waves[v], 0);
    const [x, y] = picture.at(waves[v].real[0], waves[v].imag[0]);
    return steep.slice(2 * v, 2 * v + 2).flatMap((value, i) => {
      const [long, toward] = [(ARROW * value) / most, alpha + (i * Math.PI) / 2];
      return Math.abs(long) < 3
        ? []
        : [arrow(x, y, long * Math.cos(toward), -long * Math.sin(toward), i ? "slope phase" : "slope")];
    });
  }
}

/**
 * Return the line from 0 to a token.
 * @param {string} kind
 * @param {Wave} wave
 * @param {number} j
 * @returns {Line}
 */
function ray(kind, { real, imag }, j) {
  return { kind, from: [0, 0], to: [real[j], imag[j]] };
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} dx
 * @param {number} dy
 * @param {string} kind
 * @returns {[string, string]}
 */
function arrow(x, y, dx, dy, kind) {
  const long = Math.hypot(dx, dy);
  const [ux, uy] = [(6 * dx) / long, (6 * dy) / long];
  const [tx, ty] = [x + dx, y + dy];
  return [
    kind,
    `M${x} ${y}L${tx} ${ty}M${tx - ux - uy} ${ty - uy + ux}L${tx} ${ty}L${tx - ux + uy} ${ty - uy - ux}`,
  ];
}
