"""Adam over the rows that a batch reads, against Optax on the gradient of the whole table."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import BATCH, CONFIGS, build

from wave_jax.networks.layers import lookup
from wave_jax.training import adam
from wave_jax.training.config import TrainConfig
from wave_jax.training.loss import loss
from wave_jax.training.schedule import paces

RATE, DECAY = 0.1, 0.03
MOST = 12  # distinct tokens of a batch


@jax.jit
def ours(network, state, batch, pace, valid):
    v = network.embedding.shape[0]
    ids, rows = adam.narrow(batch.ids, v, min(MOST, v))
    small, moments = adam.take(network, state, rows)
    gradient = jax.grad(loss)(small, batch._replace(ids=ids))
    after = adam.adam(small, gradient, moments, pace, jax.tree.map(lambda _: DECAY, network), valid)
    return *adam.put(network, state, jnp.where(valid, rows, v), *after), adam.norm(gradient)


@partial(jax.jit, static_argnums=3)
def plain(network, state, batch, transform):
    gradient = jax.grad(loss)(network, batch)
    updates, state = transform.update(gradient, state, network)
    return optax.apply_updates(network, updates), state, optax.tree.norm(gradient)


@pytest.mark.parametrize(("name", "v"), [("modulation", 20), ("Transformer", 20), ("modulation", 11)])
def test_steps_are_those_of_adamw_on_the_whole_gradient(name, v):
    """A table of 20 rows is narrowed; one of 11 has its rows sorted anew."""
    network = other = build(CONFIGS[name], v=v)
    transform, run = optax.adamw(RATE, weight_decay=DECAY), adam.paces(np.full(6, RATE), DECAY)
    state, other_state = adam.init(network), transform.init(network)
    for i in range(6):  # rows that one batch reads and the next does not
        batch = BATCH._replace(ids=(BATCH.ids + 3 * i) % 11)
        network, state, norm = ours(network, state, batch, jax.tree.map(lambda x, i=i: x[i], run), True)
        other, other_state, other_norm = plain(other, other_state, batch, transform)
        np.testing.assert_allclose(norm, other_norm, rtol=1e-4)
    network, state = adam.settled(network, state, state.now)
    # Where a gradient is nothing but rounding, Adam makes a full step of it: compare the moments there.
    moments = zip(*map(jax.tree.leaves, ((state.mu, state.nu), other_state[0][1:])), strict=True)
    for a, b in moments:
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
    sure = jax.tree.map(lambda v: v > 1e-10, other_state[0].nu)
    for a, b, where in zip(*map(jax.tree.leaves, (network, other, sure)), strict=True):
        np.testing.assert_allclose(a[where], b[where], rtol=1e-4, atol=1e-5)


def test_an_invalid_step_changes_no_bit():
    network = build(CONFIGS["modulation"], v=20)
    pace = adam.Pace(*np.array([RATE, 0.3, -0.1]))
    state = adam.init(network)
    for i in range(2):  # so that some rows are idle
        network, state, _ = ours(network, state, BATCH._replace(ids=(BATCH.ids + 5 * i) % 20), pace, True)
    after = ours(network, state, BATCH, pace._replace(ahead=0.7), False)[:2]
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves((network, state)), strict=True):
        np.testing.assert_array_equal(a, b)


# --- idle rows ----------------------------------------------------------------------------------------------

B1, B2, EPS = 0.9, 0.999, 1e-8


def dense(p, gradients, rates, decay):
    """Adam as printed, on the whole table in float64; with p, a bound on what idle rows may differ.

    k idle steps move p by Σ rate_t·m̂_t/(√v̂_t + ε) = Σ r_t·ρ^i·m/(√v + ε_t) with ε_t = ε·√(1 - β₂^t)/β₂^(i/2).
    With ε of the first idle step in place of each ε_t the difference is at most
    Σ r_t·ρ^i·|m|·|ε_t - ε_1| / ((√v + ε_t)(√v + ε_1)), and it is forgotten by no later step.
    """
    p, m, v = p.copy(), np.zeros_like(p), np.zeros_like(p)
    bound, last = np.zeros_like(p), np.zeros(len(p), int)
    m_last, v_last = m.copy(), v.copy()
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
        p = p - rate * (m / (1 - B1**t) / (np.sqrt(v / (1 - B2**t)) + EPS) + decay * p)
        read, idle = (g != 0).any(axis=1), (t - last)[:, None]
        eps = EPS * np.sqrt((1 - B2**t) / B2**idle)
        first = EPS * np.sqrt((1 - B2 ** (last + 1.0)) / B2)[:, None]
        size = rate * np.sqrt(1 - B2**t) / (1 - B1**t) * (B1 / np.sqrt(B2)) ** idle * np.abs(m_last)
        root = np.sqrt(v_last)
        bound += np.where(read[:, None], 0, size * np.abs(eps - first) / ((root + eps) * (root + first)))
        last[read], m_last[read], v_last[read] = t, m[read], v[read]
    return p, m, v, bound


def gradients_of(steps, v, d, seed=0):
    """Rows that are read in every step, seldom, again after a thousand steps, and never; tiny and large."""
    rng = np.random.default_rng(seed)
    share = np.array([1.0, 0.5, 0.1, 0.01, 0.002, *[0.02] * (v - 7), 0.0, 0.0])
    read = rng.random((steps, v)) < share
    read[[3, min(1500, steps - 1)], -2] = True
    sizes = 10.0 ** rng.integers(-12, 4, (v, d))
    return np.where(read[..., None], rng.normal(size=(steps, v, d)) * sizes, 0)


def lazily(p, gradients, config, dtype):
    """The same with idle rows, as training does it."""
    steps, v, _ = gradients.shape
    network = build(CONFIGS["bag"], v=v)
    network.embedding = type(network.embedding)(jnp.asarray(p, dtype))
    run, most = paces(config, steps), 8
    read = (gradients != 0).any(axis=2)
    assert read.sum(axis=1).max() <= most
    rows = np.stack([np.pad(np.nonzero(r)[0], (0, most - r.sum()), constant_values=v) for r in read])
    values = np.stack(
        [np.pad(g[r], ((0, most - r.sum()), (0, 0))) for g, r in zip(gradients, read, strict=True)]
    )
    zero = jax.tree.map(jnp.zeros_like, network)
    decay = jax.tree.map(lambda _: config.weight_decay, network)

    def step(carry, work):
        rows, g, pace = work
        small, moments = adam.take(*carry, rows)
        after = adam.adam(small, adam.with_table(zero, g), moments, pace, decay, jnp.bool_(True))
        return adam.put(*carry, rows, *after), None

    work = rows, jnp.asarray(values, dtype), jax.tree.map(jnp.asarray, run)
    carry, _ = jax.jit(lambda *args: jax.lax.scan(step, *args))((network, adam.init(network)), work)
    network, state = adam.settled(*carry, carry[1].now)
    return [np.asarray(tree.embedding[...]) for tree in (network, state.mu, state.nu)]


SCHEDULES = {
    "constant": TrainConfig(rate=1e-2),
    "cosine after a warm-up": TrainConfig(rate=1e-2, schedule="cosine", warm_up=0.1),
    "weight decay": TrainConfig(rate=1e-2, schedule="linear", weight_decay=0.1),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_idle_rows_catch_up_to_adam_within_the_derived_bound(name):
    config, steps, v, d = SCHEDULES[name], 3000, 30, 4
    start, gradients = np.random.default_rng(1).normal(size=(v, d)), gradients_of(steps, v, d)
    with jax.enable_x64(True):
        rates = paces(config, steps).rate
        p, m, mean_square = lazily(start, gradients, config, jnp.float64)
        of_optax = p_of_optax(start, gradients, rates, config)
    *want, bound = dense(start, gradients, rates, config.weight_decay)
    np.testing.assert_allclose(of_optax, want[0], rtol=1e-9, atol=1e-9)
    assert (np.abs(p - want[0]) <= bound + 1e-12).all()
    np.testing.assert_allclose(m, want[1], rtol=1e-12)
    np.testing.assert_allclose(mean_square, want[2], rtol=1e-12)
    large = (gradients**2).max(axis=0) > 1e-8
    moved = np.abs(want[0] - start).max()
    assert bound[large].max() < 1e-4 * moved
    assert bound.max() < 1e-2 * moved

    # In float32 as near, but for the rounding of p in each step, whose sign is random.
    p, m, mean_square = lazily(start, gradients, config, jnp.float32)
    assert (np.abs(p - want[0]) <= bound + np.sqrt(steps) * 2.0**-23 * np.abs(start).max()).all()
    assert (np.abs(m - want[1]) <= 1e-4 * np.sqrt(want[2]) + 1e-30).all()
    np.testing.assert_allclose(mean_square, want[2], rtol=1e-4, atol=1e-30)


def p_of_optax(p, gradients, rates, config):
    """The parameters after all steps of Optax on the whole table."""
    transform = optax.adamw(lambda i: jnp.asarray(rates)[i], weight_decay=config.weight_decay)

    def step(carry, g):
        updates, state = transform.update(g, carry[1], carry[0])
        return (optax.apply_updates(carry[0], updates), state), None

    p = jnp.asarray(p)
    return jax.jit(lambda p, g: jax.lax.scan(step, (p, transform.init(p)), g))(p, gradients)[0][0]


def test_idle_rows_move_on_to_where_they_come_to_rest():
    """What a row moves ahead of it is all that it moves if it is never read again."""
    run = adam.paces(np.full(400, RATE), 0.0)
    network = build(CONFIGS["bag"], v=20)
    state = adam.init(network)
    at = [jax.tree.map(lambda x, i=i: x[i], run) for i in (0, 399)]
    network, state, _ = ours(network, state, BATCH, at[0], True)
    late = state._replace(now=adam.Clock(jnp.int32(400), *map(jnp.float32, at[1][1:])))
    m, v = (np.asarray(x.embedding[...]) for x in (state.mu, state.nu))
    read = np.unique(BATCH.ids)
    rest = network.embedding[...] - m / (np.sqrt(v) + EPS * np.sqrt((1 - B2**2) / B2)) * at[0].ahead
    np.testing.assert_allclose(adam.caught_up(network, late).embedding[...], rest, rtol=1e-5, atol=1e-6)
    assert np.abs(rest - network.embedding[...])[read].max() > RATE


# --- the rows of a batch ------------------------------------------------------------------------------------


def test_tokens_share_the_row_of_their_first_place():
    renamed, rows = adam.narrow(jnp.array([[2, 5, 2], [5, 5, 1]]), v=11, most=4)
    assert renamed.tolist() == [[0, 1, 0], [1, 1, 2]]
    assert rows.tolist() == [2, 5, 1, 11]
    network = build(CONFIGS["bag"])
    small = adam.take(network, adam.init(network), rows)[0].embedding[...]
    np.testing.assert_array_equal(small[:3], network.embedding[...][np.array([2, 5, 1])])
    assert not small[3].any()


@pytest.mark.parametrize(("token", "most"), [(11, 3), (7, 2)], ids=["beyond the table", "one too many"])
def test_what_has_no_row_is_nan(token, most):
    network = build(CONFIGS["bag"])
    ids, rows = jax.jit(adam.narrow, static_argnums=(1, 2))(jnp.array([[2, 10], [token, 2]]), 11, most)
    found = lookup(adam.take(network, adam.init(network), rows)[0].embedding, ids)
    assert np.isnan(found[1, 0]).all()
    np.testing.assert_array_equal(found[0], network.embedding[...][np.array([2, 10])])


def test_scaled_and_norm_are_of_all_parameters():
    network = build(CONFIGS["bag"], v=20)
    all_numbers = np.concatenate([np.ravel(x) for x in jax.tree.leaves(network)])
    np.testing.assert_allclose(adam.norm(network), np.linalg.norm(all_numbers), rtol=1e-6)
    np.testing.assert_allclose(
        adam.norm(adam.scaled(network, jnp.float32(3))), 3 * adam.norm(network), rtol=1e-6
    )
