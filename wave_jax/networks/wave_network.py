"""The Wave Network: parameters around the formulas of `wave`, no maths of its own.

ids -> w -> w1, w2 -> Z1, Z2 -> Z -> x -> feed forward, norm -> pool -> h -> logits
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax import wave
from wave_jax.networks.configs import PAPER_INTERFERENCE, PAPER_MODULATION, WaveConfig
from wave_jax.networks.layers import Embedding, LayerNorm, Linear, dropout, embed, fold, places
from wave_jax.networks.trace import Changes, Network, Trace, changes, check_both, check_inputs
from wave_jax.numerics import masked_mean

__all__ = ["PAPER_INTERFERENCE", "PAPER_MODULATION", "WaveConfig", "WaveNetwork"]

ACTIVATIONS = {"none": lambda x: x, "relu": jax.nn.relu, "gelu": jax.nn.gelu, "tanh": jnp.tanh}


class Table(NamedTuple):
    """What token vectors are made of: w = words[ids] + places."""

    words: Embedding
    ids: Array
    places: Array | None


def _width(config: WaveConfig) -> int:
    """Return how many numbers a token is read out as; a function may have any multiple of d."""
    token = jax.ShapeDtypeStruct((1, config.d), jnp.complex64)
    found = jax.eval_shape(
        lambda Z: wave.read_out(wave.combine(Z, Z, config.combine), config.read_out), token
    )
    rows, width = found.shape if len(found.shape) == 2 else (0, 0)
    real = jnp.issubdtype(found.dtype, jnp.floating)
    if rows != 1 or width < 1 or width % config.d or not real:
        raise ValueError(
            f"combine and read_out must make real floating numbers of shape (n, k·{config.d}) of two waves"
            f" (n, {config.d}), got {found.dtype}{found.shape} for n = 1."
        )
    return width


class WaveLayer(nnx.Module):
    """Two variants, their waves combined, read-out, feed forward and norm.

    A layer of one's own has both `__call__` and `trace`, or neither and another `output`.
    """

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        check_both(cls)

    def __init__(self, config: WaveConfig, rngs: nnx.Rngs):
        d, parts = config.d, config.voices
        self.config = config
        self.variant1 = Linear(d, d, parts=parts, rngs=rngs)
        self.variant2 = Linear(d, d, parts=parts, rngs=rngs)
        self.feed_forward = Linear(_width(config), d, parts=parts, rngs=rngs)
        self.norm = LayerNorm(d, eps=1e-6, parts=parts)

    def __call__(
        self,
        w: Array,
        mask: Array,
        segments: Array | None,
        rows: tuple[int, ...] | None,
        table: Table | None = None,
    ) -> Array:
        """Return the layer's output at `rows`, or everywhere; `wave.mix` makes and forgets the waves.

        With the `table` that w was looked up in, the table is mapped in place of w.
        """
        variants = self.variant1, self.variant2
        w1, w2 = (variant(w) if table is None else variant.of_sum(*table) for variant in variants)
        config = self.config
        x = wave.mix(w1, w2, mask, segments, rows, combine=config.combine, read_out=config.read_out)
        return self.output(x)

    def output(self, x: Array) -> Array:
        """Apply feed forward, activation and norm to what was read out."""
        return self.norm(ACTIVATIONS[self.config.activation](self.feed_forward(x)))

    def trace(self, w: Array, mask: Array, segments: Array | None, at: Changes) -> tuple[Trace, Array]:
        """Compute the same step by step, and return every stage with the output.

        Args:
          w: token vectors.
          mask: True at tokens.
          segments: the sentence of each token, at sentence level.
          at: what is done to the stages on the way.
        """
        w1 = at("w1", self.variant1(w))
        w2 = at("w2", self.variant2(w))
        Z1 = at("Z1", wave.encode(w1, mask, segments))
        Z2 = at("Z2", wave.encode(w2, mask))
        Z = at("Z", wave.combine(Z1, Z2, self.config.combine))
        x = at("x", wave.read_out(Z, self.config.read_out))
        return Trace(w1=w1, w2=w2, Z1=Z1, Z2=Z2, Z=Z, x=x), self.output(x)


class WaveNetwork(Network):
    """The whole network. Call it for logits, `trace` it for everything on the way.

    Without positions it is a function of the multiset of tokens behind [CLS]: word order is not seen.
    """

    stages = Trace._fields

    def __init__(self, config: WaveConfig, v: int, c: int, rngs: nnx.Rngs):
        self.config = config
        self.v = v
        normal = nnx.initializers.normal(0.02, jnp.float32)
        self.embedding = Embedding(normal(rngs.params(), (v, config.d)))
        learned = config.positions == "learned"
        self.positions = Embedding(normal(rngs.params(), (config.max_length, config.d))) if learned else None
        self.layers = nnx.List([WaveLayer(config, rngs) for _ in range(config.layers)])
        self.classifier = Linear(config.d, c, rngs=rngs)

    def __call__(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch c"]:
        """Return the logits of each text. With pool "cls" the last layer computes one row only."""
        return self.answer(self._text(ids, mask, segments, key))

    def voices(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "voices *batch c"]:
        """Return the logits of every voice by itself; the call returns their mean.

        A voice narrower than the number of classes cannot tell each from the others: then all are one voice.

        Args:
          ids: tokens.
          mask: True at tokens, False at padding.
          segments: the sentence of each token, at sentence level.
          key: key of dropout; without one there is none.
        """
        h = self._text(ids, mask, segments, key)
        if self.config.d // self.config.voices < self.classifier.out_features:
            return self.answer(h)[None]
        voices = jnp.arange(self.config.voices).reshape(-1, *[1] * h.ndim)
        own = jnp.arange(self.config.d) * self.config.voices // self.config.d == voices
        return self.classifier(jnp.where(own, h, 0))

    def answer(self, h: Float[Array, "*batch d"]) -> Float[Array, "*batch c"]:
        """Return the logits of a text: the mean of its voices' logits."""
        return self.classifier(h / self.config.voices)

    def _text(self, ids: Array, mask: Array, segments: Array | None, key: Array | None) -> Array:
        """Return h, the text as one vector."""
        self._check(ids, mask, segments)
        w = self.embed(ids)
        for i, layer in enumerate(self.layers):
            rows = (0,) if self._only_cls(i) else None
            table = self._table(ids) if i == 0 else None
            output = layer(w, mask, self._sentences(segments), rows, table)
            w = self._join(w if rows is None else w[..., :1, :], output, key, i)
        return self._pool(w, mask)

    def trace(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
        nudge: Trace | None = None,
        edit: Trace | None = None,
    ) -> Trace:
        """Return every named stage, for all tokens.

        The derivative with respect to `nudge`, at 0, is the derivative by stage (`gradients.by_stage`).

        Args:
          ids: tokens.
          mask: True at tokens, False at padding.
          segments: the sentence of each token, at sentence level.
          key: key of dropout; without one there is none.
          nudge: what is added to the stages, shaped like the trace.
          edit: functions of a stage, or arrays in its place.
        """
        self._check(ids, mask, segments)
        at = changes(self, nudge, edit)
        w = first = at("w", self.embed(ids))
        stages = []
        for i, layer in enumerate(self.layers):
            stage, output = layer.trace(w, mask, self._sentences(segments), at.of_layer(i))
            stages.append(stage)
            if self._only_cls(i):  # so that dropout draws the numbers of the short way
                w, output = w[..., :1, :], output[..., :1, :]
            w = self._join(w, output, key, i)
        h = at("h", self._pool(w, mask))
        logits = at("logits", self.answer(h))
        inner = stages[0] if len(stages) == 1 else Trace(*zip(*stages, strict=True))
        return inner._replace(w=first, h=h, logits=logits)

    def _check(self, ids: Array, mask: Array, segments: Array | None) -> None:
        check_inputs(ids, mask, segments, self.v)
        if self.config.levels == "sentence" and segments is None:
            raise ValueError('levels="sentence" needs segments: the sentence number of every token.')

    def embed(self, ids: Array) -> Array:
        """Add up embedding and position of each token."""
        return embed(self.embedding, self.positions, self.config.positions, ids)

    def _table(self, ids: Array) -> Table | None:
        """Return the table of tokens and their places, if mapping it is less work than mapping the tokens.

        It is where training has narrowed it to the distinct tokens of a batch: two or three times fewer.
        """
        rows = self.embedding.shape[0]
        if rows == self.v or rows >= ids.size:
            return None
        n, d = ids.shape[-1], self.config.d
        return Table(self.embedding, ids, places(self.positions, self.config.positions, n, d))

    def _sentences(self, segments: Array | None) -> Array | None:
        return segments if self.config.levels == "sentence" else None

    def _only_cls(self, i: int) -> bool:
        """Return whether layer i computes the [CLS] row alone."""
        return self.config.pool == "cls" and i == self.config.layers - 1

    def _join(self, w: Array, output: Array, key: Array | None, i: int) -> Array:
        """Add a layer's output to its input, W + dropout(g(f(W))) (P1 eq. 8); a single layer has no sum."""
        output = dropout(output, self.config.dropout, fold(key, i))
        return output if self.config.layers == 1 else w + output

    def _pool(self, w: Array, mask: Array) -> Array:
        return w[..., 0, :] if self.config.pool == "cls" else masked_mean(w, mask)
