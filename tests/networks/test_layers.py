"""What every network keeps: the same call, padding that changes nothing, jit and vmap that change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import paper
import pytest
from conftest import unchecked
from tiny import BATCH, CONFIGS, build, in_float64

from wave_jax.networks import layers
from wave_jax.networks.layers import count_parameters, dropout, sinusoidal
from wave_jax.study import gradients
from wave_jax.training.loss import loss


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return build(CONFIGS[request.param])


def logits(model, batch):
    return model(batch.ids, batch.mask, batch.segments)


call = jax.jit(logits)


def padded(batch, more=3):
    """The same texts with more padding, under other ids: what stands there must not matter."""
    wider = [(0, 0), (0, more)]
    return batch._replace(
        ids=jnp.pad(jnp.where(batch.mask, batch.ids, 7), wider, constant_values=9),
        mask=jnp.pad(batch.mask, wider),
        segments=jnp.pad(jnp.where(batch.mask, batch.segments, 3), wider, constant_values=1),
    )


def test_padding_changes_neither_values_nor_gradients(model):
    """To the last bits of float64, in which the order of a sum is all that may differ."""
    with jax.enable_x64(True):
        model = in_float64(model)
        np.testing.assert_allclose(call(model, padded(BATCH)), call(model, BATCH), rtol=1e-12, atol=1e-13)
        derivative = jax.jit(lambda m, b: (gradients.by_parameter(m, b), gradients.by_token(m, b)))
        (parameters, tokens), (parameters_padded, tokens_padded) = (
            derivative(model, BATCH),
            derivative(model, padded(BATCH)),
        )
    n = BATCH.ids.shape[1]
    np.testing.assert_allclose(tokens_padded[:, :n], tokens, rtol=1e-11, atol=1e-13)
    assert np.all(np.asarray(tokens_padded)[~np.asarray(padded(BATCH).mask)] == 0)
    # Rows of position tables exist whatever the length, so all leaves have equal shapes.
    for a, b in zip(jax.tree.leaves(parameters_padded), jax.tree.leaves(parameters), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_nothing_but_padding_is_finite_in_value_and_gradient(model):
    batch = BATCH._replace(mask=jnp.zeros_like(BATCH.mask))
    value, gradient = jax.jit(jax.value_and_grad(loss))(model, batch)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))


def test_jit_changes_nothing(model):
    np.testing.assert_allclose(call(model, BATCH), logits(model, BATCH), rtol=2e-5, atol=1e-5)


def test_vmap_equals_batch_and_a_single_text_needs_no_batch_axis(model):
    each = jax.vmap(logits, in_axes=(None, 0))(model, BATCH)
    np.testing.assert_allclose(each, call(model, BATCH), rtol=2e-5, atol=1e-5)
    alone = call(model, jax.tree.map(lambda x: x[0], BATCH))
    np.testing.assert_allclose(alone, call(model, BATCH)[0], rtol=2e-5, atol=1e-5)


def test_the_trace_ends_in_the_logits_of_the_call(model):
    trace = jax.jit(lambda m, b: m.trace(b.ids, b.mask, b.segments))(model, BATCH)
    np.testing.assert_allclose(trace.logits, call(model, BATCH), rtol=2e-5, atol=1e-5)
    assert trace.w.shape == (*BATCH.ids.shape, 6)


def test_an_id_beyond_the_table_is_refused_eagerly_and_becomes_nan_under_jit(model):
    batch = BATCH._replace(ids=BATCH.ids.at[0, 3].set(11))
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.10, .* got 0\.\.11"):
        logits(model, batch)
    got = np.asarray(call(model, batch))
    assert np.isnan(got[0]).all()
    assert np.isfinite(got[1]).all()


def test_wrong_inputs_are_named(model):
    ids, mask = BATCH.ids, BATCH.mask
    cases = [
        ((ids.astype(jnp.float32), mask), "ids must be integers of shape"),
        ((ids, mask[:, :3]), r"mask must be bool of the shape of ids \(2, 6\), got bool\(2, 3\)"),
        ((ids, mask.astype(jnp.int32)), r"mask must be bool .* got int32"),
        ((ids, mask, ids[0]), "segments must be integers of the shape of ids"),
        ((ids[0, 0], mask[0, 0]), "ids must be integers of shape"),
    ]
    for arguments, sentence in cases:
        with unchecked(), pytest.raises(ValueError, match=sentence):
            model(*arguments)


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
    dropped = dropout(jnp.ones(10_000), 0.25, jax.random.key(0))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.mean(np.asarray(dropped) == 0) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("n", "d"), [(5, 6), (3, 5), (1, 1)])
def test_sinusoids_against_the_oracle(n, d):
    np.testing.assert_allclose(sinusoidal(n, d), paper.sinusoidal(n, d), atol=1e-7)


def test_lookup_gradient_adds_up_over_repeated_tokens():
    table = layers.Embedding(jnp.ones((4, 2)))
    g = jax.grad(lambda t: layers.lookup(t, jnp.array([1, 1, 3])).sum())(table)
    np.testing.assert_array_equal(g[...], [[0, 0], [2, 2], [0, 0], [1, 1]])
