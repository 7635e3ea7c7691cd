/** The gradient of the logit at every word, as a table of bars. */

const STRONGEST = 10; // rows, unless all are asked for

/** The table under "Backwards". */
class Backwards {
  /**
   * @param {(unit: number | null) => void} mark
   * @param {() => void} renew
   */
  constructor(mark, renew) {
    this.every = false;
    the("all").addEventListener("click", () => {
      this.every = !this.every;
      the("all").setAttribute("aria-pressed", String(this.every));
      the("all").textContent = this.every ? "The strongest" : "All words";
      renew();
    });
    the("rows").addEventListener("pointerover", (/** @type {Event} */ event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("tr");
      mark(row?.dataset.unit ? Number(row.dataset.unit) : null);
    });
    the("rows").addEventListener("pointerleave", () => mark(null));
  }

  /**
   * @param {Reading} reading
   * @param {number[]} scores  leave-one-out
   * @param {number[]} magnitude  by unit
   * @param {number[]} phase  by unit
   * @param {Set<number>} out
   */
  show(reading, scores, magnitude, phase, out) {
    const both = magnitude.map((x, i) => x + phase[i]);
    const columns = [scores, magnitude, phase, both];
    const full = Math.max(0, ...columns.flat().map(Math.abs));
    const ranked = reading.units
      .map((_, i) => i)
      .filter((i) => !out.has(i))
      .sort((a, b) => Math.abs(scores[b]) - Math.abs(scores[a]));
    const shown = new Set(this.every ? ranked : ranked.slice(0, STRONGEST));
    const rows = ranked
      .filter((i) => shown.has(i))
      .map((i) =>
        this.row(
          reading.units[i].name,
          columns.map((column, k) => (i || k ? column[i] : null)),
          full,
          i,
        ),
      );
    const total = (/** @type {number[]} */ column) => column.reduce((a, b) => a + b, 0);
    const totals = [null, total(magnitude), total(phase), total(both)];
    the("rows").replaceChildren(...rows, this.row("all together", totals, full, null));
    the("all").hidden = ranked.length <= STRONGEST;
  }

  /**
   * @param {string} name
   * @param {(number | null)[]} values
   * @param {number} full
   * @param {number | null} unit
   */
  row(name, values, full, unit) {
    const cells = values.map((value) => {
      if (value === null) return element("td", {}, "");
      const number = signed(value, full);
      const kind = /[1-9]/.test(number) ? (value < 0 ? "against" : "for") : "none";
      const bar = element("span", { class: `bar ${kind}`, "aria-hidden": "true" }, element("i"));
      bar.style.setProperty("--s", String(full ? Math.min(100, (100 * Math.abs(value)) / full) : 0));
      return element("td", {}, bar, kind === "none" ? "0" : number);
    });
    const head = element("th", { scope: "row", dir: "auto" }, name);
    return element("tr", unit === null ? { class: "total" } : { "data-unit": unit }, head, ...cells);
  }

  /** @param {number | null} unit */
  mark(unit) {
    for (const row of the("rows").children)
      row.classList.toggle("marked", unit !== null && row.dataset.unit === String(unit));
  }
}
