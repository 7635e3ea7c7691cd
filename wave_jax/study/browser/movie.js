/** A movie of one text along training: which moment is shown, and who moves it. */

/**
 * @typedef {object} Film
 * @property {string[]} tokens
 * @property {string[]} classes
 * @property {number[]} dims  Their numbers, from 1.
 * @property {number[]} steps  One for each moment.
 * @property {number[][]} shares  Probability of each class at each moment.
 * @property {Record<string, [number, number][][][]>} waves  By moment, dimension and token.
 */

const PER_SECOND = 4; // moments

/** The page around a film. */
class Movie {
  /** @param {Film} film */
  constructor(film) {
    this.film = film;
    this.last = film.steps.length - 1;
    this.moment = 0;
    this.playing = false;
    /** @type {number | null} */
    this.followed = null;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    const follow = (/** @type {number} */ j) => this.follow(j);
    this.circles = Object.keys(film.waves).map((name) => new Circle(name, film.tokens, follow));
    part("pictures").append(...this.circles.map(({ figure }) => figure));
    part("dimension").append(...film.dims.map((k, i) => shape("option", { value: i }, String(k))));
    part("frame").max = String(this.last);
    this.buttons = film.tokens.map((token, j) => {
      const button = shape("button", { type: "button", "aria-pressed": "false", dir: "auto" }, token);
      button.addEventListener("click", () => follow(j));
      return button;
    });
    part("tokens").append(...this.buttons);
    this.bars = film.classes.map((name) => {
      const [track, bar, share] = [shape("div", { class: "track" }), shape("i"), shape("span", { class: "share" })];
      track.append(bar);
      part("answers").append(shape("span", { dir: "auto" }, name), track, share);
      return { bar: /** @type {HTMLElement} */ (bar), share };
    });
    part("about").textContent =
      `${film.tokens.length} tokens, step ${film.steps[0]} to step ${film.steps[this.last]} of training: Z1 and Z2 are ` +
      "the waves of the tokens' two variants, Z is the two combined. Nothing is fetched.";
    this.listen();
    this.choose();
    document.querySelector("main")?.removeAttribute("hidden");
  }

  listen() {
    part("play").addEventListener("click", () => this.play(!this.playing));
    part("frame").addEventListener("input", () => this.go(Number(part("frame").value)));
    part("dimension").addEventListener("change", () => this.choose());
    part("even").addEventListener("change", () => this.show());
    document.addEventListener("keydown", (event) => {
      const { tagName, id } = /** @type {Element} */ (event.target);
      if (event.ctrlKey || event.altKey || event.metaKey || tagName === "SELECT") return;
      /** @type {Record<string, number>} */
      const moves = { ArrowLeft: this.moment - 1, ArrowRight: this.moment + 1, Home: 0, End: this.last };
      if (event.key === " " && tagName !== "BUTTON" && id !== "even") this.play(!this.playing);
      else if (event.key in moves && tagName !== "INPUT") this.go(Math.round(moves[event.key]));
      else return;
      event.preventDefault();
    });
  }

  /** Take the dimension that is chosen. */
  choose() {
    const k = Number(part("dimension").value);
    for (const circle of this.circles) circle.take(this.film.waves[circle.name].map((moment) => moment[k]));
    this.show();
  }

  /** @param {number} token */
  follow(token) {
    this.followed = this.followed === token ? null : token;
    for (const [j, button] of this.buttons.entries())
      button.setAttribute("aria-pressed", String(j === this.followed));
    this.show();
  }

  /**
   * Stop at a moment.
   * @param {number} moment
   */
  go(moment) {
    this.play(false);
    this.moment = Math.min(this.last, Math.max(0, moment));
    this.show();
  }

  /** @param {boolean} on */
  play(on) {
    this.playing = on;
    part("play").textContent = on ? "Stop" : "Play";
    if (!on) return;
    const begun = this.moment >= this.last ? 0 : this.moment;
    const start = performance.now();
    const tick = (/** @type {number} */ now) => {
      if (!this.playing) return;
      const moment = Math.min(this.last, begun + (PER_SECOND * Math.max(0, now - start)) / 1000);
      this.moment = this.still.matches ? Math.floor(moment) : moment;
      this.show();
      if (this.moment < this.last) requestAnimationFrame(tick);
      else this.play(false);
    };
    requestAnimationFrame(tick);
  }

  /** Draw the moment. */
  show() {
    const i = Math.floor(this.moment);
    const { steps, shares } = this.film;
    for (const circle of this.circles) circle.show(this.moment, this.followed, part("even").checked);
    part("frame").value = String(i);
    part("frame").setAttribute("aria-valuetext", `step ${steps[i]}`);
    part("step").textContent = `step ${steps[i]}`;
    for (const [k, { bar, share }] of this.bars.entries()) {
      bar.style.width = `${100 * shares[i][k]}%`;
      share.textContent = `${(100 * shares[i][k]).toFixed(1)} %`;
    }
  }
}

const movie = new Movie(JSON.parse(part("film").textContent));
document.body.dataset.ready = String(Math.round(performance.now())); // milliseconds that it took
