"""The page that a reader of the site can try: a small network, trained on the planted corpus for it."""

import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from wave_jax.data import datasets
from wave_jax.runs import presets, run
from wave_jax.serving import export

SIZE, EPOCHS = 8_000, 5  # training texts of a quick build: as good as the best bag of words


@lru_cache(1)  # `mkdocs serve` builds the site again and again
def page() -> bytes:
    """Train the network, which takes some ten seconds on two cores, and return its page."""
    small = presets.SMALL
    preset = replace(
        small,
        network=replace(small.network, d=32),
        training=replace(small.training, epochs=EPOCHS),
        v=1_000,
        stems=0,
        pairs=0,
    )
    data = datasets.load("planted", size=SIZE)
    prepared = run.prepare(data, preset)
    *_, last = run.train(prepared)
    text = next(text for text in data.test.texts if len(text) > 150)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "try.html"
        export.save(path, prepared.trained(last.kept), dtype="int8", text=text)
        return path.read_bytes()
