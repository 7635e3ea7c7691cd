"""The Transformer that the Wave Network is measured against, behind the same call.

ids -> w -> (attention, feed forward) x layers -> pool -> h -> logits
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax.networks.configs import TransformerConfig
from wave_jax.networks.layers import Embedding, LayerNorm, Linear, attend, dropout, embed, fold
from wave_jax.networks.trace import Network, Trace, changes, check_inputs
from wave_jax.numerics import masked, masked_mean

__all__ = ["Transformer", "TransformerConfig"]


class Attention(nnx.Module):
    """`layers.attend` between linear maps."""

    def __init__(self, d: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.query, self.key, self.value, self.output = (Linear(d, d, rngs=rngs) for _ in range(4))

    def __call__(self, x: Float[Array, "*batch n d"], mask: Bool[Array, "*batch n"]) -> Array:
        return self.output(attend(self.query(x), self.key(x), self.value(x), mask, self.heads))


class TransformerLayer(nnx.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)): x itself is never normed."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.config = config
        self.attention_norm = LayerNorm(config.d, eps=1e-6)
        self.attention = Attention(config.d, config.heads, rngs)
        self.norm = LayerNorm(config.d, eps=1e-6)
        self.up = Linear(config.d, config.width, rngs=rngs)
        self.down = Linear(config.width, config.d, rngs=rngs)

    def __call__(self, x: Array, mask: Array, key: Array | None) -> Array:
        rate = self.config.dropout
        x = x + dropout(self.attention(self.attention_norm(x), mask), rate, fold(key, 0))
        return x + dropout(self.down(jax.nn.gelu(self.up(self.norm(x)))), rate, fold(key, 1))


class Transformer(Network):
    """A pre-norm Transformer encoder that classifies."""

    def __init__(
        self, config: TransformerConfig, v: int, c: int, rngs: nnx.Rngs, words: np.ndarray | None = None
    ):
        if words is not None and words.shape != (v, config.d):
            raise ValueError(f"words must be of shape (v, d) = {(v, config.d)}, got {words.shape}.")
        self.config = config
        self.v = v
        normal = nnx.initializers.normal(0.02, jnp.float32)
        given = None if words is None else jnp.asarray(words, jnp.float32)
        self.embedding = Embedding(normal(rngs.params(), (v, config.d)) if given is None else given)
        learned = config.positions == "learned"
        self.positions = Embedding(normal(rngs.params(), (config.max_length, config.d))) if learned else None
        self.layers = nnx.List([TransformerLayer(config, rngs) for _ in range(config.layers)])
        self.norm = LayerNorm(config.d, eps=1e-6)
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
        w = at("w", masked(embed(self.embedding, self.positions, self.config.positions, ids), mask))
        rate = self.config.dropout
        x = dropout(w, rate, fold(key, 0))
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, fold(key, 2 + i))
        x = self.norm(x)
        h = x[..., 0, :] if self.config.pool == "cls" else masked_mean(x, mask)
        h = at("h", dropout(h, rate, fold(key, 1)))
        return Trace(w=w, h=h, logits=at("logits", self.classifier(h)))
