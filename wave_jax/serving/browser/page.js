/** The page: what the reader has chosen, and how every part follows. */

const SLICE = 100; // milliseconds of work before the browser may draw, for networks that need a pass per word
const QUIET = 700; // milliseconds after which an answer is read out

/** @type {Page | undefined} */
let page;

/**
 * Return the bytes of an embedded part.
 * @param {string} id
 */
function embedded(id) {
  const text = atob(the(id).textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Join names as in a question.
 * @param {string[]} names
 */
function one_of(names) {
  if (names.length > 6) return `${names.slice(0, 3).join(", ")} or one of ${names.length - 3} others?`;
  return `${names.slice(0, -1).join(", ")} or ${names[names.length - 1]}?`;
}

/** The page around a network. */
class Page {
  /**
   * @param {Predictor} network
   * @param {string} text
   */
  constructor(network, text) {
    this.network = network;
    /** @type {Set<number>}  Units that are taken out. */
    this.out = new Set();
    /** @type {number | null}  The class that is explained; null for the likeliest. */
    this.label = null;
    /** @type {number | null}  null for the most telling. */
    this.dimension = null;
    /** @type {number | null} */
    this.marked = null;
    /** @type {number[]} */
    this.scores = [];
    this.turn = 0;
    this.moving = false;
    const mark = (/** @type {number | null} */ unit) => this.mark(unit);
    const take_out = (/** @type {number} */ unit) => this.take_out(unit);
    const several = network.threshold !== null;
    this.classes = new Classes(network.classes, several, (label) => this.explain(label));
    this.words = new Words(mark, take_out);
    this.pictures = new Dimension(network, (k) => this.choose(k), mark, take_out);
    this.backwards = new Backwards(mark, () => this.show());
    this.describe();
    this.listen();
    the("text").value = text;
    this.read();
  }

  listen() {
    the("text").addEventListener("input", () => this.read());
    for (const id of ["magnitude", "phase", "everywhere"])
      the(id).addEventListener("input", () => {
        this.dimension ??= this.shown ?? null;
        this.show();
      });
    the("reset").addEventListener("click", () => {
      [the("magnitude").value, the("phase").value] = ["1", "1"];
      this.out.clear();
      this.show();
    });
  }

  /** Read the text, with all words in. */
  read() {
    this.out.clear();
    this.marked = null;
    this.moving = false;
    this.reading = read_text(this.network, the("text").value);
    this.words.write(this.reading);
    this.show();
  }

  /** Return the scale that the sliders ask for; undefined if nothing is scaled. */
  scale() {
    const [magnitude, phase] = [Number(the("magnitude").value), Number(the("phase").value)];
    if (magnitude === 1 && phase === 1) return undefined;
    const every = the("everywhere").checked;
    const spread = (/** @type {number} */ x) =>
      Float64Array.from({ length: this.network.d }, (_, k) => (every || k === this.dimension ? x : 1));
    return { magnitude: spread(magnitude), phase: spread(phase) };
  }

  /** Answer, and show why. */
  show() {
    const { network, reading, out } = this;
    if (!reading) return;
    const scale = this.scale();
    const answer = answered(network, reading, out, scale);
    const label = this.label ?? answer.best;
    this.classes.show(answer, label);
    this.follow(answer, label);
    const slopes = gradient(network, answer.w, answer.s2, label, scale);
    const found = scored(network, reading, answer, out, label, scale);
    const turn = ++this.turn;
    /** @type {number[]} */
    const scores = [];
    const go_on = () => {
      const until = performance.now() + SLICE;
      for (let next = found.next(); turn === this.turn; next = found.next()) {
        if (next.done) return this.explained(answer, label, slopes, scores, scale);
        scores.push(next.value);
        if (performance.now() > until) return void setTimeout(go_on);
      }
    };
    go_on();
  }

  /**
   * Show what the scores say.
   * @param {Answered} answer
   * @param {number} label
   * @param {Gradient} slopes
   * @param {number[]} scores
   * @param {Scale} [scale]
   */
  explained(answer, label, slopes, scores, scale) {
    const { network, out } = this;
    const reading = /** @type {Reading} */ (this.reading);
    const { d } = network;
    this.scores = scores;
    this.words.shade(scores, out);
    const full = Math.max(0, ...scores.map(Math.abs));
    the("legend").textContent =
      `Shades: how much the logit of ${network.classes[label]} falls if a word is taken out, ` +
      `exactly; full shade is ${signed(full, full)}. Dashed: it rises. Click a word to take it out.`;
    const telling = new Float64Array(d);
    const effects = [slopes.magnitude, slopes.phase].map((by) => {
      const values = new Float64Array(reading.pieces.length);
      for (const [i, j] of answer.kept.entries())
        for (let k = 0; k < 2 * d; k++) values[j] += answer.w[i][k] * by[i][k];
      return by_unit(reading, values);
    });
    for (let i = 1; i < answer.w.length; i++)
      for (let k = 0; k < 2 * d; k++)
        telling[k % d] += Math.abs(answer.w[i][k] * (slopes.magnitude[i][k] + slopes.phase[i][k]));
    this.shown = this.dimension ?? telling.indexOf(most_of(telling));
    this.pictures.offer(telling, this.shown);
    this.backwards.show(reading, scores, effects[0], effects[1], out);
    this.redraw = () => {
      const only_cls = network.formula.pool === "cls";
      const about = {
        reading,
        answer,
        scores,
        marked: this.marked ?? 0,
        only_cls,
        moving: this.moving,
        scaled: !!scale,
      };
      this.pictures.show(about, /** @type {number} */ (this.shown), only_cls ? slopes : null, scale);
    };
    this.redraw();
  }

  /**
   * Repeat the answer beside the sliders, and read it out once the reader pauses.
   * @param {Answered} answer
   * @param {number} label
   */
  follow({ shares, logits, labels }, label) {
    const name = this.network.classes[label];
    for (const id of ["magnitude", "phase"])
      the(id).parentElement.querySelector("output").textContent = `× ${Number(the(id).value).toFixed(2)}`;
    the("follows").textContent = `${name} ${percent(shares[label])}, logit ${signed(logits[label], 9)}`;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      const said = labels.map((i) => `${this.network.classes[i]}, ${percent(shares[i])}`);
      the("said").textContent = said.join("; ") || "none of the labels";
    }, QUIET);
  }

  /** @param {number | null} unit */
  mark(unit) {
    if (unit === this.marked) return;
    this.marked = unit;
    this.words.mark(unit);
    this.backwards.mark(unit);
    this.redraw?.();
  }

  /** @param {number} unit */
  take_out(unit) {
    this.dimension ??= this.shown ?? null;
    this.moving = true;
    if (!this.out.delete(unit)) this.out.add(unit);
    this.show();
  }

  /**
   * Explain a class; the likeliest one follows the text.
   * @param {number} label
   */
  explain(label) {
    this.label = this.classes.ranked[0] === label ? null : label;
    this.show();
  }

  /** @param {number} k */
  choose(k) {
    this.dimension = k;
    this.show();
  }

  /** Say what this page is, once. */
  describe() {
    const { classes, threshold, d, tokenizer, formula, digest, max_length } = this.network;
    the("title").textContent = document.title = one_of(classes);
    const marked =
      threshold === null
        ? ""
        : ` A text may have several labels, or none: those from ${percent(threshold)} on are marked.`;
    the("about").textContent =
      `A Wave Network of one layer, ${d} dimensions and ${tokenizer.v.toLocaleString("en")} tokens. ` +
      `It answers inside this page: nothing is fetched, nothing you type leaves it.${marked}`;
    const read =
      formula.pool === "cls"
        ? "Only [CLS], the dark dot, is read by what follows."
        : "What follows reads the mean over all tokens.";
    the("waves-about").textContent =
      "In each dimension all tokens of a text lie on one circle. Its radius G is the norm of all of them; " +
      `the phase, a token's angle, tells how much of G is its own. Two variants of each token meet as waves. ${read}`;
    the("pictures-legend").textContent =
      "Large dots are words; small ones are stems and pairs of words, which go with them. Filled: speaks for the " +
      "class; hollow and orange: against it. Where they lie close together, they are drawn from nearby, with the " +
      "whole circle in the corner. " +
      (formula.pool === "cls"
        ? "Arrows at [CLS]: where the logit rises, along the radius (magnitude) and, dashed, along the circle (phase)."
        : "");
    the("backwards-about").textContent =
      "The gradient of the logit at every word, times the word: a word that grows by 1 % moves the logit by about " +
      "1 % of this number. It does so by moving the magnitudes of the waves, and by moving their phases. " +
      "If all tokens grow alike, no phase turns: that column adds up to zero.";
    the("foot").textContent =
      `Reads ${max_length} tokens of a text. Parameters ${digest.slice(0, 16)}. Made by wave_jax.`;
    document.querySelector("main")?.removeAttribute("hidden");
  }
}

/** Open the page. */
async function open_page() {
  try {
    const [start, content] = await Promise.all([inflated(embedded("start")), unpack(embedded("file"))]);
    const { characters, text } = JSON.parse(start);
    page = new Page(new Predictor(content, characters), text);
    document.body.dataset.ready = String(Math.round(performance.now())); // milliseconds that it took
  } catch (error) {
    the("about").textContent =
      `This page cannot be opened: ${error instanceof Error ? error.message : error}`;
    throw error;
  }
}

open_page();
