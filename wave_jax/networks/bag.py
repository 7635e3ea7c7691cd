"""A bag of embeddings: the mean of a text's tokens, then the classifier."""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from wave_jax.errors import check_setting
from wave_jax.networks.layers import Embedding, Linear, dropout, lookup
from wave_jax.networks.trace import Network, Trace, check_inputs, nudged
from wave_jax.numerics import masked, masked_mean

__all__ = ["Bag", "BagConfig"]


@dataclass(frozen=True)
class BagConfig:
    """The settings of a bag of embeddings."""

    d: int = 768
    """Width of a token vector."""
    dropout: float = 0.0
    """Share of h set to 0 in training."""
    max_length: int = 128
    """Tokens of a text that are read."""

    def __post_init__(self):
        check_setting("d", self.d, self.d >= 1, "at least 1")
        check_setting("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        check_setting("max_length", self.max_length, self.max_length >= 2, "at least 2 ([CLS] and [SEP])")

    def build(self, *, v: int, c: int, rngs: nnx.Rngs) -> "Bag":
        """Build a network for v rows of vocabulary and c classes, with random parameters.

        >>> BagConfig(d=8).build(v=100, c=4, rngs=nnx.Rngs(0)).embedding.shape
        (100, 8)
        """
        check_setting("v", v, v >= 1, "at least 1")
        check_setting("c", c, c >= 2, "at least 2 classes")
        return Bag(self, v, c, rngs)


class Bag(Network):
    """Mean of the token embeddings, then the classifier: no word knows of another, nor of its place."""

    def __init__(self, config: BagConfig, v: int, c: int, rngs: nnx.Rngs):
        self.config = config
        self.v = v
        self.embedding = Embedding(nnx.initializers.normal(0.02, jnp.float32)(rngs.params(), (v, config.d)))
        self.classifier = Linear(config.d, c, rngs=rngs)

    def trace(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
        nudge: Trace | None = None,
    ) -> Trace:
        """Return the stages w, h and logits.

        Args:
          ids: tokens.
          mask: True at tokens, False at padding.
          segments: the sentence of each token; not used.
          key: key of dropout; without one there is none.
          nudge: what is added to the stages, shaped like the trace.
        """
        check_inputs(ids, mask, segments, self.v)
        nudge = nudge or Trace()
        w = nudged(masked(lookup(self.embedding, ids), mask), nudge.w)
        h = nudged(dropout(masked_mean(w, mask), self.config.dropout, key), nudge.h)
        return Trace(w=w, h=h, logits=nudged(self.classifier(h), nudge.logits))
