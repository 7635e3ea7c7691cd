"""An exported file at work in an engine, such as Ray, Spark or `datasets`: each worker loads it once.

    labelling = Labelling("news.wave")
    ray_dataset.map_batches(labelling)                      # a batch of columns, or a frame of pandas
    frame.mapInPandas(labelling.frames, schema)             # an iterator of frames

docs/engines.md has an example for each. It needs no JAX.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from wave_jax.data import targets
from wave_jax.serving import predictor
from wave_jax.serving.predictor import Predictor

__all__ = ["Labelling"]


class Labelling:
    """Add two columns to a batch of texts: `prediction`, the likeliest label, and its `probability`.

    Of a network with several labels a text, those above its threshold are the prediction, as a|b, and the
    probability is that of the first.

    It is sent to workers as the name of its file, which each of them loads with its first batch.
    """

    def __init__(self, path: str | os.PathLike[str], text: str = "text", threads: int = 1):
        self.path, self.text, self.threads = os.path.abspath(path), text, threads
        self._predictor: Predictor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_predictor": None}

    def __call__(self, batch: Any) -> Any:
        """Return a batch, a mapping of columns or a frame of pandas, with the two columns besides its own."""
        if self._predictor is None:
            self._predictor = predictor.load(self.path, self.threads)
        shares, classes = self._predictor.predict_proba([*batch[self.text]]), self._predictor.classes
        if (threshold := self._predictor.threshold) is None:
            labels = [classes[k] for k in shares.argmax(axis=-1)]
        else:
            ranked = [[k for k in np.argsort(-row, kind="stable") if row[k] >= threshold] for row in shares]
            labels = [targets.joined(classes[k] for k in row) for row in ranked]
        found = {
            "prediction": labels,
            "probability": shares.max(axis=-1, initial=0),
        }
        return {**batch, **found} if isinstance(batch, Mapping) else batch.assign(**found)

    def frames(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Yield each frame with the two columns besides its own."""
        yield from map(self, frames)
