"""The threshold of several labels: none gives a higher micro-F1."""

import numpy as np
import pytest

from wave_jax.training.threshold import best_threshold


def micro_f1(shares, targets, threshold):
    answers = shares >= threshold
    return 2 * (answers & targets).sum() / (answers.sum() + targets.sum())


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_is_better(seed):
    draw = np.random.default_rng(seed)
    shares = np.round(draw.random((30, 4)), 1 + seed % 3).astype(np.float32)  # with equal ones among them
    targets = draw.random((30, 4)) < shares
    found = best_threshold(shares, targets)
    others = [micro_f1(shares, targets, threshold) for threshold in np.linspace(0, 1, 2001)]
    assert micro_f1(shares, targets, found) >= max(others)


def test_without_labels_it_is_a_half():
    assert best_threshold(np.float32([[0.2, 0.9]]), np.zeros((1, 2), bool)) == 0.5
    assert best_threshold(np.zeros((0, 3), np.float32), np.zeros((0, 3), bool)) == 0.5
