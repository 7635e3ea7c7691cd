"""BERT behind the same call as all networks, started at random or from a local folder's weights.

    ids -> w -> norm -> (attention, norm, feed forward, norm) x layers -> pooler of [CLS] -> h -> logits

A folder holds `config.json` and `model.safetensors`, as Hugging Face writes them.
"""

import json
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax.errors import check_setting
from wave_jax.networks.layers import (
    Embedding,
    LayerNorm,
    Linear,
    attend,
    dropout,
    fold,
    learned_positions,
    lookup,
)
from wave_jax.networks.trace import Network, Trace, check_inputs, nudged
from wave_jax.numerics import masked

__all__ = ["BERT_BASE", "Bert", "BertConfig"]

ACTIVATIONS = {
    "gelu": partial(jax.nn.gelu, approximate=False),
    "gelu_new": partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
}

# Where config.json says otherwise, the model is not the one computed here.
FIXED = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False}


@dataclass(frozen=True)
class BertConfig:
    """The settings of a BERT, named as in Hugging Face's config.json; the defaults are bert-base-uncased."""

    vocab_size: int = 30522
    """Rows of the table of words."""
    hidden_size: int = 768
    """Width of a token vector."""
    num_hidden_layers: int = 12
    """Layers of attention and feed forward."""
    num_attention_heads: int = 12
    """Attention heads, each of width hidden_size / num_attention_heads."""
    intermediate_size: int = 3072
    """Width inside the feed forward."""
    hidden_act: str = "gelu"
    """Inside the feed forward: gelu (exact), gelu_new (by tanh) or relu."""
    hidden_dropout_prob: float = 0.1
    """Share set to 0 in training: of the embeddings and of every addition to them."""
    attention_probs_dropout_prob: float = 0.1
    """Share of the attention set to 0 in training."""
    classifier_dropout: float | None = None
    """Share of h set to 0 in training; None means hidden_dropout_prob."""
    max_position_embeddings: int = 512
    """Rows of learned positions: the longest text."""
    type_vocab_size: int = 2
    """Rows of the table of token types; every token is of type 0."""
    initializer_range: float = 0.02
    """Standard deviation of random weights."""
    layer_norm_eps: float = 1e-12
    """Added to the variance in every norm."""

    def __post_init__(self):
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        for name in (*sizes, "max_position_embeddings", "type_vocab_size"):
            size = getattr(self, name)
            check_setting(name, size, isinstance(size, int) and size >= 1, "a whole number of at least 1")
        heads = self.num_attention_heads
        fits = self.hidden_size % heads == 0
        check_setting("num_attention_heads", heads, fits, f"a divisor of hidden_size = {self.hidden_size}")
        check_setting("hidden_act", self.hidden_act, self.hidden_act in ACTIVATIONS, ", ".join(ACTIVATIONS))
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            rate = getattr(self, name)
            valid = (name == "classifier_dropout" and rate is None) or (
                isinstance(rate, int | float) and 0 <= rate < 1
            )
            check_setting(name, rate, valid, "at least 0 and below 1")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            check_setting(name, value, isinstance(value, int | float) and value > 0, "a number above 0")

    @classmethod
    def read(cls, folder: str | Path) -> "BertConfig":
        """Read the settings in a folder's config.json; what the file does not name keeps its default."""
        file = weights_file(folder, "config.json")
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is not readable as JSON ({error}): download it again.") from None
        if not isinstance(found, dict):
            raise ValueError(f"{file} must hold a JSON object of settings, got {type(found).__name__}.")
        for name, fixed in FIXED.items():
            if found.get(name, fixed) != fixed:
                raise ValueError(
                    f"{file}: {name} must be {fixed!r}, got {found[name]!r}: this is no plain BERT encoder."
                )
        try:
            return cls(**{field.name: found[field.name] for field in fields(cls) if field.name in found})
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None

    def build(self, *, v: int | None = None, c: int, rngs: nnx.Rngs) -> "Bert":
        """Build a BERT with random weights for v rows of vocabulary (vocab_size if not given) and c classes.

        >>> config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=100)
        >>> config.build(c=4, rngs=nnx.Rngs(0)).embedding.shape
        (100, 8)
        """
        v = self.vocab_size if v is None else v
        check_setting("v", v, v >= 1, "at least 1")
        check_setting("c", c, c >= 2, "at least 2 classes")
        return Bert(self, v, c, rngs)


BERT_BASE = BertConfig()


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
    ) -> Trace:
        """Return the stages w (before its norm), h and logits.

        Args:
          ids: tokens.
          mask: True at tokens, False at padding.
          segments: the sentence of each token; not used.
          key: key of dropout; without one there is none.
          nudge: what is added to the stages, shaped like the trace.
        """
        check_inputs(ids, mask, segments, self.v)
        nudge = nudge or Trace()
        config = self.config
        w = nudged(masked(self._embed(ids), mask), nudge.w)
        x = dropout(self.norm(w), config.hidden_dropout_prob, fold(key, 0))
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, fold(key, 2 + i))
        rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        h = nudged(dropout(jnp.tanh(self.pooler(x[..., 0, :])), rate, fold(key, 1)), nudge.h)
        return Trace(w=w, h=h, logits=nudged(self.classifier(h), nudge.logits))

    def _embed(self, ids: Array) -> Array:
        places = learned_positions(self.positions, ids.shape[-1], "max_position_embeddings")
        return lookup(self.embedding, ids) + places + self.types[0]


def weights_file(folder: str | Path, name: str) -> Path:
    """Return the path of a file in a BERT's folder; raise a FileNotFoundError if it is missing."""
    file = Path(folder) / name
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: download config.json and model.safetensors of a BERT model"
            " (Hugging Face names) into this folder."
        )
    return file


def _linear(config: BertConfig, rngs: nnx.Rngs) -> partial[Linear]:
    return partial(Linear, kernel_init=nnx.initializers.normal(config.initializer_range), rngs=rngs)
