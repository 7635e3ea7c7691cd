"""Attributions: the quick way against the definition, completeness, and what must be exactly 0."""

import itertools
from dataclasses import replace
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from tiny import BATCH, CONFIGS, TINY, build

from wave_jax.networks.trace import Trace
from wave_jax.study import attribution
from wave_jax.study.attribution import (
    gradient_x_input,
    integrated_gradients,
    leave_one_out,
    leave_out,
    shapley,
    smooth_grad,
)

KEY = jax.random.key(0)
FUNCTIONS = {
    "gradient x input": gradient_x_input,
    "SmoothGrad without noise": lambda network, batch: smooth_grad(network, batch, KEY, 1, noise=0.0),
    "integrated gradients": lambda network, batch: integrated_gradients(network, batch, steps=4).scores,
    "leave one out": leave_one_out,
}


@pytest.mark.parametrize(
    ("combine", "read_out", "width"),
    [(c, r, None) for c in ("interfere", "modulate") for r in ("real", "magnitude", "real_imag")]
    + [("modulate", "real_imag", 2)],
)
def test_one_pass_equals_n_passes(combine, read_out, width):
    config = replace(TINY, combine=combine, read_out=read_out, voice_width=width, positions="sinusoidal")
    network = build(config)
    quick = jax.jit(lambda n, b: attribution._without_each(n, b.ids, b.mask))(network, BATCH)
    plain = jax.jit(attribution._by_n_passes)(network, BATCH)
    others = np.asarray(BATCH.mask) & (np.arange(6) > 0)
    np.testing.assert_allclose(quick[others], plain[others], rtol=1e-4, atol=1e-5)


def test_the_quick_way_is_taken_where_it_holds_and_only_there(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(attribution, "_by_n_passes", refuse)

    def traced(config):
        jax.eval_shape(lambda network: leave_one_out(network, BATCH), build(config))

    traced(TINY)
    for config in (CONFIGS["two layers"], replace(TINY, pool="mean"), CONFIGS["bag"], CONFIGS["BERT"]):
        with pytest.raises(AssertionError):
            traced(config)


@pytest.mark.parametrize("name", ["modulation", "Transformer"])
def test_tokens_that_go_together(name):
    network = build(CONFIGS[name])
    groups = np.zeros((2, 3, 6), bool)
    groups[0, 0, [1, 3]] = groups[1, 1, 2] = groups[:, 2, 0] = True  # [CLS] stays
    lost = jax.jit(leave_out)(network, BATCH, groups)
    call = jax.jit(lambda mask: network(BATCH.ids, mask, BATCH.segments))
    for g in range(3):
        mask = BATCH.mask & ~(groups[:, g] & (np.arange(6) > 0))
        want = (call(BATCH.mask) - call(mask))[np.arange(2), BATCH.labels]
        np.testing.assert_allclose(lost[:, g], want, rtol=1e-4, atol=1e-5)
    assert lost[:, 2].tolist() == [0, 0]


@pytest.mark.parametrize("name", ["modulation", "two layers", "bag"])
def test_leaving_a_token_out_is_the_text_without_it(name):
    """Without positions, masking a token and deleting it are the same."""
    network = build(replace(CONFIGS[name], positions="none") if name == "two layers" else CONFIGS[name])
    scores = jax.jit(leave_one_out)(network, BATCH)
    call = jax.jit(lambda b: network(b.ids, b.mask, b.segments)[0, BATCH.labels[0]])
    for j in range(1, 6):
        shorter = jax.tree.map(lambda x, j=j: np.delete(x, j, axis=1) if x.ndim == 2 else x, BATCH)
        assert scores[0, j] == pytest.approx(float(call(BATCH) - call(shorter)), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_integrated_gradients_add_up_and_say_how_far_they_miss(name):
    network = build(CONFIGS[name])
    few, many = (jax.jit(integrated_gradients, static_argnums=2)(network, BATCH, steps) for steps in (4, 256))

    @jax.jit
    def gap(network):
        w = network.trace(BATCH.ids, BATCH.mask, BATCH.segments).w
        logit = lambda nudge: attribution._logit(network, BATCH, nudge)
        return logit(jnp.zeros_like(w)) - logit(-w)

    few, many, gap = jax.device_get((few, many, gap(network)))
    np.testing.assert_allclose(many.scores.sum(-1) - gap, many.error, rtol=1e-3, atol=1e-4)
    if name not in ("Transformer", "BERT"):  # their first norm jumps at 0, which no rule follows
        assert np.abs(many.error).max() <= max(np.abs(few.error).max(), 1e-4)
        assert np.abs(many.error).max() < 0.02 * np.abs(gap).max() + 1e-3


def test_a_bag_of_embeddings_is_linear_so_both_gradient_ways_are_its_very_parts():
    network = build(CONFIGS["bag"])
    table, kernel = np.asarray(network.embedding[...]), np.asarray(network.classifier.kernel[...])
    want = (table[np.asarray(BATCH.ids)] @ kernel[:, int(BATCH.labels[0])])[0] / 6
    slope, integrated = jax.jit(lambda n, b: (gradient_x_input(n, b), integrated_gradients(n, b, 3)))(
        network, BATCH
    )
    np.testing.assert_allclose(slope[0], want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(integrated.scores[0], want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_padding_gets_nothing_and_changes_nothing(function):
    network = build(TINY)
    scores = jax.jit(FUNCTIONS[function])(network, BATCH)
    assert scores.shape == BATCH.ids.shape
    assert np.all(np.asarray(scores)[~np.asarray(BATCH.mask)] == 0)
    short = jax.tree.map(lambda x: x[1:, :3] if x.ndim == 2 else x[1:], jax.device_get(BATCH))
    np.testing.assert_allclose(
        jax.jit(FUNCTIONS[function])(network, short)[0], scores[1, :3], rtol=1e-4, atol=1e-6
    )


def test_no_steps_are_refused():
    with unchecked(), pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        integrated_gradients(build(TINY), BATCH, steps=0)


def test_without_noise_smooth_grad_is_gradient_x_input_and_with_it_a_mean_of_slopes_nearby():
    network = build(TINY)
    w = np.asarray(jax.jit(lambda network: network.trace(*BATCH[:2]).w)(network))
    smooth = jax.jit(smooth_grad, static_argnums=3)
    still = smooth(network, BATCH, KEY, 3, 0.0)
    np.testing.assert_allclose(still, jax.jit(gradient_x_input)(network, BATCH), rtol=1e-4, atol=1e-5)

    @jax.jit
    def slope(w):
        def logit(w):
            logits = network.trace(*BATCH[:2], edit=Trace(w=w)).logits
            return jnp.sum(jnp.take_along_axis(logits, BATCH.labels[:, None], axis=-1))

        return jax.grad(logit)(w)

    size = [np.sqrt(np.mean(np.square(text[m]))) for text, m in zip(w, np.asarray(BATCH.mask), strict=True)]
    noise = [np.asarray(jax.random.normal(key, w.shape)) for key in jax.random.split(KEY, 3)]
    slopes = np.mean([slope(w + 0.5 * np.reshape(size, (2, 1, 1)) * x) for x in noise], axis=0)
    want = np.where(BATCH.mask, np.sum(w * slopes, axis=-1), 0)
    np.testing.assert_allclose(smooth(network, BATCH, KEY, 3, 0.5), want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["modulation", "voices", "interference", "bag"])
def test_the_shapley_values_are_those_of_all_orders_within_their_standard_error(name):
    """Exact by enumeration of the sets: Σ_S |S|! (m - |S| - 1)! / m! · (logit(S + j) - logit(S))."""
    network = build(CONFIGS[name])
    call = jax.jit(lambda masks: network(jnp.repeat(BATCH.ids[:1], len(masks), axis=0), masks))
    sets = [np.array([True, *chosen]) for chosen in itertools.product([False, True], repeat=5)]
    logit = dict(zip(map(bytes, sets), np.asarray(call(np.array(sets)))[:, BATCH.labels[0]], strict=True))
    want = np.zeros(6)
    for j in range(1, 6):
        for chosen in sets:
            if not chosen[j]:
                size = int(chosen.sum()) - 1
                more = chosen | (np.arange(6) == j)
                weight = factorial(size) * factorial(4 - size) / factorial(5)
                want[j] += weight * (logit[bytes(more)] - logit[bytes(chosen)])
    found = jax.jit(shapley, static_argnums=3)(network, BATCH, KEY, 400)
    scores, error = np.asarray(found.scores[0]), np.asarray(found.error[0])
    assert scores[0] == error[0] == 0
    assert np.all(np.abs(scores - want)[1:] <= 4 * error[1:] + 1e-5)
    assert np.all(error[1:] < 0.1 * np.abs(want).max())
    both = [logit[bytes(np.array([True, *[there] * 5]))] for there in (True, False)]
    assert scores.sum() == pytest.approx(both[0] - both[1], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_shapley_values_add_up_to_what_the_text_adds_to_cls_alone(name):
    network = build(CONFIGS[name])
    found = jax.jit(shapley, static_argnums=3)(network, BATCH, KEY, 2)
    alone = BATCH.mask & (jnp.arange(6) == 0)
    call = jax.jit(lambda mask: network(BATCH.ids, mask, BATCH.segments))
    gap = (call(BATCH.mask) - call(alone))[np.arange(2), BATCH.labels]
    np.testing.assert_allclose(found.scores.sum(-1), gap, rtol=1e-3, atol=1e-4)
    assert np.all(np.asarray(found.scores)[~np.asarray(BATCH.mask)] == 0)


def test_a_growing_text_in_one_pass_is_that_of_a_pass_for_each_length():
    network, order = build(TINY), jnp.array([[3, 1, 5, 2, 4, 0], [2, 1, 0, 3, 4, 5]])
    quick, plain = (
        jax.jit(form)(network, BATCH, order)
        for form in (attribution._growing, attribution._growing_by_passes)
    )
    np.testing.assert_allclose(quick, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "least"), [(smooth_grad, 1), (shapley, 2)])
def test_too_few_samples_are_refused(method, least):
    with unchecked(), pytest.raises(ValueError, match=f"samples must be at least {least}, got 0"):
        method(build(TINY), BATCH, KEY, samples=0)
