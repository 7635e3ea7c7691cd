"""A bag of embeddings: the mean of a text's tokens, then the classifier."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from wave_jax.networks.configs import BagConfig
from wave_jax.networks.layers import Embedding, Linear, dropout, lookup
from wave_jax.networks.trace import Network, Trace, changes, check_inputs
from wave_jax.numerics import masked, masked_mean

__all__ = ["Bag", "BagConfig"]


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
        edit: Trace | None = None,
    ) -> Trace:
        """Return the stages w, h and logits.

        Args:
          ids: tokens.
          mask: True at tokens, False at padding.
          segments: the sentence of each token; not used.
          key: key of dropout; without one there is none.
          nudge: what is added to the stages, shaped like the trace.
          edit: functions of a stage, or arrays in its place.
        """
        check_inputs(ids, mask, segments, self.v)
        at = changes(self, nudge, edit)
        w = at("w", masked(lookup(self.embedding, ids), mask))
        h = at("h", dropout(masked_mean(w, mask), self.config.dropout, key))
        return Trace(w=w, h=h, logits=at("logits", self.classifier(h)))
