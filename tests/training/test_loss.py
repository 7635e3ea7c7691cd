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


def test_means_on_the_host_are_those_on_the_device_to_the_bit():
    for total, correct, count in ((0.0, 0, 0), (2.3, 1, 3), (11303.567, 831, 2**24 + 3)):
        host = Score(np.float32(total), np.int32(correct), np.int32(count))
        there = Score(*map(jnp.asarray, host))
        for one in (host, Score(total, correct, count)):
            assert isinstance(one.accuracy, np.float32)
            assert (float(one.mean_loss), float(one.accuracy)) == (
                float(there.mean_loss),
                float(there.accuracy),
            )


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


@pytest.mark.parametrize("c", [3, 4])
@pytest.mark.parametrize("several", [False, True])
def test_voices_narrower_than_the_number_of_classes_learn_together(several, c):
    network, key = build(CONFIGS["voices"], c=c), jax.random.key(0)  # two voices of three numbers
    targets = np.arange(2 * c).reshape(2, c) % 3 == 0
    by_one = several_by_hand if several else lambda z, _, smoothing: by_hand(z, [1, 2], smoothing)
    voices = np.asarray(network.voices(*BATCH[:2]), float)
    together = np.sum(by_one(np.asarray(network(*BATCH[:2]), float), targets, 0.1))
    batch = BATCH._replace(targets=jnp.asarray(targets) if several else None)
    got = score(network, batch, key, 0.1).loss
    assert got == pytest.approx(np.mean([np.sum(by_one(voice, targets, 0.1)) for voice in voices]), rel=1e-5)
    assert len(voices) == (2 if c == 3 else 1)
    assert (got == pytest.approx(together, rel=1e-3)) == (c == 4)


# --- soft targets and several labels

SHARES = np.array([[0.7, 0.2, 0.1], [0, 0, 1], [0.1, 0.5, 0.4], [0.2, 0.8, 0], [1 / 3, 1 / 3, 1 / 3]])
SEVERAL = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], bool)


def several_by_hand(z, y, smoothing):
    p = 1 / (1 + np.exp(-z))
    q = (1 - smoothing) * y + smoothing * y.mean(axis=1, keepdims=True)
    return -(q * np.log(p) + (1 - q) * np.log(1 - p))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_targets_by_hand_and_of_one_class_they_are_its_label(smoothing):
    z = jnp.float32(LOGITS)
    got = score_of_logits(z, jnp.asarray(SHARES.argmax(1)), smoothing, targets=jnp.float32(SHARES))
    q = (1 - smoothing) * SHARES + smoothing / 3
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
    assert got.loss == pytest.approx(-(q * log_p).sum(), rel=1e-5)
    assert got.correct == (LOGITS.argmax(1) == SHARES.argmax(1)).sum()
    hard = score_of_logits(z, jnp.asarray(LABELS), smoothing, targets=jnp.eye(3)[LABELS])
    np.testing.assert_allclose(hard, score_of_logits(z, jnp.asarray(LABELS), smoothing), rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_several_labels_by_hand_and_their_gradient_is_p_minus_q(smoothing):
    labels = jnp.asarray([*LABELS, -1])
    z, y = jnp.float32([*LOGITS, [3.0, -2, 1]]), jnp.asarray([*SEVERAL, [True] * 3])  # the last is filler
    got = score_of_logits(z, labels, smoothing, targets=y)
    assert got.loss == pytest.approx(several_by_hand(LOGITS, SEVERAL, smoothing).sum(), rel=1e-5)
    assert (got.correct, got.count) == (((LOGITS > 0) == SEVERAL).all(1).sum(), 5)
    slope = jax.grad(lambda z: score_of_logits(z, labels, smoothing, targets=y).loss)(z)
    q = (1 - smoothing) * SEVERAL + smoothing * SEVERAL.mean(1, keepdims=True)
    np.testing.assert_allclose(slope[:5], 1 / (1 + np.exp(-LOGITS)) - q, rtol=1e-4, atol=1e-6)
    assert not slope[5].any()


def test_weights_of_texts_and_of_their_labels():
    z, y, labels = jnp.float32(LOGITS), jnp.asarray(SEVERAL), jnp.asarray(LABELS)
    terms, w = several_by_hand(LOGITS, SEVERAL, 0), np.arange(15.0).reshape(5, 3)
    of_labels = score_of_logits(z, labels, weights=jnp.float32(w), targets=y)
    assert of_labels.loss == pytest.approx((w * terms).sum(), rel=1e-5)
    of_texts = score_of_logits(z, labels, weights=jnp.float32(w[:, 0]), targets=y)
    assert of_texts.loss == pytest.approx((w[:, :1] * terms).sum(), rel=1e-5)


def test_large_logits_of_several_labels_stay_finite():
    got = score_of_logits(jnp.float32([[1e4, -1e4]]), jnp.array([0]), targets=jnp.array([[False, True]]))
    assert got.loss == pytest.approx(2e4)
