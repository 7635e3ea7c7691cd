/**
 * Why the answer is what it is: exact leave-one-out, as `study.attribution` has it, and the gradient of a
 * logit in the coordinates of waves, magnitude and phase (docs/maths.md, section 6).
 */

/**
 * @typedef {object} Gradient
 * @property {Row[]} magnitude  By every token's w and w', through the magnitudes G; 2d numbers a token.
 * @property {Row[]} phase  Through the phases.
 * @property {Row} of_magnitude  ∂logit/∂G, 2d numbers.
 * @property {Row[]} of_phase  ∂logit/∂α of every token, 2d numbers each.
 */

/**
 * Yield logits without the tokens of a group, one group after the other.
 *
 * With [CLS] pooling only s at [CLS] changes: it loses the squares of the group, so that all groups are one
 * pass over the text. Other pooling takes a pass per group.
 * @param {Predictor} network
 * @param {Row[]} w  rows of tokens, [CLS] first, which always stays
 * @param {number[][]} groups
 * @param {Scale} [scale]
 */
function* leave_out(network, w, groups, scale) {
  const width = 2 * network.d;
  const total = squares(w.slice(1), width);
  for (const group of groups) {
    if (network.formula.pool !== "cls") {
      yield network.answer(
        w.filter((_, j) => !group.includes(j)),
        scale,
      );
      continue;
    }
    const own = squares(
      group.map((j) => w[j]),
      width,
    );
    const s2 = total.map((sum, k) => sum - own[k]);
    for (let k = 0; k < width; k++) if (2 * own[k] > total[k]) s2[k] = sum_of_others(w, group, k);
    yield network.of_text(network.features(w[0], s2, scale).h);
  }
}

/**
 * Add up the squares of one dimension over the tokens behind [CLS] and outside of a group.
 * @param {Row[]} w
 * @param {number[]} group
 * @param {number} k
 */
function sum_of_others(w, group, k) {
  let sum = 0;
  for (let j = 1; j < w.length; j++) if (!group.includes(j)) sum += w[j][k] ** 2;
  return sum;
}

/**
 * Multiply a row by a transposed matrix.
 * @param {Row} x
 * @param {Row} matrix  x.length columns
 * @returns {Float64Array}
 */
function times_transposed(x, matrix) {
  const out = new Float64Array(matrix.length / x.length);
  for (let i = 0, k = 0; i < out.length; i++)
    for (let j = 0; j < x.length; j++, k++) out[i] += x[j] * matrix[k];
  return out;
}

/**
 * Differentiate a logit by magnitude and phase of every wave, then by every token through either.
 * @param {Predictor} network
 * @param {Row[]} w  rows of tokens, [CLS] first
 * @param {Row[]} s2  sums of the others' squares
 * @param {number} label
 * @param {Scale} [scale]
 * @returns {Gradient}
 */
function gradient(network, w, s2, label, scale) {
  const { d, formula } = network;
  const width = 2 * d;
  const s = s2.map((row) => row.map(Math.sqrt));
  const read = formula.pool === "cls" ? [0] : w.map((_, j) => j);
  const of_magnitude = new Float64Array(width);
  const of_phase = w.map(() => new Float64Array(width));
  for (const j of read) {
    const stages = network.features(
      w[j],
      s[j].map((x) => x * x),
      scale,
    );
    for (const [i, slope] of by_wave(network, stages, label).entries()) {
      for (let k = 0; k < d; k++) {
        const by = by_polar(stages.waves[i], slope, k);
        of_magnitude[i * d + k] += ((scale?.magnitude[k] ?? 1) * by.magnitude) / read.length;
        of_phase[j][i * d + k] = ((scale?.phase[k] ?? 1) * by.phase) / read.length;
      }
    }
  }
  return { ...by_token(w, s, of_magnitude, of_phase), of_magnitude, of_phase };
}

/**
 * Differentiate the logit of a class by both waves of a row: ∂/∂Re Z + i·∂/∂Im Z, as `gradients.by_stage`.
 * @param {Predictor} network
 * @param {Stages} stages
 * @param {number} label
 * @returns {Wave[]}
 */
function by_wave(network, { waves, Z, a, y, deviation }, label) {
  const { d, formula, head } = network;
  const c = network.classes.length;
  const width = d / formula.voices;
  const by_a = new Float64Array(d);
  for (let voice = 0; voice < formula.voices; voice++) {
    // the norm, backwards
    const [first, last] = [voice * width, (voice + 1) * width];
    let [mean, along] = [0, 0];
    for (let k = first; k < last; k++) {
      by_a[k] = head.classifier[k * c + label] * head.norm_scale[k];
      mean += by_a[k] / width;
      along += (by_a[k] * y[k]) / width;
    }
    for (let k = first; k < last; k++) by_a[k] = (by_a[k] - mean - along * y[k]) / deviation[voice];
  }
  const slope = ACTIVATIONS[formula.activation][1];
  const by_x = times_transposed(
    by_a.map((value, k) => value * slope(a[k])),
    head.feed_forward,
  );
  const by_Z = { real: new Float64Array(d), imag: new Float64Array(d) };
  for (let k = 0; k < d; k++) {
    const size = Math.hypot(Z.real[k], Z.imag[k]);
    if (formula.read_out === "magnitude") {
      by_Z.real[k] = size ? (by_x[k] * Z.real[k]) / size : 0;
      by_Z.imag[k] = size ? (by_x[k] * Z.imag[k]) / size : 0;
    } else {
      by_Z.real[k] = by_x[k];
      by_Z.imag[k] = formula.read_out === "real" ? 0 : by_x[d + k];
    }
  }
  if (formula.combine === "interfere") return [by_Z, by_Z];
  const conjugate = waves.map(({ real, imag }) => ({ real, imag: imag.map((x) => -x) }));
  return [combined([by_Z, conjugate[1]], "modulate"), combined([by_Z, conjugate[0]], "modulate")];
}

/**
 * Return the derivative by magnitude, Re(Z̄·g)/|Z|, and by phase, Im(Z̄·g), from g = ∂logit/∂Z; 0 at Z = 0.
 * @param {Wave} Z
 * @param {Wave} by_Z
 * @param {number} k
 */
function by_polar(Z, by_Z, k) {
  const [x, y, size] = [Z.real[k], Z.imag[k], Math.hypot(Z.real[k], Z.imag[k])];
  if (!size) return { magnitude: 0, phase: 0 };
  return {
    magnitude: (x * by_Z.real[k] + y * by_Z.imag[k]) / size,
    phase: x * by_Z.imag[k] - y * by_Z.real[k],
  };
}

/**
 * Differentiate by every token, through G = √(Σ w²) and through every α_j = arctan2(s_j, w_j):
 * ∂G/∂w_m = w_m/G, ∂α_m/∂w_m = -s_m/G², ∂α_j/∂w_m = w_j·w_m/(G²·s_j).
 * @param {Row[]} w
 * @param {Row[]} s
 * @param {Row} of_magnitude
 * @param {Row[]} of_phase
 * @returns {{magnitude: Row[], phase: Row[]}}
 */
function by_token(w, s, of_magnitude, of_phase) {
  const width = of_magnitude.length;
  const G = Float64Array.from(w[0], (x, k) => Math.hypot(x, s[0][k]));
  const turns = new Float64Array(width); // Σ_j ∂logit/∂α_j · w_j/s_j
  const turn = (/** @type {number} */ j, /** @type {number} */ k) =>
    of_phase[j][k] && s[j][k] ? (of_phase[j][k] * w[j][k]) / s[j][k] : 0;
  for (let j = 0; j < w.length; j++) for (let k = 0; k < width; k++) turns[k] += turn(j, k);
  const magnitude = w.map(() => new Float64Array(width));
  const phase = w.map(() => new Float64Array(width));
  for (let m = 0; m < w.length; m++) {
    const [own, to_magnitude, to_phase] = [w[m], magnitude[m], phase[m]];
    for (let k = 0; k < width; k++) {
      if (!G[k]) continue;
      to_magnitude[k] = (of_magnitude[k] * own[k]) / G[k];
      to_phase[k] = ((turns[k] - turn(m, k)) * own[k] - of_phase[m][k] * s[m][k]) / (G[k] * G[k]);
    }
  }
  return { magnitude, phase };
}
