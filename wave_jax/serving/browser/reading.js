/** A text as the page reads it: its words, what goes with each of them, and what is left if some are out. */

/**
 * @typedef {object} Unit  What is shaded and taken out as one: a word, or the tokens of one character.
 * @property {string} name
 * @property {number} start
 * @property {number} end
 * @property {number[]} words  Its tokens, without stems and pairs.
 * @property {number[]} group  All tokens that go with it.
 *
 * @typedef {object} Reading
 * @property {string} text
 * @property {Piece[]} pieces
 * @property {Row[]} w  A row per token.
 * @property {Row[]} s2  Sums of the others' squares.
 * @property {Unit[]} units  [CLS] first, [SEP] last.
 * @property {number} read  Where the text was cut off.
 *
 * @typedef {object} Answered
 * @property {number[]} kept  The tokens that are in.
 * @property {Row[]} w  Their rows.
 * @property {Row[]} s2  Sums of the others' squares, among them.
 * @property {Row} logits
 * @property {number[]} shares  Probabilities.
 * @property {number} best  The likeliest class.
 * @property {number[]} labels  The answered classes, the likeliest first: one, or those above the threshold.
 */

/**
 * Read a text.
 * @param {Predictor} network
 * @param {string} text
 * @returns {Reading}
 */
function read_text(network, text) {
  const { pieces, words, read } = network.tokenizer.explain(text, network.max_length);
  const w = network.variants(pieces.map((piece) => piece.id));
  /** @type {Unit[]} */
  const units = [];
  for (let j = 0; j < words; j++) {
    const { token, start, end } = pieces[j];
    const before = units[units.length - 1];
    const end_of_text = j === 0 || j === words - 1;
    if (!end_of_text && j > 1 && start < before.end) {
      before.words.push(j);
      before.end = Math.max(before.end, end);
      before.name = text.slice(before.start, before.end);
    } else
      units.push({ name: end_of_text ? token : text.slice(start, end), start, end, words: [j], group: [] });
  }
  const unit_of = units.flatMap((unit) => unit.words.map(() => unit));
  for (const [j, { first, last }] of pieces.entries()) {
    // A pair with [CLS] or [SEP] goes with its other word alone.
    const owners = new Set(
      j < words ? [first] : [first, last].filter((word) => word > 0 && word < words - 1),
    );
    for (const unit of new Set([...owners].map((word) => unit_of[word]))) unit.group.push(j);
  }
  return { text, pieces, w, s2: others(w), units, read };
}

/**
 * Answer a text without some of its units.
 * @param {Predictor} network
 * @param {Reading} reading
 * @param {Set<number>} out
 * @param {Scale} [scale]
 * @returns {Answered}
 */
function answered(network, reading, out, scale) {
  const gone = new Set([...out].flatMap((i) => reading.units[i].group));
  const kept = reading.pieces.map((_, j) => j).filter((j) => !gone.has(j));
  const w = gone.size ? kept.map((j) => reading.w[j]) : reading.w;
  const s2 = gone.size ? others(w) : reading.s2;
  const logits = network.answer(w, scale);
  const { threshold } = network;
  const shares = probabilities(logits, threshold !== null);
  const best = logits.indexOf(Math.max(...logits));
  const ranked = shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a] || a - b);
  const labels = threshold === null ? [best] : ranked.filter((i) => shares[i] >= threshold);
  return { kept, w, s2, logits, shares, best, labels };
}

/**
 * Yield what each unit adds to a logit: what is lost without it, exactly; 0 for [CLS] and what is out.
 * @param {Predictor} network
 * @param {Reading} reading
 * @param {Answered} answer
 * @param {Set<number>} out
 * @param {number} label
 * @param {Scale} [scale]
 */
function* scored(network, reading, answer, out, label, scale) {
  const position = new Map(answer.kept.map((j, i) => [j, i]));
  const groups = reading.units.map(({ group }, i) =>
    i === 0 || out.has(i) ? [] : group.flatMap((j) => position.get(j) ?? []),
  );
  for (const without of leave_out(network, answer.w, groups, scale))
    yield answer.logits[label] - without[label];
}

/**
 * Add up what belongs to each unit: its own tokens, its stems, and half of a pair with another word.
 * @param {Reading} reading
 * @param {Row} values  one per token
 */
function by_unit(reading, values) {
  const owners = new Uint8Array(values.length);
  for (const { group } of reading.units) for (const j of group) owners[j]++;
  return reading.units.map(({ group }) => group.reduce((sum, j) => sum + values[j] / owners[j], 0));
}
