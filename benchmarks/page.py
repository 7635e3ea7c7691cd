"""Pages of SMALL in a browser without a window: size, time to the first answer, time of a keystroke.

    python -m benchmarks.page FOLDER [FOLDER ...]          (about two minutes on 2 cores)

FOLDERs hold train.csv and test.csv (see docs/datasets.md). Trains SMALL for two epochs on the first and
exports it. `first answer` is from the start of the navigation until everything is shown, the median of
seven tabs. A keystroke adds a letter to a text: answer, shades, waves, gradient, style and layout. Its time
is that of the processor, and that of the clock until it is done and until the browser has drawn it: means
and medians of forty. The page's tokens and logits are compared with the predictor's over 500 test texts of
each folder and over odd texts. Writes benchmarks/results/page.md.
"""

import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.chromium import Browser, Tab
from wave_jax import tables
from wave_jax.data import datasets
from wave_jax.serving import predictor
from wave_jax.serving.predictor import Predictor

TEXTS = 500  # of each corpus
ODD = 5_000
KEYS = 40
SOME = (
    *(
        "the film",
        " prices",
        "not good",
        "42nd",
        " ",
        "\t",
        "\r\n",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "_",
        "¿",
    ),
    *(
        "&amp;",
        "#39;",
        "&#x80;",
        "&#0;",
        "&#55296;",
        "&notit;",
        "<br />",
        "&lt;b&gt;",
        "<strİke>",
        "\\",
        "<b",
    ),
    *(
        "\ud800",
        "e\u0301",
        "İ",
        "ı",
        "ſ",
        "K",
        "ß",
        "ǅ",
        "²",
        "각",
        "北京",
        "שלום",
        "السلام",
        "हिन्दी",
        "👩‍👩‍👧",
    ),
)
KEY = """async () => {
  const text = document.getElementById("text");
  const start = performance.now();
  text.value += "s";
  text.dispatchEvent(new Event("input"));
  document.body.getBoundingClientRect();
  const done = performance.now() - start;
  await new Promise((next) => requestAnimationFrame(() => setTimeout(next)));
  return [done, performance.now() - start];
}"""


def exported(folder: str, out: Path) -> dict[str, float]:
    """Train SMALL and write it as a file and, in every dtype, as a page; return the bytes of the pages."""
    from wave_jax.runs import presets, run
    from wave_jax.serving import export

    small = presets.preset("small")
    prepared = run.prepare(datasets.load(folder), replace(small, training=replace(small.training, epochs=2)))
    *_, last = run.train(prepared)
    trained = prepared.trained(last.kept)
    export.save(out / "file.wave", trained, dtype="int8")
    dtypes = ("int8", "float16", "float32")
    return {dtype: export.save(out / f"{dtype}.html", trained, dtype=dtype).size for dtype in dtypes}


def first_answer(browser: Browser, page: Path) -> float:
    """Measure the seconds from the start of the navigation until the page shows its first answer."""
    seconds = []
    for _ in range(7):
        tab = browser.open(page)
        seconds.append(tab.run("Number(document.body.dataset.ready)") / 1000)
        tab.call("Page.close")
    return statistics.median(seconds)


def keystrokes(tab: Tab, network: Predictor, words: Sequence[str], n: int) -> dict[str, object]:
    """Measure keystrokes in a text of n tokens, not counting stems and pairs."""
    text = next(
        text for text in (" ".join(words[:k]) for k in range(n // 2, 2 * n)) if _words(network, text) >= n
    )
    tab.ask("(text) => { document.getElementById('text').value = text; page.read() }", text)
    for _ in range(KEYS):  # the browser compiles what it runs often
        tab.run(f"({KEY})()")
    before = _processor(tab)
    done, drawn = np.median([tab.run(f"({KEY})()") for _ in range(KEYS)], axis=0)
    return {
        "tokens": n,
        "with stems and pairs": f"{tab.run('page.reading.pieces.length'):,}",
        "processor, ms": f"{(_processor(tab) - before) / KEYS:.1f}",
        "done, ms": f"{done:.1f}",
        "drawn, ms": f"{drawn:.1f}",
    }


def _processor(tab: Tab) -> float:
    """Return the milliseconds that the page's thread has spent on scripts, style and layout."""
    parts = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    metrics = tab.call("Performance.getMetrics")["metrics"]
    return 1000 * sum(metric["value"] for metric in metrics if metric["name"] in parts)


def _words(network: Predictor, text: str) -> int:
    """Count the tokens of a text without stems and pairs."""
    ids = network.tokenizer.encode([text], 2**16).ids.tolist()
    return 1 + ids.index(network.tokenizer.sep_id)


def odd_texts(count: int) -> list[str]:
    """Make texts of odd parts and of characters drawn from all of Unicode."""
    draw = random.Random(0)
    any_char = [*range(0xD800), *range(0xE000, 0x110000)]
    parts = (
        lambda: draw.choice(SOME),
        lambda: chr(draw.choice(any_char)),
        lambda: chr(draw.randrange(0x3000)),
    )
    return ["".join(draw.choice(parts)() for _ in range(draw.randrange(30))) for _ in range(count)]


def compared(tab: Tab, network: Predictor, name: str, texts: Sequence[str]) -> dict[str, object]:
    """Compare tokens and logits of the page with the predictor's."""
    want, n = network.tokenizer.encode(texts, network.max_length), len(texts)
    found = tab.ask(
        "(texts) => texts.map((t) => page.network.tokenizer.encode(t, page.network.max_length))", texts
    )
    same = [ids.tolist() for ids in np.split(want.ids, want.offsets[1:-1])]
    logits = np.array(tab.ask("(texts) => page.network.logits(texts)", texts))
    off = np.abs(logits - network.logits(texts)).max()
    return {
        "texts": name,
        "number": f"{n:,}",
        "tokens": f"{len(want.ids):,}",
        "texts with other tokens": sum(a != b for a, b in zip(found, same, strict=True)),
        "largest difference of a logit": f"{off:.1e}",
        "other answers": int((logits.argmax(1) != network.predict_proba(texts).argmax(1)).sum()),
    }


def corpora(folders: Sequence[str]) -> dict[str, list[str]]:
    """Draw test texts of each folder."""
    texts = {Path(folder).name: list(datasets.load(folder).test.texts) for folder in folders}
    return {name: random.Random(0).sample(some, min(TEXTS, len(some))) for name, some in texts.items()}


def main(*folders: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        out, texts = Path(folder), corpora(folders)
        sizes = exported(folders[0], out)
        network = predictor.load(out / "file.wave")
        rows = [
            {
                "dtype": dtype,
                "MB": f"{size / 1e6:.2f}",
                "first answer, s": f"{first_answer(browser, out / f'{dtype}.html'):.2f}",
            }
            for dtype, size in sizes.items()
        ]
        tab = browser.open(out / "int8.html")
        tab.call("Performance.enable", timeDomain="threadTicks")
        words = " ".join(next(iter(texts.values()))).split()
        keys = [keystrokes(tab, network, words, n) for n in (60, 512)]
        texts |= {"odd texts": odd_texts(ODD)}
        found = [compared(tab, network, name, some) for name, some in texts.items()]
        about = browser.call("Browser.getVersion")["product"]
    from benchmarks.report import write

    notes = (
        f"Measured in {about}, beside other work: load average {os.getloadavg()[0]:.1f}."
        f" A keystroke, in the page of int8:\n\n{tables.markdown(keys)}\n\n"
        f"The same page compared with the predictor:\n\n{tables.markdown(found)}"
    )
    write("page", "Pages of SMALL", rows, notes)


if __name__ == "__main__":
    main(*sys.argv[1:])
