"""The README's pictures, in docs/images.

python docs/figures.py                 wave.png
python docs/figures.py news.html       page.png too: a page of SMALL on AG News, in Chromium
"""

import io
import sys
from pathlib import Path

import jax.numpy as jnp
from PIL import Image

import wave_jax as wj

IMAGES = Path(__file__).parent / "images"
TOKENS = ["[CLS]", "oil", "prices", "fall", "again"]
W = jnp.array([[0.3, -1.0, -0.9], [2.0, 0.3, 0.0], [1.1, 1.2, 0.9], [-1.4, -2.2, 3.0], [-0.5, 2.0, -1.8]])
TEXT = "Oil prices fell again as traders doubted that producers would agree, and airline shares rose."


def screenshot(page: str) -> bytes:
    """Return a picture of a page down to its waves, with a text, a marked word and one that is taken out."""
    sys.path.insert(0, str(IMAGES.parent.parent))
    from benchmarks.chromium import Browser

    end = "document.getElementById('pictures').getBoundingClientRect().bottom + scrollY + 8"
    with Browser() as browser:
        tab = browser.open(page, prefers_reduced_motion="reduce")
        tab.size(1000, 800)
        tab.run("document.getElementById('text').rows = 2")
        tab.ask("(text) => { document.getElementById('text').value = text; page.read() }", TEXT)
        tab.run("page.take_out(9); page.mark(page.reading.units.findIndex(({ name }) => name === 'shares'))")
        picture = Image.open(io.BytesIO(tab.picture((0, 0, 1000, tab.run(end)))))
    small = io.BytesIO()
    picture.convert("RGB").quantize(160, Image.Quantize.MAXCOVERAGE).save(small, "png", optimize=True)
    return small.getvalue()


def main(*pages: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "wave.png").write_bytes(wj.plot_style.png(wj.plots.phase_portrait(wj.encode(W), TOKENS)))
    for page in pages:
        (IMAGES / "page.png").write_bytes(screenshot(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
