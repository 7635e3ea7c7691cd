"""The temperature is the minimum of what maths.md writes, found another way; calibration error by a loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from wave_jax.training.temperature import calibration_error, fitted, log_loss


def drawn(n, c, truth, seed=0):
    """Logits whose labels are drawn from softmax(z / truth)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, c)) * 3
    p = np.exp(z / truth) / np.exp(z / truth).sum(axis=-1, keepdims=True)
    return z, np.array([rng.choice(c, p=row) for row in p])


def loss_with_one_more_text(z, labels, T):
    """The mean log loss over the texts and one more, whose logits and labels are all of theirs, by loops."""
    n, c = z.shape
    total = 0.0
    for row, label in zip(z, labels, strict=True):
        log_p = row / T - np.log(sum(np.exp(x / T) for x in row))
        total += n / (n + 1) * -log_p[label] + 1 / (n + 1) * -sum(log_p) / c
    return total / n


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_it_is_the_minimum_and_finds_the_temperature_that_labels_were_drawn_with(truth):
    z, labels = drawn(4000, 5, truth)
    T = fitted(z, labels)
    np.testing.assert_allclose(T, truth, rtol=0.1)
    some = z[:300], labels[:300]
    scan = minimize_scalar(
        lambda log_T: loss_with_one_more_text(*some, np.exp(log_T)), bounds=(-4, 4), method="bounded"
    )
    assert fitted(*some) == pytest.approx(np.exp(scan.x), rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-30, 30), st.floats(0.2, 5))
def test_a_shift_changes_nothing_and_a_factor_is_the_temperatures(seed, shift, factor):
    z, labels = drawn(40, 3, 1.0, seed)
    T = fitted(z, labels)
    assert fitted(z + shift, labels) == pytest.approx(T, rel=1e-6)
    if 0.1 < T < 8:  # within its bounds
        assert fitted(z * factor, labels) == pytest.approx(T * factor, rel=1e-6)


@pytest.mark.parametrize(("right", "bound"), [(True, 1.0), (False, 64.0)])
def test_it_stays_finite_where_all_answers_are_right_or_wrong(right, bound):
    z = np.array([[5.0, 0.0]] * 100, np.float32)
    T = fitted(z, np.full(100, 0 if right else 1))
    assert 0.5 < T <= bound + 1e-9
    assert np.isfinite(log_loss(z / T, np.zeros(100, int)))


def test_after_it_probabilities_are_as_sure_as_answers_are_right_and_answers_the_same():
    z, labels = drawn(4000, 5, 2.5, seed=1)
    T = fitted(z, labels)
    assert log_loss(z / T, labels) < log_loss(z, labels)
    assert calibration_error(z / T, labels) < 0.03 < 0.1 < calibration_error(z, labels)
    assert np.array_equal((z / T).argmax(-1), z.argmax(-1))


def test_calibration_error_by_a_loop():
    z, labels = drawn(500, 4, 2.0)
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    total = 0.0
    for k in range(15):
        inside = [
            i for i in range(500) if k / 15 <= p[i].max() < (k + 1) / 15 or (k == 14 and p[i].max() == 1)
        ]
        if inside:
            accuracy = np.mean([p[i].argmax() == labels[i] for i in inside])
            total += len(inside) / 500 * abs(accuracy - np.mean([p[i].max() for i in inside]))
    assert calibration_error(z, labels) == pytest.approx(total, abs=1e-12)


def test_log_loss_is_sklearns():
    from sklearn.metrics import log_loss as theirs

    z, labels = drawn(200, 4, 1.0)
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    assert log_loss(z, labels) == pytest.approx(theirs(labels, p, labels=range(4)))
    assert np.isfinite(log_loss(np.array([[1e4, 0.0]]), np.array([1])))
