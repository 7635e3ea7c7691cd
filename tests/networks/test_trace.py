"""What all networks share: the call, its trace, and the checks of its input."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from tiny import BATCH, CONFIGS, build, in_float64

from wave_jax.networks.trace import Network, Trace
from wave_jax.networks.wave_network import WaveLayer
from wave_jax.study import gradients
from wave_jax.training.loss import loss, score_of_logits


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return build(CONFIGS[request.param])


def logits(model, batch):
    return model(batch.ids, batch.mask, batch.segments)


call = jax.jit(logits)


def padded(batch, more=3):
    """The same texts with more padding, under other ids: the padding must not matter."""
    wider, batch = [(0, 0), (0, more)], jax.device_get(batch)
    return batch._replace(
        ids=np.pad(np.where(batch.mask, batch.ids, 7), wider, constant_values=9),
        mask=np.pad(batch.mask, wider),
        segments=np.pad(np.where(batch.mask, batch.segments, 3), wider, constant_values=1),
    )


def test_padding_changes_neither_values_nor_gradients(model):
    """To the last bits of float64, in which the order of a sum is all that may differ."""
    with jax.enable_x64(True):
        model = in_float64(model)
        of = jax.jit(lambda m, b: (logits(m, b), gradients.by_parameter(m, b), gradients.by_token(m, b)))
        values, parameters, tokens = of(model, BATCH)
        values_padded, parameters_padded, tokens_padded = of(model, padded(BATCH))
    n = BATCH.ids.shape[1]
    np.testing.assert_allclose(values_padded, values, rtol=1e-12, atol=1e-13)
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
    each = jax.jit(jax.vmap(logits, in_axes=(None, 0)))(model, BATCH)
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


# edits


def traced(model, edit=None, batch=BATCH):
    return model.trace(batch.ids, batch.mask, batch.segments, edit=edit)


@pytest.mark.parametrize("name", ["modulation", "two layers", "Transformer"])
def test_a_stage_replaced_by_itself_changes_nothing_and_by_another_changes_what_follows(name):
    model = build(CONFIGS[name])
    plain, other = traced(model), traced(model, batch=jax.tree.map(lambda x: x[::-1], BATCH))
    same = traced(model, plain)
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(plain), strict=True):
        np.testing.assert_array_equal(a, b)
    for stage in {"w", "Z1", "h"} & set(model.stages):
        found = traced(model, Trace(**{stage: getattr(other, stage)}))
        for a, b in zip(*(jax.tree.leaves(getattr(each, stage)) for each in (found, other)), strict=True):
            np.testing.assert_array_equal(a, b)
        assert np.abs(found.logits - plain.logits).max() > 1e-3
    np.testing.assert_allclose(traced(model, Trace(h=other.h)).logits, other.logits, rtol=2e-5, atol=1e-5)


def test_edits_work_under_jit_and_vmap_and_have_a_derivative():
    """A factor of h, edited in or applied by hand: the same losses and slopes."""
    model = build(CONFIGS["modulation"])

    def edited(t):
        return score_of_logits(traced(model, Trace(h=lambda h: t * h)).logits, BATCH.labels).mean_loss

    h = traced(model).h

    def by_hand(t):
        return score_of_logits(model.answer(t * h), BATCH.labels).mean_loss

    t = jnp.array([0.5, 1.0])
    each, want = (jax.jit(jax.vmap(jax.value_and_grad(f)))(t) for f in (edited, by_hand))
    np.testing.assert_allclose(each, want, rtol=1e-4)


def test_layers_are_edited_alike_or_each_by_its_own():
    model = build(CONFIGS["two layers"])
    half = lambda Z: Z / 2
    edits = Trace(Z=half), Trace(Z=(half, half)), Trace(Z=(half, None)), None
    alike, own, first, plain = jax.jit(lambda model: [traced(model, edit) for edit in edits])(model)
    np.testing.assert_array_equal(alike.logits, own.logits)
    np.testing.assert_allclose(first.Z[0], plain.Z[0] / 2)
    assert np.abs(first.Z[1] - plain.Z[1]).max() > 1e-3
    with pytest.raises(ValueError, match="edit has 1 for the stage Z, whose network has 2 layers"):
        traced(model, Trace(Z=(half,)))


def test_what_no_stage_can_become_is_refused(model):
    name = type(model).__name__
    for edit, sentence in [
        (Trace(h=jnp.ones((2, 5))), r"edit must keep the stage h float32\(2, 6\), got float32\(2, 5\)"),
        (Trace(h=lambda h: h > 0), r"edit must keep the stage h float32\(2, 6\), got bool\(2, 6\)"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            traced(model, edit)
    for nudge, got in [(jnp.ones((1, 6)), r"float32\(1, 6\)"), (1j * jnp.ones((2, 6)), r"complex64\(2, 6\)")]:
        with pytest.raises(
            ValueError, match=rf"nudge must be shaped like the stage h float32\(2, 6\), got {got}"
        ):
            model.trace(BATCH.ids, BATCH.mask, BATCH.segments, nudge=Trace(h=nudge))
    if "Z1" not in model.stages:
        for what in ("edit", "nudge"):
            with pytest.raises(
                ValueError, match=f"{what} is for the stage Z1, which a {name} lacks: it has w, h"
            ):
                model.trace(BATCH.ids, BATCH.mask, **{what: Trace(Z1=jnp.ones(()))})


def test_what_a_network_says_that_its_trace_holds_is_there(model):
    found = jax.eval_shape(traced, model)
    assert {name for name, stage in found._asdict().items() if stage is not None} == set(model.stages)


def test_a_call_of_ones_own_with_the_trace_of_another_is_refused():
    for parent, methods, says in [
        (WaveLayer, {"__call__": lambda self: 0}, "Own has its own __call__ and inherits trace"),
        (WaveLayer, {"trace": lambda self: 0}, "Own has its own trace and inherits __call__"),
        (type(build(CONFIGS["bag"])), {"__call__": lambda self: 0}, "its own __call__ and inherits trace"),
    ]:
        with pytest.raises(TypeError, match=says):
            type("Own", (parent,), methods)
        both = dict.fromkeys(("__call__", "trace"), lambda self: 0)
        assert issubclass(type("Own", (parent,), both), parent)
    assert issubclass(
        type("Own", (Network,), {"trace": lambda self: 0}), Network
    )  # its call is the trace's end


@pytest.mark.parametrize("tree", [build(CONFIGS["modulation"]), Trace(w=np.ones((2, 3)))])
def test_networks_and_traces_show_themselves_with_treescope_where_it_is(tree, monkeypatch):
    treescope = pytest.importorskip("treescope")
    formats = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    shown, _ = formats.format(tree)
    assert "treescope-container" in shown["text/html"]
    assert treescope.render_to_text(tree).startswith(f"{type(tree).__name__}(")
    monkeypatch.setitem(sys.modules, "treescope", None)
    plain, _ = formats.format(tree)
    assert [*plain] == ["text/plain"]
