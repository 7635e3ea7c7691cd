"""Attributions: the quick way against the definition, completeness, and what must be exactly 0."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from tiny import BATCH, CONFIGS, TINY, build

from wave_jax.data.datasets import load
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.study import attribution
from wave_jax.study.attribution import (
    deletion,
    gradient_x_input,
    integrated_gradients,
    leave_one_out,
    leave_out,
    on_spans,
    share_on,
)

FUNCTIONS = {
    "gradient x input": gradient_x_input,
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
    leave_one_out(build(TINY), BATCH)
    for config in (CONFIGS["two layers"], replace(TINY, pool="mean"), CONFIGS["bag"], CONFIGS["BERT"]):
        with pytest.raises(AssertionError):
            leave_one_out(build(config), BATCH)


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
        shorter = jax.tree.map(lambda x, j=j: jnp.delete(x, j, axis=1) if x.ndim == 2 else x, BATCH)
        assert scores[0, j] == pytest.approx(float(call(BATCH) - call(shorter)), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_integrated_gradients_add_up_and_say_how_far_they_miss(name):
    network = build(CONFIGS[name])
    few, many = (jax.jit(integrated_gradients, static_argnums=2)(network, BATCH, steps) for steps in (4, 256))
    logit = lambda nudge: attribution._logit(network, BATCH, nudge)
    w = network.trace(BATCH.ids, BATCH.mask, BATCH.segments).w
    gap = logit(jnp.zeros_like(w)) - logit(-w)
    np.testing.assert_allclose(many.scores.sum(-1) - gap, many.error, rtol=1e-3, atol=1e-4)
    if name not in ("Transformer", "BERT"):  # their first norm jumps at 0, which no rule follows
        assert np.abs(many.error).max() <= max(np.abs(few.error).max(), 1e-4)
        assert np.abs(many.error).max() < 0.02 * np.abs(gap).max() + 1e-3


def test_a_bag_of_embeddings_is_linear_so_both_gradient_ways_are_its_very_parts():
    network = build(CONFIGS["bag"])
    parts = network.embedding[...][BATCH.ids] @ network.classifier.kernel[...][:, BATCH.labels[0]]
    want = np.asarray(parts)[0] / 6
    np.testing.assert_allclose(gradient_x_input(network, BATCH)[0], want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(integrated_gradients(network, BATCH, 3).scores[0], want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_padding_gets_nothing_and_changes_nothing(function):
    network = build(TINY)
    scores = jax.jit(FUNCTIONS[function])(network, BATCH)
    assert scores.shape == BATCH.ids.shape
    assert np.all(np.asarray(scores)[~np.asarray(BATCH.mask)] == 0)
    short = jax.tree.map(lambda x: x[1:, :3] if x.ndim == 2 else x[1:], BATCH)
    np.testing.assert_allclose(
        jax.jit(FUNCTIONS[function])(network, short)[0], scores[1, :3], rtol=1e-4, atol=1e-6
    )


def test_no_steps_are_refused():
    with unchecked(), pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        integrated_gradients(build(TINY), BATCH, steps=0)


def test_tokens_of_the_planted_evidence_spell_its_words():
    split = load("planted", size=40).train
    tokenizer = Tokenizer.train(split.texts, v=400)  # small, so that words fall into pieces
    for text, spans in zip(split.texts, split.evidence, strict=True):
        pieces = tokenizer.explain(text, max_length=120)
        on = on_spans(pieces, spans, 120)
        assert on.shape == (120,)
        found = "".join(text[p.start : p.end] for p, yes in zip(pieces, on, strict=False) if yes)
        assert found == "".join(text[start:end] for start, end in sorted(spans))


def test_the_share_on_places_adds_up_to_1_with_the_share_elsewhere():
    scores = jax.jit(leave_one_out)(build(TINY), BATCH)
    places = np.asarray(BATCH.ids) % 2 == 1
    want = np.abs(scores * places).sum(1) / np.abs(scores).sum(1)
    np.testing.assert_allclose(share_on(scores, places), want, rtol=1e-5)
    np.testing.assert_allclose(share_on(scores, places) + share_on(scores, ~places), [1, 1], rtol=1e-5)
    assert share_on(0 * scores, places).tolist() == [0, 0]


@pytest.mark.parametrize("name", CONFIGS)
def test_deletion_masks_the_strongest_tokens_one_after_the_other(name):
    network = build(CONFIGS[name])
    scores = jnp.array([[9.0, 1, 5, -2, 3, 0], [9.0, -1, 2, 7, 7, 7]])  # of [CLS] and of padding too
    curve = jax.jit(deletion, static_argnums=3)(network, BATCH, scores, 6)
    call = jax.jit(lambda mask: jax.nn.softmax(network(BATCH.ids, mask, BATCH.segments)))
    mask, gone = np.array(BATCH.mask), [[None, 2, 4, 1, 5, 3, None], [None, 2, 1, None, None, None, None]]
    for k in range(7):
        for text in (0, 1):
            if gone[text][k] is not None:
                mask[text, gone[text][k]] = False
        want = np.asarray(call(jnp.asarray(mask)))
        np.testing.assert_allclose(curve.probability[:, k], want[[0, 1], BATCH.labels], rtol=1e-4, atol=1e-6)
        assert curve.answered[:, k].tolist() == (want.argmax(-1) == np.asarray(BATCH.labels)).tolist()


def test_no_steps_of_deletion_are_refused():
    with unchecked(), pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        deletion(build(TINY), BATCH, jnp.zeros((2, 6)), steps=0)
