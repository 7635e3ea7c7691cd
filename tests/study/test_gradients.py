"""Derivatives under the names of the forward pass: against finite differences and against each other."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny import BATCH, CONFIGS, build, in_float64

from wave_jax.networks.trace import Trace
from wave_jax.study.gradients import by_parameter, by_stage, by_token
from wave_jax.training.loss import loss, score_of_logits

WAVES = [name for name in CONFIGS if name not in ("Transformer", "bag", "BERT")]


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return build(CONFIGS[request.param])


stages = jax.jit(by_stage)
traced = jax.jit(lambda model: model.trace(BATCH.ids, BATCH.mask))
FIRST = jax.tree.map(lambda x: np.asarray(x)[0], BATCH)  # one text, without a batch axis


def test_by_stage_has_the_names_and_shapes_of_the_trace(model):
    trace = jax.eval_shape(lambda: model.trace(BATCH.ids, BATCH.mask, BATCH.segments))
    derivative = stages(model, BATCH)
    assert jax.tree.structure(derivative) == jax.tree.structure(trace)
    shapes = lambda tree: [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]
    assert shapes(derivative) == shapes(trace)


def test_stages_that_a_network_lacks_are_none():
    for name in ("Transformer", "bag", "BERT"):
        derivative = stages(build(CONFIGS[name]), BATCH)
        assert [stage is None for stage in derivative] == [False, *[True] * 6, False, False]


def test_by_stage_against_finite_differences(model):
    """Along a random direction u at each stage, complex ones included: dL = Re Σ conj(∂L/∂Z)·u."""
    with jax.enable_x64(True):
        model = in_float64(model)
        derivative = jax.jit(by_stage)(model, BATCH)
        exact, structure = jax.tree.flatten(jax.device_get(derivative))
        zero = [np.zeros_like(leaf) for leaf in exact]
        rng = np.random.default_rng(1)

        @jax.jit
        def loss_at(nudge):
            logits = model.trace(BATCH.ids, BATCH.mask, BATCH.segments, nudge=nudge).logits
            return score_of_logits(logits, BATCH.labels).mean_loss

        for i, leaf in enumerate(exact):
            u = rng.normal(size=leaf.shape)
            if np.iscomplexobj(leaf):
                u = (u + 1j * rng.normal(size=leaf.shape)) / np.sqrt(2)
            at = lambda t, i=i, u=u: float(loss_at(structure.unflatten([*zero[:i], t * u, *zero[i + 1 :]])))
            slope = lambda t, at=at: (at(t) - at(-t)) / (2 * t)
            numeric = (4 * slope(1e-5) - slope(2e-5)) / 3  # Richardson: the error falls to fourth order
            np.testing.assert_allclose(np.sum(np.conj(leaf) * u).real, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", WAVES)
def test_a_step_along_a_complex_derivative_climbs_as_fast_as_its_squared_norm(name):
    """The steepest-ascent convention: with the conjugate, which jax.grad returns, it would not."""
    with jax.enable_x64(True):
        model = in_float64(build(CONFIGS[name]))
        derivative = jax.jit(by_stage)(model, BATCH)

        def loss_after(step, direction):
            nudge = Trace(Z=jax.tree.map(lambda g: step * g, direction))
            logits = model.trace(BATCH.ids, BATCH.mask, BATCH.segments, nudge=nudge).logits
            return score_of_logits(logits, BATCH.labels).mean_loss

        slope = jax.jit(jax.grad(loss_after))
        along = jax.device_get(derivative.Z)
        squared = sum(np.sum(np.abs(g) ** 2) for g in jax.tree.leaves(along))
        assert squared > 0
        assert slope(0.0, along) == pytest.approx(squared, rel=1e-10)
        if CONFIGS[name].read_out == "real_imag":  # a magnitude's derivative may well be its own conjugate
            assert slope(0.0, jax.tree.map(np.conj, along)) < 0.999 * squared


def test_parameter_derivatives_follow_from_the_stages(model):
    """∂L/∂(embedding row) = sum over its tokens; ∂L/∂(classifier's bias) = sum over logits."""
    parameters, stage = jax.jit(by_parameter)(model, BATCH), stages(model, BATCH)
    table = np.zeros(model.embedding.shape)
    for row, g in zip(np.asarray(BATCH.ids).ravel(), np.asarray(stage.w).reshape(-1, 6), strict=True):
        table[row] += g
    np.testing.assert_allclose(parameters.embedding[...], table, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(parameters.classifier.bias[...], stage.logits.sum(0), rtol=1e-4, atol=1e-6)


def test_by_token_is_the_stage_w_and_parameters_are_the_gradient_of_the_loss(model):
    np.testing.assert_allclose(jax.jit(by_token)(model, BATCH), stages(model, BATCH).w, rtol=1e-5, atol=1e-7)
    for a, b in zip(
        jax.tree.leaves(jax.jit(by_parameter)(model, BATCH)),
        jax.tree.leaves(jax.jit(jax.grad(loss))(model, BATCH)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("function", [by_parameter, by_stage, by_token])
def test_per_text_derivatives_average_to_the_batch_and_are_those_of_each_text_alone(model, function):
    each = jax.device_get(jax.jit(lambda m, b: function(m, b, per_text=True))(model, BATCH))
    first = jax.jit(function)(model, FIRST)
    whole = jax.jit(function)(model, BATCH)
    for a, b in zip(jax.tree.leaves(each), jax.tree.leaves(first), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=1e-4, atol=1e-6)
    for a, b in zip(jax.tree.leaves(each), jax.tree.leaves(whole), strict=True):
        want = a.mean(0) if function is by_parameter else a / len(BATCH.labels)
        np.testing.assert_allclose(b, want, rtol=1e-4, atol=1e-6)


def test_no_gradient_reaches_a_phase_through_the_magnitude_of_a_modulation():
    """∂L/∂Z lies along Z itself: turning a wave changes nothing."""
    for combine, along in (("modulate", True), ("interfere", False)):
        config = replace(CONFIGS["modulation"], read_out="magnitude", combine=combine)
        model = build(config)
        Z1, g = jax.device_get((traced(model).Z1, stages(model, BATCH).Z1))
        turn = np.imag(np.conj(Z1) * g)  # derivative by the phase of Z1
        assert (np.abs(turn).max() < 1e-5 * np.abs(Z1 * g).max()) == along


def test_with_cls_pooling_the_gradient_at_other_variants_is_their_value_times_a_common_factor():
    model = build(CONFIGS["modulation"])
    trace, g = jax.device_get((traced(model), stages(model, BATCH)))
    ratio = (g.w1 / trace.w1)[0, 1:]  # c_k, the same for every token of the text
    np.testing.assert_allclose(ratio, np.tile(ratio[:1], (5, 1)), rtol=1e-3)


def test_dropout_keys_reach_the_derivatives():
    model, key = build(replace(CONFIGS["modulation"], dropout=0.5)), jax.random.key(0)
    tokens = jax.jit(by_token)(model, BATCH, key)
    assert not np.allclose(tokens, jax.jit(by_token)(model, BATCH))
    np.testing.assert_allclose(stages(model, BATCH, key).w, tokens, rtol=1e-5)
    assert jax.eval_shape(lambda: by_token(model, BATCH, key, per_text=True)).shape == (2, 6, 6)


def test_with_a_key_the_parameters_derivative_is_the_gradient_of_the_batchs_loss():
    model, key = build(replace(CONFIGS["modulation"], dropout=0.5)), jax.random.key(0)
    found, want = (jax.jit(of)(model, BATCH, key) for of in (by_parameter, jax.grad(loss)))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)
