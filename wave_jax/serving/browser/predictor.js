/**
 * The answer of an exported network, as `wave_jax.serving.predictor` computes it, under the same names.
 *
 * Rows of tokens hold w and w' side by side, 2d numbers; all arithmetic is in double precision. A scale
 * multiplies magnitude and phase of every dimension of both waves; without one the network is as trained.
 */

/**
 * @typedef {Float64Array | Float32Array} Row
 * @typedef {{magnitude: Row, phase: Row}} Scale  d factors each.
 * @typedef {{real: Row, imag: Row}} Wave
 * @typedef {{waves: Wave[], Z: Wave, a: Row, y: Row, deviation: Row, h: Row}} Stages  Of one row.
 */

const EPS = 1e-6; // of the norm

/** @type {Record<string, [(x: number) => number, (x: number) => number]>}  Activations and their slopes. */
const ACTIVATIONS = {
  none: [(x) => x, () => 1],
  relu: [(x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
  gelu: [(x) => (x * (1 + bent(x))) / 2, (x) => (1 + bent(x) + x * (1 - bent(x) ** 2) * bend(x)) / 2],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
};
const bent = (/** @type {number} */ x) => Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x));
const bend = (/** @type {number} */ x) => Math.sqrt(2 / Math.PI) * (1 + 0.134145 * x * x);

/**
 * Multiply a row by a matrix.
 * @param {Row} x
 * @param {Row} matrix  x.length rows
 * @param {Row} [bias]
 * @returns {Float64Array}
 */
function times(x, matrix, bias) {
  const columns = matrix.length / x.length;
  const out = bias ? Float64Array.from(bias) : new Float64Array(columns);
  for (let i = 0; i < x.length; i++) {
    const factor = x[i];
    if (factor !== 0) for (let j = 0, k = i * columns; j < columns; j++, k++) out[j] += factor * matrix[k];
  }
  return out;
}

/** The logits of texts, and what goes on inside. */
class Predictor {
  /**
   * @param {Content} content
   * @param {Characters} characters
   */
  constructor(content, characters) {
    const { formula, classes, max_length, digest, arrays } = content;
    this.formula = formula;
    this.classes = classes;
    this.threshold = content.threshold ?? null;
    this.max_length = max_length;
    this.digest = digest;
    this.tokenizer = new Tokenizer(content.tokenizer, characters);
    this.arrays = arrays;
    this.folded = "tokens" in arrays;
    this.variants_matrix = this.folded ? null : restored(arrays, "variants");
    this.head = {
      feed_forward: restored(arrays, "feed_forward"),
      feed_forward_bias: restored(arrays, "feed_forward_bias"),
      norm_scale: restored(arrays, "norm_scale"),
      norm_bias: restored(arrays, "norm_bias"),
      classifier: restored(arrays, "classifier"),
      classifier_bias: restored(arrays, "classifier_bias"),
    };
    this.d = this.head.norm_bias.length;
    this.places = this.fold_places();
    /** @type {Map<number, Row>}  Rows of tokens met so far. */
    this.known = new Map();
  }

  /**
   * Compute w·[A A'] + [b b'] of a token.
   * @param {number} id
   * @returns {Row}
   */
  fold_tokens(id) {
    let row = this.known.get(id);
    if (!row) {
      if (!this.variants_matrix) row = restored(this.arrays, "tokens", id, id + 1);
      else {
        const w = restored(this.arrays, "embedding", id, id + 1);
        row = times(w, this.variants_matrix, restored(this.arrays, "variants_bias"));
      }
      this.known.set(id, row);
    }
    return row;
  }

  /** Return a function from positions to p·[A A']; null if there are no positions. */
  fold_places() {
    const { arrays, variants_matrix } = this;
    const name = "places" in arrays ? "places" : "positions";
    if (!(name in arrays)) return null;
    return (/** @type {number} */ j) => {
      const p = restored(arrays, name, j, j + 1);
      return name === "places" || !variants_matrix ? p : times(p, variants_matrix);
    };
  }

  /**
   * Return the logits of texts.
   * @param {string[]} texts
   */
  logits(texts) {
    return texts.map((text) =>
      Array.from(this.answer(this.variants(this.tokenizer.encode(text, this.max_length)))),
    );
  }

  /**
   * Return w and w' side by side, a row per token.
   * @param {number[]} ids
   * @returns {Row[]}
   */
  variants(ids) {
    const { places } = this;
    if (!places) return ids.map((id) => this.fold_tokens(id));
    return ids.map((id, j) => {
      const p = places(j);
      return this.fold_tokens(id).map((value, k) => value + p[k]);
    });
  }

  /**
   * Return the logits of a text.
   * @param {Row[]} w  rows of tokens, [CLS] first
   * @param {Scale} [scale]
   */
  answer(w, scale) {
    return this.of_text(this.formula.pool === "cls" ? this.of_cls(w, scale) : this.of_all(w, scale));
  }

  /**
   * Return the logits of h.
   * @param {Row} h
   */
  of_text(h) {
    return times(h, this.head.classifier, this.head.classifier_bias);
  }

  /**
   * Compute h from w and s² of [CLS] alone, s² a plain sum over the others.
   * @param {Row[]} w
   * @param {Scale} [scale]
   */
  of_cls(w, scale) {
    return this.features(w[0], squares(w.slice(1), 2 * this.d), scale).h;
  }

  /**
   * Compute h, the mean over all tokens.
   * @param {Row[]} w
   * @param {Scale} [scale]
   */
  of_all(w, scale) {
    const h = new Float64Array(this.d);
    for (const [j, s2] of others(w).entries()) {
      const each = this.features(w[j], s2, scale).h;
      for (let k = 0; k < h.length; k++) h[k] += each[k] / w.length;
    }
    return h;
  }

  /**
   * Compute the stages of one row, from w and s² of both waves.
   * @param {Row} w
   * @param {Row} s2
   * @param {Scale} [scale]
   * @returns {Stages}
   */
  features(w, s2, scale) {
    const { head, formula, d } = this;
    const waves = [0, d].map((k) =>
      scaled(w.subarray(k, k + d), s2.subarray(k, k + d).map(Math.sqrt), scale),
    );
    const Z = combined(waves, formula.combine);
    const a = times(read_out(Z, formula.read_out), head.feed_forward, head.feed_forward_bias);
    const y = a.map(ACTIVATIONS[formula.activation][0]);
    const [h, deviation, width] = [new Float64Array(d), new Float64Array(formula.voices), d / formula.voices];
    for (let voice = 0; voice < formula.voices; voice++) {
      const [first, last] = [voice * width, (voice + 1) * width];
      let [mean, square] = [0, 0];
      for (let k = first; k < last; k++) mean += y[k] / width;
      for (let k = first; k < last; k++) square += (y[k] -= mean) ** 2 / width;
      deviation[voice] = Math.sqrt(square + EPS);
      for (let k = first; k < last; k++)
        h[k] = (y[k] /= deviation[voice]) * head.norm_scale[k] + head.norm_bias[k];
    }
    return { waves, Z, a, y, deviation, h };
  }
}

/**
 * Add up the squares of rows.
 * @param {Row[]} w
 * @param {number} width
 */
function squares(w, width) {
  const total = new Float64Array(width);
  for (const row of w) for (let k = 0; k < width; k++) total[k] += row[k] * row[k];
  return total;
}

/**
 * Compute Σ_{m≠j} w_m² for every j: if a token dominates, the others are added.
 * @param {Row[]} w
 */
function others(w) {
  const width = w[0].length;
  const total = squares(w, width);
  const rest = new Float64Array(width); // of those that do not dominate
  const s2 = w.map((row) => {
    const own = new Float64Array(width);
    for (let k = 0; k < width; k++) {
      const square = row[k] * row[k];
      own[k] = total[k] - square;
      if (2 * square > total[k]) own[k] = -1;
      else rest[k] += square;
    }
    return own;
  });
  for (const own of s2) for (let k = 0; k < width; k++) if (own[k] < 0) own[k] = rest[k];
  return s2;
}

/**
 * Return the wave w + i·s with magnitude and phase multiplied.
 * @param {Row} w
 * @param {Row} s
 * @param {Scale} [scale]
 * @returns {Wave}
 */
function scaled(w, s, scale) {
  if (!scale) return { real: w, imag: s };
  const [real, imag] = [Float64Array.from(w), Float64Array.from(s)];
  for (let k = 0; k < w.length; k++) {
    if (scale.magnitude[k] === 1 && scale.phase[k] === 1) continue;
    const [G, alpha] = [scale.magnitude[k] * Math.hypot(w[k], s[k]), scale.phase[k] * Math.atan2(s[k], w[k])];
    real[k] = G * Math.cos(alpha);
    imag[k] = G * Math.sin(alpha);
  }
  return { real, imag };
}

/**
 * Compute Z + Z' or Z·Z'.
 * @param {Wave[]} waves
 * @param {string} combine
 * @returns {Wave}
 */
function combined([{ real: w1, imag: s1 }, { real: w2, imag: s2 }], combine) {
  const [real, imag] = [new Float64Array(w1.length), new Float64Array(w1.length)];
  for (let k = 0; k < w1.length; k++) {
    const product = combine === "modulate";
    real[k] = product ? w1[k] * w2[k] - s1[k] * s2[k] : w1[k] + w2[k];
    imag[k] = product ? w1[k] * s2[k] + w2[k] * s1[k] : s1[k] + s2[k];
  }
  return { real, imag };
}

/**
 * @param {Wave} Z
 * @param {string} kind
 */
function read_out({ real, imag }, kind) {
  if (kind === "real") return real;
  if (kind === "magnitude") return real.map((x, k) => Math.hypot(x, imag[k]));
  const both = new Float64Array(2 * real.length);
  both.set(real);
  both.set(imag, real.length);
  return both;
}

/**
 * Return the probabilities of logits: by softmax, or of several labels each for itself.
 * @param {Row} logits
 * @param {boolean} several
 */
function probabilities(logits, several) {
  if (several) return Array.from(logits, (x) => 1 / (1 + Math.exp(-x)));
  const most = Math.max(...logits);
  const shares = Array.from(logits, (x) => Math.exp(x - most));
  const total = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / total);
}
