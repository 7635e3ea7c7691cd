"""Answers of a trained network to texts as they come, with a few compiled programs for all of them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from wave_jax.data import batches
from wave_jax.data.plan import Plan
from wave_jax.data.splits import Split
from wave_jax.data.tokens import check_texts
from wave_jax.networks.trace import Network
from wave_jax.runs.trained import Trained
from wave_jax.training.compiled import few
from wave_jax.training.evaluate import probabilities

__all__ = ["Answers"]

_TOGETHER = 64  # texts of a batch


class Answers:
    """A trained network that answers as `predictor.Predictor` does, whatever its kind.

    `threshold` is None, or with several labels a text the least probability of a label that is answered.

    Texts are padded to powers of two and batches to one size, so a stream of them compiles nothing new.
    """

    def __init__(self, trained: Trained):
        self.trained, self.classes = trained, tuple(trained.classes)
        self.threshold = trained.threshold
        longest = trained.tokenizer.longest(trained.max_length)
        self._shapes = (*(2**k for k in range(4, 17) if 2**k < longest), longest)

    def predict_proba(self, texts: Sequence[str]) -> Float[np.ndarray, "texts c"]:
        """Return the probability of each class for each text; with several labels each for itself."""
        check_texts(texts)
        shares = np.empty((len(texts), len(self.classes)), np.float32)
        split = Split(tuple(texts), np.full(len(texts), -1, np.int32))
        tokens = self.trained.tokens(split)
        for n, rows in Plan.of_all(tokens, _TOGETHER, self._shapes):
            for row in rows:
                batch = batches.gather(tokens, row, n)
                inputs = self.trained.network, batch.ids, batch.mask, batch.segments
                answers = _shares(*inputs, self.threshold is not None)
                shares[row[row >= 0]] = np.asarray(answers)[row >= 0]
        return shares


@few(64, static_argnames=("several",))
def _shares(
    network: Network,
    ids: Int[Array, "b n"],
    mask: Bool[Array, "b n"],
    segments: Int[Array, "b n"] | None,
    several: bool,
) -> Float[Array, "b c"]:
    return probabilities(network(ids, mask, segments), several)
