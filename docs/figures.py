"""The pictures of README and pages, in docs/images.

python docs/figures.py                 wave.png, and those of one text, whose movie Chromium shows
python docs/figures.py news.html       page.png too: a page of SMALL on AG News, in Chromium
"""

import io
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx
from PIL import Image

import wave_jax as wj

IMAGES = Path(__file__).parent / "images"
sys.path.insert(0, str(IMAGES.parent.parent))
TOKENS = ["[CLS]", "oil", "prices", "fall", "again"]
W = jnp.array([[0.3, -1.0, -0.9], [2.0, 0.3, 0.0], [1.1, 1.2, 0.9], [-1.4, -2.2, 3.0], [-0.5, 2.0, -1.8]])
PLANTED = "Talks turn to the harvest. Officials counted every blossom before the ferry."
TEXT = "Oil prices fell again as traders doubted that producers would agree, and airline shares rose."


def one_text() -> dict[str, bytes]:
    """Train a small network on the planted corpus; draw flow, portraits and the end of a movie of a text."""
    data = wj.datasets.load("planted", size=1_500)
    tokenizer = wj.Tokenizer.train(data.train.texts, v=1500)
    train = wj.batches.tokenize(data.train.texts, data.train.labels, tokenizer, max_length=80)
    one = wj.batches.of_texts([PLANTED], [data.classes.index("Orchard")], tokenizer)
    tokens = [piece.token for piece in tokenizer.explain(PLANTED, 80)]
    network = wj.WaveConfig(d=32).build(v=tokenizer.v, c=4, rngs=nnx.Rngs(0))
    frames = [wj.movie.frame(network, one)]
    training = wj.TrainConfig(epochs=3, rate=1e-2, schedule="cosine", lengths=1)
    for state, record in wj.fit(network, train, training, every=4):
        network = state.network
        frames.append(wj.movie.frame(network, one, record.step))
    both = jax.tree.map(lambda stage: stage[0], (network.trace(one.ids, one.mask), wj.by_stage(network, one)))
    waves = {"before training": frames[0].Z1, "after three epochs": frames[-1].Z1}
    figures = {
        "flow.png": wj.pictures.flow(tokens, *both),
        "before_and_after.png": wj.pictures.phase_portraits(waves, tokens, names=10),
    }
    shots = {name: wj.plot_style.png(figure, 100) for name, figure in figures.items()}
    return shots | {"movie.png": last_moment(wj.movie.page(frames, tokens, data.classes))}


def last_moment(page: bytes) -> bytes:
    """Return a picture of a movie at its end, with a token that is followed."""
    from benchmarks.chromium import Browser

    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        path = Path(folder) / "movie.html"
        path.write_bytes(page)
        tab = browser.open(path)
        tab.size(1000, 700)
        tab.run("movie.go(movie.last); movie.follow(movie.film.tokens.indexOf('harvest'))")
        return smaller(tab.picture())


def smaller(picture: bytes) -> bytes:
    """Return a picture of a page in few colours."""
    out = io.BytesIO()
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(160, Image.Quantize.MAXCOVERAGE)
    few.save(out, "png", optimize=True)
    return out.getvalue()


def screenshot(page: str) -> bytes:
    """Return a picture of a page down to its waves, with a text, a marked word and one that is taken out."""
    from benchmarks.chromium import Browser

    end = "document.getElementById('pictures').getBoundingClientRect().bottom + scrollY + 8"
    with Browser() as browser:
        tab = browser.open(page, prefers_reduced_motion="reduce")
        tab.size(1000, 800)
        tab.run("document.getElementById('text').rows = 2")
        tab.ask("(text) => { document.getElementById('text').value = text; page.read() }", TEXT)
        tab.run("page.take_out(9); page.mark(page.reading.units.findIndex(({ name }) => name === 'shares'))")
        return smaller(tab.picture((0, 0, 1000, tab.run(end))))


def main(*pages: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "wave.png").write_bytes(wj.plot_style.png(wj.plots.phase_portrait(wj.encode(W), TOKENS)))
    for name, picture in one_text().items():
        (IMAGES / name).write_bytes(picture)
    for page in pages:
        (IMAGES / "page.png").write_bytes(screenshot(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
