"""Loss and accuracy against plain NumPy, and sums that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import BATCH, CONFIGS, build

from wave_jax.training.loss import Score, loss, score, score_of_logits

LOGITS = np.random.default_rng(0).normal(size=(5, 3)) * 3
LABELS = np.array([0, 2, 1, 1, 0])


def by_hand(logits, labels, smoothing=0.0):
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        log_p = row - np.log(np.exp(row).sum())
        q = np.full(len(row), smoothing / len(row))
        q[label] += 1 - smoothing
        total -= (q * log_p).sum()
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_accuracy_by_hand(smoothing):
    got = score_of_logits(jnp.float32(LOGITS), jnp.asarray(LABELS), smoothing)
    assert got.loss == pytest.approx(by_hand(LOGITS, LABELS, smoothing), rel=1e-5)
    assert got.correct == (LOGITS.argmax(-1) == LABELS).sum()
    assert got.count == 5


def test_filler_counts_nothing_and_gets_no_gradient():
    labels = jnp.asarray([*LABELS, -1])
    logits = jnp.float32([*LOGITS, [9.0, -9.0, 0.0]])
    full = score_of_logits(jnp.float32(LOGITS), jnp.asarray(LABELS))
    np.testing.assert_allclose(score_of_logits(logits, labels), full, rtol=1e-6)
    g = jax.grad(lambda x: score_of_logits(x, labels).mean_loss)(logits)
    np.testing.assert_array_equal(g[-1], np.zeros(3))
    nothing = score_of_logits(logits, jnp.full(6, -1))
    assert (nothing.mean_loss, nothing.accuracy) == (0, 0)


def test_scores_of_parts_add_up_to_the_score_of_the_whole():
    logits, labels = jnp.float32(LOGITS), jnp.asarray(LABELS)
    parts = score_of_logits(logits[:2], labels[:2]) + score_of_logits(logits[2:], labels[2:])
    whole = score_of_logits(logits, labels)
    assert isinstance(parts, Score)
    np.testing.assert_allclose(parts, whole, rtol=1e-6)
    assert parts.mean_loss == pytest.approx(float(whole.loss) / 5)
    assert parts.accuracy == pytest.approx(int(whole.correct) / 5)


def test_large_logits_and_half_precision_stay_finite():
    huge = jnp.array([[1e4, -1e4], [-1e4, 1e4]], jnp.bfloat16)
    got = score_of_logits(huge, jnp.array([1, 1]))
    assert got.loss.dtype == jnp.float32
    assert got.loss == pytest.approx(2e4, rel=1e-2)


def test_score_and_loss_of_a_network():
    network = build(CONFIGS["modulation"])
    logits = network(BATCH.ids, BATCH.mask)
    np.testing.assert_allclose(score(network, BATCH), score_of_logits(logits, BATCH.labels), rtol=1e-6)
    assert loss(network, BATCH, smoothing=0.1) == pytest.approx(
        float(score_of_logits(logits, BATCH.labels, 0.1).mean_loss)
    )


def test_each_loss_counts_by_its_weight():
    logits, labels = jnp.array([[1.0, 2.0], [0.5, -1.0], [3.0, 3.0]]), jnp.array([0, 1, -1])
    alone = [float(score_of_logits(logits[i : i + 1], labels[i : i + 1], 0.1).loss) for i in range(2)]
    found = score_of_logits(logits, labels, 0.1, jnp.array([0.5, 3.0, 9.0]))
    assert float(found.loss) == pytest.approx(0.5 * alone[0] + 3 * alone[1], rel=1e-6)
    assert (int(found.count), int(found.correct)) == (2, 0)


def test_in_training_every_voice_learns_the_labels_by_itself():
    """The loss is the mean of the voices' losses, smoothed and weighed, and not the loss of their mean."""
    network, key = build(CONFIGS["voices"]), jax.random.key(0)
    batch = BATCH._replace(weights=jnp.array([0.5, 3.0]))
    voices = np.asarray(network.voices(*BATCH[:2]), float)
    weighed = lambda logits: sum(
        weight * by_hand(logits[i : i + 1], [label], 0.1)
        for i, (label, weight) in enumerate(zip([1, 2], [0.5, 3.0], strict=True))
    )
    got = score(network, batch, key, 0.1)
    assert got.loss == pytest.approx(np.mean([weighed(voice) for voice in voices]), rel=1e-5)
    assert got.loss != pytest.approx(weighed(voices.mean(axis=0)), rel=1e-2)
    answers = voices.mean(axis=0).argmax(axis=-1)
    assert (int(got.count), int(got.correct)) == (2, (answers == np.array([1, 2])).sum())
