"""What a trained network answers to texts as they come, with a few compiled programs for all of them."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from wave_jax.data import batches
from wave_jax.data.datasets import Split
from wave_jax.data.plan import Plan
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks.trace import Network
from wave_jax.runs.folder import RunFolder, Settings
from wave_jax.runs.run import tokens_of

__all__ = ["Answers"]

_TOGETHER = 64  # texts of a batch


class Answers:
    """A network with its tokenizer and classes; it answers as `predictor.Predictor` does, for every network.

    Texts are padded to powers of two and batches to one size, so that a stream of them compiles nothing new.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer, settings: Settings):
        self.network, self.tokenizer, self.settings = network, tokenizer, settings
        self.classes = tuple(settings.classes)
        longest = tokenizer.longest(settings.max_length)
        self._shapes = (*(2**k for k in range(4, 17) if 2**k < longest), longest)

    @classmethod
    def of_run(cls, folder: RunFolder) -> "Answers":
        """Those of the network that a run keeps."""
        return cls(folder.network(), folder.tokenizer(), folder.settings)

    def predict_proba(self, texts: Sequence[str]) -> Float[np.ndarray, "texts c"]:
        """The probability of each class."""
        found = np.empty((len(texts), len(self.classes)), np.float32)
        split = Split(tuple(texts), np.full(len(texts), -1, np.int32))
        tokens = tokens_of(split, self.tokenizer, self.settings)
        for n, rows in Plan.of_all(tokens, _TOGETHER, self._shapes):
            for row in rows:
                batch = batches.gather(tokens, row, n)
                answers = np.asarray(_probabilities(self.network, batch.ids, batch.mask, batch.segments))
                found[row[row >= 0]] = answers[row >= 0]
        return found


@jax.jit
def _probabilities(network: Network, ids: Any, mask: Any, segments: Any) -> Any:
    return jax.nn.softmax(network(ids, mask, segments))
