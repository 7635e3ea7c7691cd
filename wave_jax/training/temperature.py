"""One number that makes probabilities as sure as the answers are right: the temperature of the softmax.

docs/maths.md, "A temperature", has the formulas. NumPy alone, in float64.
"""

import math

import numpy as np
from jaxtyping import Float, Int

__all__ = ["calibration_error", "fitted", "log_loss"]

_COLDEST, _HOTTEST, _HALVINGS = 1 / 64, 64.0, 50


def fitted(logits: Float[np.ndarray, "texts c"], labels: Int[np.ndarray, " texts"]) -> float:
    """Return the T of the least log loss of softmax(z/T), where one more text of each kind has no label.

    That text, spread over all classes, keeps T above 0 if every answer is right.

    >>> z = np.array([[2.0, -2.0]] * 9 + [[-2.0, 2.0]])  # sure of 98 %, right in 90 %
    >>> round(fitted(z, np.zeros(10, int)), 1)
    2.2
    """
    z = logits.astype(np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    share = 1 / (len(z) + 1)
    of_labels = (1 - share) * _of(z, labels).mean() + share * z.mean()

    def slope(beta: float) -> float:
        return float((_softmax(beta * z) * z).sum(axis=-1).mean() - of_labels)

    low, high = -math.log(_HOTTEST), -math.log(_COLDEST)  # of log β, β = 1/T: the loss is convex in β
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(math.exp(middle)) < 0 else (low, middle)
    return math.exp(-(low + high) / 2)


def log_loss(logits: Float[np.ndarray, "texts c"], labels: Int[np.ndarray, " texts"]) -> float:
    """Return the mean of -log p of the labels.

    >>> round(log_loss(np.zeros((3, 2)), np.array([0, 1, 1])), 4)
    0.6931
    """
    z = logits.astype(np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=-1)) - _of(z, labels)).mean())


def calibration_error(
    logits: Float[np.ndarray, "texts c"], labels: Int[np.ndarray, " texts"], bins: int = 15
) -> float:
    """Return the expected calibration error: how far answers are right less or more often than they are sure.

    Answers are put into `bins` equally wide intervals by their probability. Each counts as often as it has
    texts, with the distance of its accuracy from its mean probability.

    >>> round(calibration_error(np.log([[0.9, 0.1]] * 10), np.array([0] * 8 + [1] * 2)), 2)
    0.1
    """
    p = _softmax(logits.astype(np.float64))
    sure, right = p.max(axis=-1), p.argmax(axis=-1) == labels
    of_bin = np.minimum((sure * bins).astype(int), bins - 1)
    distance = np.bincount(of_bin, right, bins) - np.bincount(of_bin, sure, bins)
    return float(np.abs(distance).sum() / len(labels))


def _of(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.take_along_axis(z, labels[:, None].astype(np.int64), axis=-1)[:, 0]


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
