"""BERT behind the same call as all networks, started at random or from a local folder's weights.

    ids -> w -> norm -> (attention, norm, feed forward, norm) x layers -> pooler of [CLS] -> h -> logits

A folder holds `config.json` and `model.safetensors`, as Hugging Face writes them.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax.networks.configs import BERT_BASE, BertConfig
from wave_jax.networks.layers import (
    Embedding,
    LayerNorm,
    Linear,
    at_places,
    attend,
    dropout,
    fold,
    learned_positions,
    lookup,
)
from wave_jax.networks.trace import Network, Trace, changes, check_inputs
from wave_jax.numerics import masked

__all__ = ["BERT_BASE", "Bert", "BertConfig"]

ACTIVATIONS = {
    "gelu": partial(jax.nn.gelu, approximate=False),
    "gelu_new": partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
}


class BertLayer(nnx.Module):
    """norm(x + attention(x)), then norm(x + feed_forward(x)): the norm behind the sum."""

    def __init__(self, config: BertConfig, rngs: nnx.Rngs):
        self.config = config
        d, width, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        linear = _linear(config, rngs)
        self.query, self.key, self.value, self.output = (linear(d, d) for _ in range(4))
        self.attention_norm = LayerNorm(d, eps)
        self.up, self.down = linear(d, width), linear(width, d)
        self.norm = LayerNorm(d, eps)

    def __call__(
        self, x: Float[Array, "*batch n d"], mask: Bool[Array, "*batch n"], key: PRNGKeyArray | None
    ) -> Float[Array, "*batch n d"]:
        config, activation = self.config, ACTIVATIONS[self.config.hidden_act]
        rate = config.hidden_dropout_prob
        heads, rate_of_shares = config.num_attention_heads, config.attention_probs_dropout_prob
        Q, K, V = self.query(x), self.key(x), self.value(x)
        met = self.output(attend(Q, K, V, mask, heads, rate_of_shares, fold(key, 0)))
        x = self.attention_norm(x + dropout(met, rate, fold(key, 1)))
        return self.norm(x + dropout(self.down(activation(self.up(x))), rate, fold(key, 2)))


class Bert(Network):
    """BERT with a classifier on its pooler, as it is fine-tuned."""

    def __init__(self, config: BertConfig, v: int, c: int, rngs: nnx.Rngs):
        self.config = config
        self.v = v
        d = config.hidden_size
        table = nnx.initializers.normal(config.initializer_range, jnp.float32)
        self.embedding = Embedding(table(rngs.params(), (v, d)))
        self.positions = Embedding(table(rngs.params(), (config.max_position_embeddings, d)))
        self.types = Embedding(table(rngs.params(), (config.type_vocab_size, d)))
        self.norm = LayerNorm(d, config.layer_norm_eps)
        self.layers = nnx.List([BertLayer(config, rngs) for _ in range(config.num_hidden_layers)])
        linear = _linear(config, rngs)
        self.pooler = linear(d, d)
        self.classifier = linear(d, c)

    def trace(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
        nudge: Trace | None = None,
        edit: Trace | None = None,
    ) -> Trace:
        """Return the stages w (before its norm), h and logits.

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
        config = self.config
        w = at("w", masked(self._embed(ids), mask))
        x = self._encoded(w, mask, key)
        rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        h = at("h", dropout(jnp.tanh(self.pooler(x[..., 0, :])), rate, fold(key, 1)))
        return Trace(w=w, h=h, logits=at("logits", self.classifier(h)))

    def tokens(
        self, ids: Int[Array, "*batch n"], mask: Bool[Array, "*batch n"]
    ) -> Float[Array, "*batch n d"]:
        """Return the tokens as they leave the last layer, without dropout."""
        return self._encoded(masked(self._embed(ids), mask), mask, None)

    def _encoded(self, w: Array, mask: Array, key: PRNGKeyArray | None) -> Array:
        x = dropout(self.norm(w), self.config.hidden_dropout_prob, fold(key, 0))
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, fold(key, 2 + i))
        return x

    def _embed(self, ids: Array) -> Array:
        places = learned_positions(self.positions, ids.shape[-1], "max_position_embeddings")
        return at_places(lookup(self.embedding, ids), places) + self.types[0]


def _linear(config: BertConfig, rngs: nnx.Rngs) -> partial[Linear]:
    return partial(Linear, kernel_init=nnx.initializers.normal(config.initializer_range), rngs=rngs)
