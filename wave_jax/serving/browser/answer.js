/** The answer and the words that made it: probabilities of the classes, and the text shaded. */

const SHOWN = 8; // classes at once
const STRONGEST_SHADE = 50; // percent
const FAINTEST = 0.05; // share of the strongest score that is still shown

/**
 * Make an element; every string becomes text, never markup.
 * @param {string} tag
 * @param {Record<string, string | number | boolean>} [attributes]
 * @param {...(Node | string)} content
 * @returns {HTMLElement}
 */
function element(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value !== "boolean") made.setAttribute(name, String(value));
    else if (value) made.setAttribute(name, "");
  }
  made.append(...content);
  return made;
}

/**
 * Return the element of this id.
 * @param {string} id
 * @returns {any}
 */
function the(id) {
  return document.getElementById(id);
}

/** @param {number} share */
function percent(share) {
  return share >= 5e-4 ? `${(100 * share).toFixed(1)} %` : "<0.1 %";
}

/**
 * Write a number with its sign, and as many decimals as give the largest number, `full`, three digits.
 * @param {number} x
 * @param {number} full
 */
function signed(x, full) {
  const decimals = full ? Math.min(9, Math.max(0, 2 - Math.floor(Math.log10(full)))) : 0;
  return (x < 0 ? "−" : "+") + Math.abs(x).toFixed(decimals);
}

/**
 * Return whether a score speaks "for" the class or "against" it, or says next to nothing.
 * @param {number} score
 * @param {number} full
 */
function side(score, full) {
  return Math.abs(score) < FAINTEST * full || !full ? "" : score > 0 ? "for" : "against";
}

/** The classes by probability, those that are answered marked; choosing one explains it. */
class Classes {
  /**
   * @param {string[]} names
   * @param {boolean} several  Whether a text may have several of them.
   * @param {(label: number) => void} choose
   */
  constructor(names, several, choose) {
    this.names = names;
    this.several = several;
    this.rows = names.map((name, label) => {
      const choice = /** @type {HTMLInputElement} */ (
        element("input", { type: "radio", name: "label", value: label })
      );
      choice.addEventListener("change", () => choose(label));
      const share = element("span", { class: "share" });
      const bar = element("i");
      const about = element("span", { class: "name" }, name);
      const row = element(
        "label",
        { class: "class", dir: "auto" },
        choice,
        about,
        share,
        element("span", { class: "track" }, bar),
      );
      return { row, choice, share, bar };
    });
    the("filter").hidden = names.length <= SHOWN;
    the("filter").addEventListener("input", () => this.list());
    /** @type {number[]} */
    this.ranked = [];
    /** @type {number[]} */
    this.listed = [];
  }

  /**
   * @param {Answered} answer
   * @param {number} label  the class that is explained
   */
  show({ shares, labels }, label) {
    this.label = label;
    this.ranked = shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a] || a - b);
    this.list();
    for (const [i, { row, choice, share, bar }] of this.rows.entries()) {
      const first = labels.includes(i);
      row.className = `class${i === label ? " explained" : ""}${first ? " first" : ""}`;
      choice.checked = i === label;
      share.textContent = percent(shares[i]) + (first && this.several ? " ✓" : "");
      bar.style.width = `${100 * shares[i]}%`;
    }
  }

  /** List the likeliest classes of those that the filter lets through, and the one that is explained. */
  list() {
    const wanted = the("filter").value.trim().toLowerCase();
    const matching = this.ranked.filter((i) => this.names[i].toLowerCase().includes(wanted));
    const listed = matching.filter((i, rank) => rank < SHOWN || i === this.label);
    const hidden = matching.length - listed.length;
    the("rest").textContent = hidden
      ? `and ${hidden} more, each less likely`
      : matching.length
        ? ""
        : "No class has such a name.";
    if (listed.length === this.listed.length && listed.every((label, i) => label === this.listed[i])) return;
    this.listed = listed;
    the("list").replaceChildren(...listed.map((i) => this.rows[i].row));
  }
}

/** The text, word by word: a word is marked by pointer or arrow keys, and taken out by a click or Enter. */
class Words {
  /**
   * @param {(unit: number | null) => void} mark
   * @param {(unit: number) => void} take_out
   */
  constructor(mark, take_out) {
    /** @type {HTMLElement[]} */
    this.spans = [];
    this.current = 0;
    const box = the("words");
    const unit_at = (/** @type {Event} */ event) =>
      this.spans.indexOf(/** @type {HTMLElement} */ (event.target));
    box.addEventListener("pointerover", (/** @type {Event} */ event) =>
      mark(unit_at(event) < 0 ? null : unit_at(event)),
    );
    box.addEventListener("pointerleave", () => mark(null));
    box.addEventListener("focusin", (/** @type {Event} */ event) => {
      this.current = Math.max(0, unit_at(event));
      mark(this.current);
    });
    box.addEventListener("focusout", () => mark(null));
    box.addEventListener(
      "click",
      (/** @type {Event} */ event) => unit_at(event) > 0 && take_out(unit_at(event)),
    );
    box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" || event.key === " ") {
        if (this.current > 0) take_out(this.current);
      } else {
        const last = this.spans.length - 1;
        const right = getComputedStyle(box).direction === "rtl" ? -1 : 1;
        const to = { ArrowRight: this.current + right, ArrowLeft: this.current - right, Home: 0, End: last }[
          event.key
        ];
        if (to === undefined) return;
        this.focus(Math.min(last, Math.max(0, to)));
      }
      event.preventDefault();
    });
  }

  /** @param {number} unit */
  focus(unit) {
    this.spans[this.current]?.setAttribute("tabindex", "-1");
    this.spans[unit].setAttribute("tabindex", "0");
    this.spans[unit].focus();
  }

  /**
   * Write a text, with what lies between its words and what was not read.
   * @param {Reading} reading
   */
  write({ text, units, read }) {
    this.current = 0;
    const parts = [];
    let done = 0;
    this.spans = units.map(({ name, start }, i) => {
      const end = i === 0 || i === units.length - 1;
      return element(
        "span",
        { class: end ? "word end" : "word", role: "button", tabindex: i ? -1 : 0, "aria-pressed": "false" },
        end ? name : text.slice(start, units[i].end),
      );
    });
    for (const [i, { start, end }] of units.entries()) {
      if (i === units.length - 1) break;
      parts.push(text.slice(done, start), this.spans[i]);
      done = end;
    }
    parts.push(text.slice(done, read), this.spans[this.spans.length - 1]);
    if (read < text.length) {
      const more = text.length - read - 300;
      parts.push(
        element("span", { class: "unread" }, text.slice(read, read + 300)),
        more > 0 ? ` … and ${more.toLocaleString("en")} more` : "",
      );
    }
    the("words").replaceChildren(...parts);
  }

  /**
   * Shade every word by its score.
   * @param {number[]} scores
   * @param {Set<number>} out
   */
  shade(scores, out) {
    const full = Math.max(0, ...scores.map(Math.abs));
    for (const [i, word] of this.spans.entries()) {
      const kind = out.has(i) ? "out" : side(scores[i], full);
      word.className = `word ${kind}${word.classList.contains("end") ? " end" : ""}${word.classList.contains("marked") ? " marked" : ""}`;
      word.style.setProperty("--s", (full ? (STRONGEST_SHADE * Math.abs(scores[i])) / full : 0).toFixed(1));
      word.setAttribute("aria-pressed", String(out.has(i)));
      word.title = out.has(i) ? "taken out" : signed(scores[i], full);
    }
  }

  /** @param {number | null} unit */
  mark(unit) {
    for (const [i, word] of this.spans.entries()) word.classList.toggle("marked", i === unit);
  }
}
