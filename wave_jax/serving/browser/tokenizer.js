/**
 * Text to ids, as `wave_jax.data.tokenizer` makes them. Names are those of the Python modules.
 *
 * What the rules do to each character was asked of the library when the page was written (`page.characters`),
 * because browsers disagree about Unicode's versions. Positions count UTF-16 units, as JavaScript does.
 */

/**
 * @typedef {{id: number, token: string, start: number, end: number, first: number, last: number}} Piece
 *   A token: its part of the text, and the words that it belongs to; a word belongs to itself.
 * @typedef {{char: string, start: number, end: number, order: number}} Char  A character after normalizing.
 * @typedef {object} Characters
 * @property {number[]} gone  Ranges of characters that disappear: first, last, first, last ...
 * @property {number[]} spaced  Ranges of characters that get a space on either side.
 * @property {boolean} hangul  Whether syllables become letters.
 * @property {[string, string[]]} forms  All other characters that change, and what they become.
 * @property {[string, number[]]} order  Combining characters that stay, and their rank in a row of them.
 * @property {number[]} bars  Ranges of characters that disappear, yet no row of marks crosses them.
 * @property {number[]} space  Ranges of white space.
 * @property {number[]} marks  Ranges of characters that are words of their own.
 * @property {number[]} letters  Ranges of Python's `str.isalpha`.
 * @property {number[]} capitals  Ranges of `str.isupper`.
 * @property {number[]} digits  Ranges of `str.isdigit`.
 * @property {string} debris  The pattern of what cleaning takes out.
 * @property {Record<string, string>} entities  What entities stand for: names, and odd numbers as #n.
 */

const STEM = [5, 4, 3]; // letters of the beginnings of words that may have rows; ## follows them
const REPLACEMENT = "\ufffd";

/**
 * Return whether a number lies in one of these ranges.
 * @param {number[]} ranges
 * @param {number} code
 */
function within(ranges, code) {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > ranges[2 * middle + 1]) low = middle + 1;
    else high = middle;
  }
  return 2 * low < ranges.length && code >= ranges[2 * low];
}

/**
 * Replace each half of a surrogate pair by the replacement character.
 * @param {string} text
 */
function without_lone_surrogates(text) {
  return text.replace(/[\ud800-\udfff]/gu, REPLACEMENT);
}

/** A WordPiece tokenizer with BERT's rules. */
class Tokenizer {
  /**
   * @param {string} json  what `Tokenizer.to_json` wrote
   * @param {Characters} characters
   */
  constructor(json, characters) {
    const parts = JSON.parse(json);
    const { vocab, max_input_chars_per_word } = parts.model;
    const ours = parts.wave_jax ?? {};
    this.characters = characters;
    this.clean = Boolean(ours.clean);
    this.looks = Boolean(ours.looks);
    this.longest_word = max_input_chars_per_word;
    /** @type {Map<string, number>} */
    this.vocabulary = new Map(Object.entries(vocab));
    this.first_pair = 0;
    for (const row of this.vocabulary.values()) this.first_pair = Math.max(this.first_pair, row + 1);
    /** @type {[number, number][]} */
    this.pairs = (ours.pairs ?? []).map((/** @type {string} */ pair) =>
      pair.split(" ").map((token) => this.vocabulary.get(token)),
    );
    this.pair_rows = new Map(this.pairs.map(([a, b], i) => [a * this.first_pair + b, this.first_pair + i]));
    this.v = this.first_pair + this.pairs.length;
    /** @type {string[]} */
    this.tokens = new Array(this.first_pair).fill("");
    for (const [token, row] of this.vocabulary) this.tokens[row] = token;
    const [changed, forms] = characters.forms;
    this.forms = new Map(Array.from(changed, (char, i) => [char, forms[i]]));
    const [combining, ranks] = characters.order;
    this.order = new Map(Array.from(combining, (char, i) => [char, ranks[i]]));
  }

  /**
   * List the tokens of a text, [CLS] and [SEP] included: words, at most `max_length`, then stems, then pairs.
   * @param {string} text
   * @param {number} max_length
   * @returns {{pieces: Piece[], words: number, read: number}}  `read` is where the text was cut off
   */
  explain(text, max_length) {
    const whole = this.clean
      ? clean_with_spans(text, this.characters)
      : { cleaned: text, begin: null, end: null };
    /** @type {Piece[]} */
    const pieces = [this.piece("[CLS]", 0, 0, 0)];
    let more = false;
    for (const [token, a, b] of this.pieces(whole.cleaned)) {
      more = pieces.length > max_length - 2;
      if (more) break;
      const start = whole.begin ? whole.begin[a] : a;
      const end = whole.end ? whole.end[b - 1] : b;
      pieces.push(this.piece(token, start, end, pieces.length));
    }
    const read = more ? pieces[pieces.length - 1].end : text.length;
    pieces.push(this.piece("[SEP]", text.length, text.length, pieces.length));
    const words = pieces.length;
    pieces.push(...this.stems_in(pieces), ...this.pairs_in(pieces));
    return { pieces, words, read };
  }

  /**
   * Return the ids of a text.
   * @param {string} text
   * @param {number} max_length
   */
  encode(text, max_length) {
    return this.explain(text, max_length).pieces.map((piece) => piece.id);
  }

  /**
   * @param {string} token
   * @param {number} start
   * @param {number} end
   * @param {number} word
   * @returns {Piece}
   */
  piece(token, start, end, word) {
    return {
      id: /** @type {number} */ (this.vocabulary.get(token)),
      token,
      start,
      end,
      first: word,
      last: word,
    };
  }

  /**
   * Yield the tokens of a text and their positions in it.
   * @param {string} text
   * @returns {Generator<[string, number, number]>}
   */
  *pieces(text) {
    text = without_lone_surrogates(text);
    for (const word of this.words(text)) {
      const found = this.word_piece(word);
      const [start, end] = span(word);
      if (found) yield* found;
      else if (this.looks) yield [this.unknown(text.slice(start, end)), start, end];
      else yield ["[UNK]", start, end];
    }
  }

  /**
   * Yield the words of a text, normalized: characters between white space, and each mark by itself.
   * @param {string} text
   * @returns {Generator<Char[]>}
   */
  *words(text) {
    /** @type {Char[]} */
    let word = [];
    let floor = 0; // where a row of combining characters begins, which are brought into order
    let start = 0;
    for (const char of text) {
      const end = start + char.length;
      const form = this.normal(char);
      if (!form && within(this.characters.bars, code_of(char))) floor = word.length;
      for (const each of form) {
        const [order, code] = [this.order.get(each) ?? 0, code_of(each)];
        const one = { char: each, start, end, order };
        const [space, mark] = [within(this.characters.space, code), within(this.characters.marks, code)];
        if (space || mark) {
          if (word.length) yield word;
          if (mark) yield [one];
          [word, floor] = [[], 0];
          continue;
        }
        let place = word.length;
        while (order && place > floor && word[place - 1].order > order) place--;
        word.splice(place, 0, one);
        if (!order) floor = word.length;
      }
      start = end;
    }
    if (word.length) yield word;
  }

  /**
   * Return what the normalizer makes of a character.
   * @param {string} char
   */
  normal(char) {
    const { gone, spaced, hangul } = this.characters;
    const code = code_of(char);
    if (within(gone, code)) return "";
    if (within(spaced, code)) return ` ${char} `;
    if (hangul && code >= 0xac00 && code <= 0xd7a3) return char.normalize("NFD");
    return this.forms.get(char) ?? char;
  }

  /**
   * Take the longest token that a word begins with, then the longest of the rest; null if a rest has none.
   * @param {Char[]} word
   * @returns {[string, number, number][] | null}
   */
  word_piece(word) {
    if (word.length > this.longest_word) return null;
    /** @type {[string, number, number][]} */
    const found = [];
    for (let first = 0, last = 0; first < word.length; first = last) {
      let token =
        (first ? "##" : "") +
        word
          .slice(first)
          .map((one) => one.char)
          .join("");
      for (last = word.length; last > first && !this.vocabulary.has(token); last--)
        token = token.slice(0, token.length - word[last - 1].char.length);
      if (last === first) return null;
      found.push([token, ...span(word.slice(first, last))]);
    }
    return found;
  }

  /**
   * Return the token of a word without a row: its longest stem that has one, or what it looks like.
   * @param {string} word
   */
  unknown(word) {
    const normal = Array.from(word, (char) => this.normal(char)).join("");
    const stem = this.beginnings(normal).find((each) => this.vocabulary.has(each));
    const first = word.codePointAt(0) ?? 0;
    if (stem) return stem;
    if (within(this.characters.capitals, first)) return "[UNK-A]";
    return within(this.characters.digits, first) ? "[UNK-1]" : "[UNK]";
  }

  /**
   * Return the stems of a word of letters, or of a longer stem.
   * @param {string} word
   */
  beginnings(word) {
    const letters = Array.from(word.endsWith("##") ? word.slice(0, -2) : word);
    if (!letters.every((char) => within(this.characters.letters, code_of(char)))) return [];
    return STEM.filter((k) => letters.length > k).map((k) => letters.slice(0, k).join("") + "##");
  }

  /**
   * Return the stems of words, in their order, the longest first.
   * @param {Piece[]} words
   * @returns {Piece[]}
   */
  stems_in(words) {
    if (!this.looks) return [];
    return words.flatMap((word, j) =>
      this.beginnings(word.token)
        .filter((stem) => this.vocabulary.has(stem))
        .map((stem) => this.piece(stem, word.start, word.end, j)),
    );
  }

  /**
   * Return the pairs of neighbours that have a row.
   * @param {Piece[]} words
   * @returns {Piece[]}
   */
  pairs_in(words) {
    const found = [];
    for (let j = 0; j + 1 < words.length; j++) {
      const [one, two] = [words[j], words[j + 1]];
      const id = this.pair_rows.get(one.id * this.first_pair + two.id);
      if (id === undefined) continue;
      const token = `${one.token} ${two.token}`;
      found.push({ id, token, start: one.start, end: two.end, first: j, last: j + 1 });
    }
    return found;
  }
}

/**
 * Return where characters begin and end in the text, whatever order they were brought into.
 * @param {Char[]} chars
 * @returns {[number, number]}
 */
function span(chars) {
  let [first, last] = [Infinity, 0];
  for (const { start, end } of chars) [first, last] = [Math.min(first, start), Math.max(last, end)];
  return [first, last];
}

/** @param {string} char */
function code_of(char) {
  return /** @type {number} */ (char.codePointAt(0));
}
