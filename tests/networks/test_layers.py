"""What every network keeps: the same call, padding that changes nothing, jit and vmap that change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import paper
import pytest
from flax import nnx
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


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_of_rows_and_places_add_up_over_many_texts(dtype):
    w, table, ids = jnp.zeros((1024, 3, 2), dtype), jnp.ones((3, 2), dtype), jnp.ones((1024, 3), int)
    in_places = jax.grad(lambda p: layers.at_places(w, p).astype(jnp.float32).sum())(table)
    np.testing.assert_array_equal(in_places, np.full((3, 2), 1024))
    in_rows = jax.grad(lambda t: layers.lookup(t, ids).astype(jnp.float32).sum())(layers.Embedding(table))
    np.testing.assert_array_equal(in_rows[...], [[0, 0], [3072, 3072], [0, 0]])


def normal(*shape, seed=0):
    return jnp.float32(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("parts", [1, 2])
def test_a_linear_map_is_its_matrix_and_its_bias(parts):
    linear = layers.Linear(4, 4, parts=parts, rngs=nnx.Rngs(0))
    kernel, bias, x = normal(4 // parts, 4), normal(4, seed=1), normal(2, 3, 4, seed=2)
    linear.kernel[...], linear.bias[...] = kernel, bias
    blocks = np.split(x, parts, axis=-1), np.split(kernel, parts, axis=-1)
    want = np.concatenate([a @ b for a, b in zip(*blocks, strict=True)], axis=-1) + bias
    np.testing.assert_allclose(linear(x), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x @ linear.matrix + bias, want, rtol=1e-5, atol=1e-6)
    table, places, ids = normal(5, 4, seed=3), normal(3, 4, seed=4), jnp.array([[0, 4, 4], [2, 1, 0]])
    for added in (None, places):
        w = table[ids] + (0 if added is None else added)
        found = linear.of_sum(layers.Embedding(table), ids, added)
        np.testing.assert_allclose(found, linear(w), rtol=1e-5, atol=1e-6)


def test_an_id_beyond_the_table_is_nan():
    found = layers.lookup(layers.Embedding(jnp.ones((4, 2))), jnp.array([3, 4]))
    np.testing.assert_array_equal(np.isnan(found), [[False, False], [True, True]])


def test_attention_is_a_softmax_over_tokens_in_each_head():
    Q, K, V = (normal(2, 3, 4, seed=seed) for seed in range(3))
    mask = jnp.array([[True, True, True], [True, False, True]])
    want = np.zeros((2, 3, 4))
    for b, head in np.ndindex(2, 2):
        at = slice(2 * head, 2 * head + 2)
        shares = np.exp(Q[b, :, at] @ K[b, :, at].T / np.sqrt(2)) * mask[b]
        want[b, :, at] = shares / shares.sum(axis=-1, keepdims=True) @ V[b, :, at]
    np.testing.assert_allclose(layers.attend(Q, K, V, mask, heads=2), want, rtol=1e-5, atol=1e-6)


def test_dropout_of_attention_drops_shares_and_scales_the_others():
    """With the identity for values, the output is the shares themselves."""
    Q, K, V = normal(8, 8), normal(8, 8, seed=1), jnp.eye(8)
    mask, key = jnp.ones(8, bool), jax.random.key(0)
    shares, dropped = (layers.attend(Q, K, V, mask, 1, 0.25, each) for each in (None, key))
    kept = np.asarray(dropped) != 0
    np.testing.assert_allclose(shares.sum(axis=-1), np.ones(8), rtol=1e-5)
    np.testing.assert_allclose(dropped, np.where(kept, shares / 0.75, 0), rtol=1e-5)
    assert 0.6 < kept.mean() < 0.9
