"""What all networks share: the call, its trace, and the checks of its input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from tiny import BATCH, CONFIGS, build, in_float64

from wave_jax.study import gradients
from wave_jax.training.loss import loss


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return build(CONFIGS[request.param])


def logits(model, batch):
    return model(batch.ids, batch.mask, batch.segments)


call = jax.jit(logits)


def padded(batch, more=3):
    """The same texts with more padding, under other ids: the padding must not matter."""
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
