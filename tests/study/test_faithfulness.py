"""Scores are judged: by evidence, by what masking does, by small moves and by shuffled parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from flax import nnx
from tiny import BATCH, CONFIGS, TINY, build

from wave_jax.data.datasets import load
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks.layers import Embedding, Linear, lookup
from wave_jax.networks.trace import Network, Trace, changes
from wave_jax.numerics import masked
from wave_jax.study.attribution import gradient_x_input, leave_one_out
from wave_jax.study.faithfulness import (
    deletion,
    infidelity,
    on_spans,
    randomised,
    rank_correlation,
    sensitivity,
    share_on,
)

KEY = jax.random.key(0)


class Sum(Network):
    """Linear in every token, and in which tokens are there."""

    def __init__(self, v, d, c, rngs):
        self.v = v
        self.embedding = Embedding(jax.random.normal(rngs.params(), (v, d)))
        self.classifier = Linear(d, c, rngs=rngs)

    def trace(self, ids, mask, segments=None, key=None, nudge=None, edit=None):
        at = changes(self, nudge, edit)
        w = at("w", masked(lookup(self.embedding, ids), mask))
        h = at("h", jnp.sum(w, axis=-2))
        return Trace(w=w, h=h, logits=at("logits", self.classifier(h)))


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


@pytest.mark.parametrize("method", [gradient_x_input, leave_one_out])
def test_exact_scores_of_a_linear_network_have_no_infidelity(method):
    network = Sum(11, 6, 3, nnx.Rngs(0))
    scores = method(network, BATCH)
    nothing = infidelity(network, BATCH, 0 * scores, KEY)
    assert np.all(np.asarray(nothing) > 0.01)
    np.testing.assert_allclose(infidelity(network, BATCH, scores, KEY), 0, atol=1e-6 * nothing.max())
    twice = infidelity(network, BATCH, 2 * scores, KEY)  # misses by as much as scores of 0
    np.testing.assert_allclose(twice, nothing, rtol=1e-3)


def test_infidelity_is_the_mean_over_sets_that_are_masked():
    network, scores = build(TINY), jnp.arange(12.0).reshape(2, 6)
    found = infidelity(network, BATCH, scores, KEY, samples=4, share=0.5)
    groups = np.asarray(jax.random.bernoulli(KEY, 0.5, (2, 4, 6))) & (np.arange(6) > 0)
    call = jax.jit(lambda mask: network(BATCH.ids, mask)[np.arange(2), BATCH.labels])
    misses = []
    for g in range(4):
        gone = groups[:, g] & np.asarray(BATCH.mask)
        lost = call(BATCH.mask) - call(BATCH.mask & ~gone)
        misses.append((np.sum(scores * gone, axis=1) - lost) ** 2)
    np.testing.assert_allclose(found, np.mean(misses, axis=0), rtol=1e-3)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_that_is_none_is_refused(share):
    with unchecked(), pytest.raises(ValueError, match="share must be above 0 and at most 1"):
        infidelity(build(TINY), BATCH, jnp.zeros((2, 6)), KEY, share=share)


def test_scores_that_do_not_look_at_the_embedding_have_no_sensitivity_and_others_grow_with_it():
    network = build(TINY)
    still = sensitivity(lambda network, batch: jnp.ones(batch.ids.shape), network, BATCH, KEY, 2)
    assert still.tolist() == [0, 0]
    nothing = sensitivity(lambda network, batch: jnp.zeros(batch.ids.shape), network, BATCH, KEY, 2)
    assert nothing.tolist() == [0, 0]
    linear = lambda network, batch: network.embedding[...][batch.ids, 0]
    table = network.embedding[...]
    found = sensitivity(linear, network, BATCH, KEY, 3, radius=0.2)
    most = 0.2 * np.sqrt(np.mean(np.square(table)))
    moves = [jax.random.uniform(k, table.shape, minval=-most, maxval=most) for k in jax.random.split(KEY, 3)]
    size = np.linalg.norm(table[BATCH.ids, 0], axis=-1)
    want = np.max([np.linalg.norm(move[BATCH.ids, 0], axis=-1) / size for move in moves], axis=0)
    np.testing.assert_allclose(found, want, rtol=1e-4)
    further = sensitivity(linear, network, BATCH, KEY, 3, radius=0.4)
    np.testing.assert_allclose(further, 2 * np.asarray(found), rtol=1e-3)


def test_what_is_randomised_has_the_same_numbers_in_another_order_and_the_rest_stays():
    network = build(CONFIGS["modulation"])
    other = randomised(network, KEY, ("classifier", "layers"))
    np.testing.assert_array_equal(network.embedding[...], other.embedding[...])
    for part in ("classifier", "layers"):
        old, new = (jax.tree.leaves(getattr(each, part)) for each in (network, other))
        for a, b in zip(old, new, strict=True):
            np.testing.assert_array_equal(np.sort(a, axis=None), np.sort(b, axis=None))
        assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(old, new, strict=True))
    with pytest.raises(ValueError, match="parts has 'layer', of which a WaveNetwork has no parameters"):
        randomised(network, KEY, ("layer",))


def test_ranks_are_compared_as_by_spearman():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(3, 9)).astype(np.float32) for _ in range(2))
    mask = np.arange(9) < np.array([[9], [5], [2]])
    found = rank_correlation(jnp.asarray(a), jnp.asarray(b), jnp.asarray(mask))
    for i in range(2):
        ranks = [np.argsort(np.argsort(np.abs(x[i, 1:][mask[i, 1:]]))) for x in (a, b)]
        assert found[i] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-5)
    assert found[2] == 0
    same = rank_correlation(jnp.asarray(a), jnp.asarray(-2 * a), jnp.asarray(mask))
    assert same.tolist() == [1, 1, 0]
