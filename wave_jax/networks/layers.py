"""The parts that networks are made of: tables, linear maps, norms, dropout, positions and attention."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax.numerics import layer_norm

__all__ = [
    "Embedding",
    "LayerNorm",
    "Linear",
    "ParameterCount",
    "at_places",
    "attend",
    "count_parameters",
    "dropout",
    "embed",
    "fold",
    "learned_positions",
    "lookup",
    "places",
    "sinusoidal",
]


class Embedding(nnx.Param):
    """A table with one row per token or position: counted apart, and sharded by rows on many devices."""


class LayerNorm(nnx.Module):
    """`numerics.layer_norm` with a scale and bias, applied to each of the `parts` of x by itself."""

    def __init__(self, d: int, eps: float, parts: int = 1):
        self.eps = eps
        self.parts = parts
        self.scale = nnx.Param(jnp.ones(d, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(d, jnp.float32))

    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        split = (self.parts, x.shape[-1] // self.parts)
        scale, bias = self.scale.reshape(split), self.bias.reshape(split)
        return layer_norm(x.reshape(*x.shape[:-1], *split), scale, bias, self.eps).reshape(x.shape)


class Linear(nnx.Linear):
    """A linear map x·matrix + bias, possibly block-diagonal.

    With several `parts`, each part of the output sees only its part of x, or, if x is several vectors side by
    side, its part of each of them. The kernel (in / parts, out) leaves the zeros out.

    All tokens of a batch are the rows of one matrix: the gradient of the kernel is then a plain product of
    matrices. Otherwise XLA's CPU backend would first transpose a copy of (b, n, d).
    """

    def __init__(
        self, in_features: int, out_features: int, *, parts: int = 1, rngs: nnx.Rngs, **settings: Any
    ):
        super().__init__(in_features // parts, out_features, rngs=rngs, **settings)
        self.parts = parts

    @property
    def matrix(self) -> Float[Array, "inner outer"]:
        """(in, out), with zeros wherever one part would see another."""
        if self.parts == 1:
            return self.kernel[...]
        width = self.out_features // self.parts
        blocks = self.kernel.reshape(-1, width, self.parts, width)
        own = jnp.eye(self.parts, dtype=self.kernel.dtype)
        return jnp.einsum("miko,pk->mpiko", blocks, own).reshape(-1, self.out_features)

    def __call__(self, x: Array) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, shape = x.reshape(-1, x.shape[-1]), (*x.shape[:-1], self.out_features)
        assert self.bias is not None
        rows, matrix, bias = self.promote_dtype((rows, self.matrix, self.bias[...]), dtype=self.dtype)
        return (rows @ matrix + bias).reshape(shape)

    def of_sum(
        self, words: Embedding, ids: Int[Array, "*batch n"], places: Float[Array, "n in"] | None
    ) -> Float[Array, "*batch n out"]:
        """Map the sum of a token's row and its place: (words·matrix)[ids] + (places·matrix + bias).

        Each row of the table is multiplied once, however many tokens read it.
        """
        if places is None:
            return lookup(Embedding(self(words[...])), ids)
        table, matrix = self.promote_dtype((words[...], self.matrix), dtype=self.dtype)
        return at_places(lookup(Embedding(table @ matrix), ids), self(places))


class ParameterCount(NamedTuple):
    total: int
    without_embeddings: int


def count_parameters(model: nnx.Module) -> ParameterCount:
    """Count all parameters, and those outside the embedding tables (of tokens, positions, token types)."""
    total = tables = 0
    for leaf in jax.tree.leaves(model, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)):
        size = sum(array.size for array in jax.tree.leaves(leaf))
        total += size
        tables += size if isinstance(leaf, Embedding) else 0
    return ParameterCount(total, total - tables)


def dropout(x: Float[Array, "*s"], rate: float, key: PRNGKeyArray | None) -> Float[Array, "*s"]:
    """Keep each number with probability 1 - rate, scaled by 1 / (1 - rate); return x itself without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def lookup(table: Embedding, ids: Int[Array, "*batch n"]) -> Float[Array, "*batch n d"]:
    """Return the rows of a table, and NaN for an id beyond it.

    Plain indexing would quietly take the last row; training reports NaN. The gradients of a row that many
    tokens read add up in float32 at least: in bfloat16, 256 + 1 is 256.
    """
    rows = table[...]
    wide = rows.astype(jnp.promote_types(rows.dtype, jnp.float32))
    return wide.at[ids].get(mode="fill", fill_value=jnp.nan).astype(rows.dtype)


def sinusoidal(n: int, d: int) -> np.ndarray:
    """Make fixed positions: sin(j·f_k) in even dimensions, cos(j·f_k) in odd ones, f_k = 10000^(-2k/d).

    >>> sinusoidal(2, 2).round(4).tolist()
    [[0.0, 1.0], [0.8414999842643738, 0.5403000116348267]]
    """
    angle = np.arange(n)[:, None] * 10_000.0 ** (-2 * np.arange((d + 1) // 2) / d)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(n, -1)[:, :d].astype(np.float32)


def embed(
    words: Embedding, positions: Embedding | None, kind: str, ids: Int[Array, "*batch n"]
) -> Float[Array, "*batch n d"]:
    """Add up embedding and position of each token.

    Args:
      words: the table of tokens.
      positions: the table of learned positions, if there is one.
      kind: "sinusoidal" for fixed positions; ignored if there is a table.
      ids: the tokens.
    """
    w, p = lookup(words, ids), places(positions, kind, ids.shape[-1], words.shape[-1])
    return w if p is None else at_places(w, p.astype(w.dtype))


def at_places(w: Float[Array, "*batch n d"], places: Float[Array, "n d"]) -> Float[Array, "*batch n d"]:
    """Add to the tokens of every text what marks their places.

    They are looked up, so that their gradient is scattered. That of a plain sum is a sum over the texts, for
    which XLA's CPU backend takes a hundred times as long.
    """
    return w + lookup(Embedding(places), jnp.broadcast_to(jnp.arange(w.shape[-2]), w.shape[:-1]))


def places(positions: Embedding | None, kind: str, n: int, d: int) -> Float[Array, "n d"] | None:
    """Return what is added to the first n tokens to mark their positions; None if nothing is.

    Args:
      positions: the table of learned positions, if there is one.
      kind: "sinusoidal" for fixed positions; ignored if there is a table.
      n: number of tokens.
      d: width of a token.
    """
    if positions is not None:
        return learned_positions(positions, n, "max_length")
    return jnp.asarray(sinusoidal(n, d)) if kind == "sinusoidal" else None


def learned_positions(table: Embedding, n: int, setting: str) -> Float[Array, "n d"]:
    """Return the first n rows of a table of positions, whose length is a setting of the network."""
    if n > table.shape[0]:
        raise ValueError(
            f"a text of {n} tokens is longer than the {table.shape[0]} learned positions:"
            f" cut it, or build the network with a larger {setting}."
        )
    return table[:n]


def attend(
    Q: Float[Array, "*batch n d"],
    K: Float[Array, "*batch n d"],
    V: Float[Array, "*batch n d"],
    mask: Bool[Array, "*batch n"],
    heads: int,
    rate: float = 0.0,
    key: PRNGKeyArray | None = None,
) -> Float[Array, "*batch n d"]:
    """Compute softmax(Q·Kᵀ / √(d/heads))·V in every head, over the tokens that are not padding.

    Args:
      Q: queries.
      K: keys.
      V: values.
      mask: True at tokens, False at padding.
      heads: number of heads that share the width d.
      rate: share of the attention that dropout sets to 0.
      key: key of dropout; none means evaluation.
    """
    split = (*Q.shape[:-1], heads, Q.shape[-1] // heads)
    Q, K, V = Q.reshape(split), K.reshape(split), V.reshape(split)
    scores = jnp.einsum("...nhe,...mhe->...hnm", Q, K) / math.sqrt(split[-1])
    # Not -inf: where all is padding, softmax would be NaN.
    scores = jnp.where(mask[..., None, None, :], scores, jnp.finfo(scores.dtype).min)
    shares = dropout(jax.nn.softmax(scores), rate, key)
    return jnp.einsum("...hnm,...mhe->...nhe", shares, V).reshape(*split[:-2], -1)


def fold(key: PRNGKeyArray | None, i: int) -> PRNGKeyArray | None:
    """Return the i-th key made from this one; None from None."""
    return None if key is None else jax.random.fold_in(key, i)
