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
from wave_jax.training.loss import loss

RATE, DECAY = 0.1, 0.03
MOST = 12  # distinct tokens of a batch


def rows_gradient(network, batch):
    small, ids, rows = adam.narrow(network, batch.ids, most=MOST)
    return adam.as_table(jax.grad(loss)(small, batch._replace(ids=ids)), rows)


@jax.jit
def ours(network, state, batch, valid):
    gradient = rows_gradient(network, batch)
    decay = jax.tree.map(lambda _: DECAY, network)
    return *adam.adam(network, gradient, state, jnp.float32(RATE), decay, valid), adam.norm(gradient)


@partial(jax.jit, static_argnums=3)
def plain(network, state, batch, transform):
    gradient = jax.grad(loss)(network, batch)
    updates, state = transform.update(gradient, state, network)
    return optax.apply_updates(network, updates), state, optax.tree.norm(gradient)


@pytest.mark.parametrize(("name", "v"), [("modulation", 20), ("Transformer", 20), ("modulation", 11)])
def test_steps_are_those_of_adamw_on_the_whole_gradient(name, v):
    """A table of 20 rows is narrowed and one of 11 is not."""
    network = other = build(CONFIGS[name], v=v)
    transform = optax.adamw(RATE, weight_decay=DECAY)
    state, other_state = adam.init(network), transform.init(network)
    for shift in range(3):  # rows that one batch reads and the next does not
        batch = BATCH._replace(ids=(BATCH.ids + 3 * shift) % 11)
        network, state, norm = ours(network, state, batch, True)
        other, other_state, other_norm = plain(other, other_state, batch, transform)
        np.testing.assert_allclose(norm, other_norm, rtol=1e-5)
    # Where a gradient is nothing but rounding, Adam makes a full step of it: compare the moments there.
    moments = zip(jax.tree.leaves(state), jax.tree.leaves(other_state[0]), strict=True)
    for a, b in moments:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    sure = jax.tree.map(lambda v: v > 1e-10, other_state[0].nu)
    for a, b, where in zip(*map(jax.tree.leaves, (network, other, sure)), strict=True):
        np.testing.assert_allclose(a[where], b[where], rtol=1e-4, atol=1e-5)


def test_an_invalid_step_changes_no_bit():
    network = build(CONFIGS["modulation"], v=20)
    state = ours(network, adam.init(network), BATCH, True)[1]
    after = ours(network, state, BATCH, False)[:2]
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves((network, state)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_tokens_share_the_row_of_their_first_place():
    network, ids = build(CONFIGS["bag"]), jnp.array([[2, 5, 2], [5, 5, 1]])
    small, renamed, rows = adam.narrow(network, ids, most=4)
    assert renamed.tolist() == [[0, 1, 0], [1, 1, 2]]
    assert rows.tolist() == [2, 5, 1, 11]
    np.testing.assert_array_equal(small.embedding[...][:3], network.embedding[...][np.array([2, 5, 1])])
    assert not small.embedding[...][3].any()


def test_a_table_that_is_small_already_stays():
    network, ids = build(CONFIGS["bag"]), jnp.array([[2, 5]])
    assert adam.narrow(network, ids, most=11) == (network, ids, None)
    assert adam.as_table(network, None) is network


@pytest.mark.parametrize(("token", "most"), [(11, 3), (7, 2)], ids=["beyond the table", "one too many"])
def test_what_has_no_row_is_nan(token, most):
    network = build(CONFIGS["bag"])
    small, ids, _ = jax.jit(adam.narrow, static_argnums=2)(network, jnp.array([[2, 10], [token, 2]]), most)
    rows = lookup(small.embedding, ids)
    assert np.isnan(rows[1, 0]).all()
    np.testing.assert_array_equal(rows[0], network.embedding[...][np.array([2, 10])])


def test_scaled_and_norm_count_the_rows():
    gradient = rows_gradient(build(CONFIGS["bag"], v=20), BATCH)
    np.testing.assert_allclose(
        adam.norm(adam.scaled(gradient, jnp.float32(3))), 3 * adam.norm(gradient), rtol=1e-6
    )
