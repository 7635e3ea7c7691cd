"""What every network keeps: the same call, padding that changes nothing, jit and vmap that change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import paper
import pytest
from tiny import CONFIGS, build

from wave_jax.networks import layers
from wave_jax.networks.layers import count_parameters, dropout, sinusoidal


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return build(CONFIGS[request.param])


def test_counting_separates_every_table_from_the_rest(model):
    total, without = count_parameters(model)
    assert total == sum(leaf.size for leaf in jax.tree.leaves(model))
    tables = {"embedding", "positions", "types"}
    by_path = jax.tree_util.tree_leaves_with_path(model)
    inside = sum(x.size for path, x in by_path if any(getattr(key, "name", "") in tables for key in path))
    assert total - without == inside > 0


def test_dropout_without_a_key_is_the_identity():
    x = jnp.arange(4.0)
    assert dropout(x, 0.5, None) is x
    assert dropout(x, 0.0, jax.random.key(0)) is x
    dropped = dropout(jnp.ones(10_000, jnp.float32), 0.25, jax.random.key(0))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.mean(np.asarray(dropped) == 0) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("n", "d"), [(5, 6), (3, 5), (1, 1)])
def test_sinusoids_against_the_oracle(n, d):
    np.testing.assert_allclose(sinusoidal(n, d), paper.sinusoidal(n, d), atol=1e-7)


def test_lookup_gradient_adds_up_over_repeated_tokens():
    table = layers.Embedding(jnp.ones((4, 2)))
    g = jax.grad(lambda t: layers.lookup(t, jnp.array([1, 1, 3])).sum())(table)
    np.testing.assert_array_equal(g[...], [[0, 0], [2, 2], [0, 0], [1, 1]])
