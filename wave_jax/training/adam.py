"""Adam with decoupled weight decay, at the cost of the rows of the embedding table that a batch reads.

Adam moves every row in every step, also the rows that a batch does not read: their moments fade, and what is
left of them goes on. But k steps of an idle row are one geometric sum. So a row stays as it was when it was
last read, and catches up when it is read again (`take`) or looked at (`caught_up`).

After step s, with ρ = β₁/√β₂, r_t = rate_t·√(1 - β₂^t) / (1 - β₁^t) and λ the weight decay,

    p ← (D_t/D_s)·p - (m/√v)·((D_t/D_s)·A_s - ρ^(t-s)·A_t),    D_t = Π_{j≤t} (1 - λ·rate_j)
    A_t = ρ·(r_{t+1} + A_{t+1}) / (1 - λ·rate_{t+1}), and 0 at the end of the run

A and D depend on the schedule alone (`paces`). ε is the one approximation: it is added to √v as in the first
idle step, though Adam's grows slowly beside the fading √v. tests/training/test_adam.py derives what that
costs: nothing where √v̂ is far above ε = 1e-8.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from wave_jax.networks.layers import Embedding

__all__ = [
    "AdamState",
    "Clock",
    "Pace",
    "adam",
    "caught_up",
    "init",
    "narrow",
    "norm",
    "paces",
    "put",
    "scaled",
    "settled",
    "take",
    "with_table",
]

_B1, _B2, _EPS = 0.9, 0.999, 1e-8
_RHO = _B1 / math.sqrt(_B2)


class Pace(NamedTuple):
    """What the schedule says of a step, or of each step of a run."""

    rate: Any
    """Learning rate."""
    ahead: Any
    """A after the step: what a row with m/√v = 1 would still move if it were never read again."""
    left: Any
    """log D after the step, D being what weight decay leaves of a row."""


class Clock(NamedTuple):
    """A point of a run."""

    step: Any
    """Steps done."""
    ahead: Any
    left: Any


class AdamState(NamedTuple):
    """Adam's moments, and when the rows of the table had theirs."""

    now: Clock
    read: Clock
    """When each row was last read, (v,): its numbers, mean and mean square are from there."""
    mu: Any
    """m, the running mean of the gradient, as a network."""
    nu: Any
    """v, the running mean of its square, as a network."""


# --- the schedule -------------------------------------------------------------------------------------------


def paces(rates: Float[np.ndarray, " steps"], decay: float) -> Pace:
    """Compute what idle rows need of a schedule, for each of its steps.

    Args:
      rates: learning rate of each step of the run, to its end.
      decay: weight decay of the table.

    >>> paces(np.array([0.1, 0.1]), 0.0).ahead.round(4).tolist()
    [0.0212, 0.0]
    """
    rate = np.asarray(rates, np.float64)
    t = np.arange(1, len(rate) + 1)
    r, kept = rate * np.sqrt(1 - _B2**t) / (1 - _B1**t), 1 - decay * rate
    ahead = np.zeros(len(rate))
    for i in range(len(rate) - 2, -1, -1):
        ahead[i] = _RHO * (r[i + 1] + ahead[i + 1]) / kept[i + 1]
    return Pace(rate, ahead, np.cumsum(np.log(kept)))


# --- the rows of the table ----------------------------------------------------------------------------------


def narrow(
    ids: Int[Array, "*batch n"], v: int, most: int
) -> tuple[Int[Array, "*batch n"], Int[Array, " most"]]:
    """Find the distinct rows of a table that `ids` read, and rename the ids so that they index these.

    Returns the new ids, and the old id of each row; a row too many has one beyond the table. Tokens beyond
    the `most`-th distinct one, and ids beyond the table, are beyond the new rows too, where `lookup` makes
    them NaN.

    Args:
      ids: tokens of a batch.
      v: rows of the table.
      most: rows to find.
    """
    flat, places = ids.reshape(-1), jnp.arange(ids.size, dtype=jnp.int32)
    first = jnp.full(v, ids.size, jnp.int32).at[flat].min(places, mode="drop")
    of_place = first.at[flat].get(mode="fill", fill_value=ids.size)  # where its token is met first
    is_first = of_place == places
    number = jnp.cumsum(is_first, dtype=jnp.int32) - 1
    rows = jnp.full(most, v, ids.dtype).at[jnp.where(is_first, number, most)].set(flat, mode="drop")
    renamed = number.at[of_place].get(mode="fill", fill_value=most)
    return renamed.reshape(ids.shape), rows


def take(network: Any, state: AdamState, rows: Int[Array, " most"]) -> tuple[Any, AdamState]:
    """Return the network and its moments with these rows as the whole table, caught up.

    Args:
      network: the network as it is kept.
      state: Adam's state.
      rows: rows of the table; one beyond it is 0.
    """

    def of(x: Array) -> Array:
        return x.at[rows].get(mode="fill", fill_value=0)

    p, m, v = (of(tree.embedding[...]) for tree in (network, state.mu, state.nu))
    p, m, v = _caught_up(p, m, v, Clock(*map(of, state.read)), state.now)
    mu, nu = with_table(state.mu, m), with_table(state.nu, v)
    return with_table(network, p), state._replace(mu=mu, nu=nu)


def put(
    network: Any, state: AdamState, rows: Int[Array, " most"], small: Any, moved: AdamState
) -> tuple[Any, AdamState]:
    """Return the network and its moments after a step, with the rows that `take` took put back.

    Args:
      network: the network before the step, as it is kept.
      state: Adam's state before it.
      rows: where the rows go; those beyond the table go nowhere.
      small: the network of these rows alone, after the step.
      moved: Adam's state after it.
    """

    def back(whole: Any, new: Any) -> Any:
        return with_table(new, whole.embedding[...].at[rows].set(new.embedding[...], mode="drop"))

    read = Clock(*(x.at[rows].set(y, mode="drop") for x, y in zip(state.read, moved.now, strict=True)))
    mu, nu = back(state.mu, moved.mu), back(state.nu, moved.nu)
    return back(network, small), AdamState(moved.now, read, mu, nu)


@jax.jit
def caught_up(network: Any, state: AdamState) -> Any:
    """Return a copy of the network with every row of its table caught up."""
    return jax.tree.map(jnp.copy, settled(network, state, state.now)[0])


@jax.jit
def settled(network: Any, state: AdamState, now: Clock) -> tuple[Any, AdamState]:
    """Return the network and its moments with every row caught up.

    Args:
      network: the network as it is kept.
      state: Adam's state.
      now: the same step as in `state.now`, by the schedule that rules from here on.
    """
    p, m, v = (tree.embedding[...] for tree in (network, state.mu, state.nu))
    p, m, v = _caught_up(p, m, v, state.read, state.now)
    read = Clock(*(jnp.full_like(x, y) for x, y in zip(state.read, now, strict=True)))
    return with_table(network, p), AdamState(now, read, with_table(state.mu, m), with_table(state.nu, v))


def _caught_up(p: Array, m: Array, v: Array, read: Clock, now: Clock) -> tuple[Array, Array, Array]:
    """Return rows and their moments after the idle steps from `read` to `now`."""
    step, ahead, left = (x.astype(p.dtype)[:, None] for x in read)
    idle = now.step.astype(p.dtype) - step
    left = jnp.exp(now.left.astype(p.dtype) - left)
    move = left * ahead - _RHO**idle * now.ahead.astype(p.dtype)
    eps = _EPS * jnp.sqrt((1 - _B2 ** (step + 1)) / _B2)
    return left * p - move * m / (jnp.sqrt(v) + eps), m * _B1**idle, v * _B2**idle


def with_table(network: Any, table: Array) -> Any:
    """Return the network with another embedding table."""
    network = jax.tree.map(lambda x: x, network)
    network.embedding = Embedding(table)
    return network


# --- the step -----------------------------------------------------------------------------------------------


def init(network: Any) -> AdamState:
    """Return Adam's initial state: both moments zero."""
    table, (mu, nu) = network.embedding, (jax.tree.map(jnp.zeros_like, network) for _ in range(2))
    now = Clock(jnp.int32(0), *jnp.zeros((2, 1), table.dtype)[:, 0])
    return AdamState(now, Clock(*(jnp.full(table.shape[0], x) for x in now)), mu, nu)


def norm(gradient: Any) -> Float[Array, ""]:
    """Compute √Σg² over all parameters."""
    return optax.tree.norm(gradient)


def scaled(gradient: Any, by: Float[Array, ""]) -> Any:
    """Multiply a gradient by a number."""
    return jax.tree.map(lambda g: by * g, gradient)


def adam(
    network: Any, gradient: Any, state: AdamState, pace: Pace, decay: Any, valid: Bool[Array, ""]
) -> tuple[Any, AdamState]:
    """Move the parameters by Adam: p - rate·(m̂ / (√v̂ + ε) + decay·p).

    m and v are the running means of g and g², hats their values without the start at 0.

    Args:
      network: the parameters.
      gradient: their gradient.
      state: Adam's state; the moments are of these parameters.
      pace: what the schedule says of the step.
      decay: weight decay of each parameter, as a network of numbers.
      valid: if False, nothing changes.
    """
    rate = jnp.where(valid, pace.rate, 0.0)
    step = state.now.step + valid
    # The moments are made in place, and the parameters from the new ones: nothing large is copied.
    scale1, scale2 = (1 / (1 - b ** jnp.maximum(step, 1)) for b in (_B1, _B2))
    gradient = jax.tree.map(lambda g: jnp.where(valid, g, jnp.zeros_like(g)), gradient)

    def mean(b, old, new):
        keep, share = (jnp.where(valid, *x).astype(old.dtype) for x in ((b, 1.0), (1 - b, 0.0)))
        return keep * old + share * new

    m = jax.tree.map(lambda m, g: mean(_B1, m, g), state.mu, gradient)
    v = jax.tree.map(lambda v, g: mean(_B2, v, g * g), state.nu, gradient)

    def moved(p, m, v, decay):
        r, s1, s2 = (x.astype(p.dtype) for x in (rate, scale1, scale2))
        return p - r * (m * s1 / (jnp.sqrt(v * s2) + _EPS) + decay * p)

    new = Clock(step, *(x.astype(state.now.left.dtype) for x in (pace.ahead, pace.left)))
    now = jax.tree.map(lambda new, old: jnp.where(valid, new, old), new, state.now)
    return jax.tree.map(moved, network, m, v, decay), AdamState(now, state.read, m, v)
