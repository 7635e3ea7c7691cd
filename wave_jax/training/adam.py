"""Adam with decoupled weight decay, made for a network whose largest parameter is an embedding table.

A batch reads few rows of the table, so the gradient of the table is never made as a whole: it is taken with
respect to the rows that the batch reads, and added to the moments there. Every row's moments still fade and
every row still moves in each step. The result is Adam's, and equal to `optax.adamw`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from wave_jax.networks.layers import Embedding

__all__ = ["Rows", "adam", "as_table", "init", "narrow", "norm", "scaled"]

_B1, _B2, _EPS = 0.9, 0.999, 1e-8


class Rows(NamedTuple):
    """The gradient of a table: `values` at the rows `ids`, 0 elsewhere. An id beyond the table is none."""

    ids: Array  # (rows,)
    values: Array  # (rows, d)


def narrow(
    network: Any, ids: Int[Array, "*batch n"], most: int
) -> tuple[Any, Int[Array, "*batch n"], Int[Array, " most"] | None]:
    """Shrink the embedding table to the distinct rows that `ids` read, and rename the ids.

    Returns the network, the new ids, and the old id of each row; a row too many has one beyond the table. If
    the table has no more than `most` rows, everything stays as it is, and there are no old ids. Tokens beyond
    the `most`-th distinct one, and ids beyond the table, are beyond the small one too, where `lookup` makes
    them NaN.

    Args:
      network: the network.
      ids: tokens of a batch.
      most: rows of the small table.
    """
    table, places = network.embedding, jnp.arange(ids.size, dtype=jnp.int32)
    v = table.shape[0]
    if most >= v:
        return network, ids, None
    flat = ids.reshape(-1)
    first = jnp.full(v, ids.size, jnp.int32).at[flat].min(places, mode="drop")
    of_place = first.at[flat].get(mode="fill", fill_value=ids.size)  # where its token is met first
    is_first = of_place == places
    number = jnp.cumsum(is_first, dtype=jnp.int32) - 1
    rows = jnp.full(most, v, ids.dtype).at[jnp.where(is_first, number, most)].set(flat, mode="drop")
    small = jax.tree.map(lambda x: x, network)
    small.embedding = Embedding(table[...].at[rows].get(mode="fill", fill_value=0))
    renamed = number.at[of_place].get(mode="fill", fill_value=most)
    return small, renamed.reshape(ids.shape), rows


def as_table(gradient: Any, rows: Int[Array, " most"] | None) -> Any:
    """Turn the gradient of a narrowed network into that of the whole one, with the table's part as `Rows`."""
    if rows is None:
        return gradient
    gradient = jax.tree.map(lambda x: x, gradient)
    gradient.embedding = Embedding(Rows(rows, gradient.embedding[...]))
    return gradient


def norm(gradient: Any) -> Float[Array, ""]:
    """Compute √Σg² over all parameters."""
    leaves = jax.tree.leaves(gradient, is_leaf=_is_rows)
    return jnp.sqrt(sum(jnp.sum(jnp.square(g.values if _is_rows(g) else g)) for g in leaves))


def scaled(gradient: Any, by: Float[Array, ""]) -> Any:
    """Multiply a gradient by a number."""
    return _each(lambda g: by * g, gradient)


def init(network: Any) -> optax.ScaleByAdamState:
    """Return Adam's initial state: both moments zero."""
    return optax.scale_by_adam().init(network)  # pyright: ignore[reportReturnType]


def adam(
    network: Any,
    gradient: Any,
    state: optax.ScaleByAdamState,
    rate: Float[Array, ""],
    decay: Any,
    valid: Bool[Array, ""],
) -> tuple[Any, optax.ScaleByAdamState]:
    """Move the parameters by Adam: p - rate·(m̂ / (√v̂ + ε) + decay·p).

    m and v are the running means of g and g², hats their values without the start at 0.

    Args:
      network: the parameters.
      gradient: their gradient, a table's as `Rows`.
      state: Adam's moments.
      rate: learning rate.
      decay: weight decay of each parameter, as a network of numbers.
      valid: if False, nothing changes.
    """
    gradient = _each(lambda g: jnp.where(valid, g, jnp.zeros_like(g)), gradient)
    m = _running(state.mu, gradient, _B1, valid)
    v = _running(state.nu, _each(jnp.square, gradient), _B2, valid)
    count = state.count + valid
    # The moments are made in place, and the parameters from the new ones: nothing large is copied.
    scale1, scale2 = (1 / (1 - b ** jnp.maximum(count, 1)) for b in (_B1, _B2))
    rate = jnp.where(valid, rate, 0.0)

    def moved(p, m, v, decay):
        r, s1, s2 = (x.astype(p.dtype) for x in (rate, scale1, scale2))
        return p - r * (m * s1 / (jnp.sqrt(v * s2) + _EPS) + decay * p)

    return jax.tree.map(moved, network, m, v, decay), optax.ScaleByAdamState(count, m, v)


def _running(mean: Any, gradient: Any, b: float, valid: Bool[Array, ""]) -> Any:
    """Update running means: b·mean + (1 - b)·g."""
    keep, take = jnp.where(valid, b, 1.0), jnp.where(valid, 1 - b, 0.0)

    def of(g, mean):
        kept, taken = keep.astype(mean.dtype), take.astype(mean.dtype)
        if _is_rows(g):
            return (kept * mean).at[g.ids].add(taken * g.values, mode="drop")
        return kept * mean + taken * g

    return jax.tree.map(of, gradient, mean, is_leaf=_is_rows)


def _each(function: Callable, gradient: Any) -> Any:
    def of(g):
        return Rows(g.ids, function(g.values)) if _is_rows(g) else function(g)

    return jax.tree.map(of, gradient, is_leaf=_is_rows)


def _is_rows(x: Any) -> bool:
    return isinstance(x, Rows)
