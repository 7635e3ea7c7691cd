"""Statistics over seeds and texts: intervals, a paired test, and exponents of growth."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Real

from wave_jax.study.measures import Numbers

__all__ = ["Interval", "McNemar", "exponent", "interval", "mcnemar"]


def exponent(sizes: Real[Numbers, " sizes"], costs: Real[Numbers, " sizes"]) -> float:
    """Fit p of cost ∝ sizeᵖ: the slope of ln cost along ln size, by least squares.

    >>> round(exponent(np.array([1, 2, 4]), np.array([3.0, 12.0, 48.0])), 6)
    2.0
    """
    x, y = np.asarray(sizes, float), np.asarray(costs, float)
    if len(set(x)) < 2 or min(*x, *y) <= 0:
        raise ValueError(f"exponent needs costs above 0 at two sizes or more, got {costs} at {sizes}.")
    x, y = np.log(x) - np.log(x).mean(), np.log(y)
    return float(x @ y / (x @ x))


class Interval(NamedTuple):
    mean: float
    std: float
    half: float


def interval(values: Sequence[float | np.floating] | np.ndarray, level: float = 0.95) -> Interval:
    """Mean, standard deviation (n - 1) and half the interval of the mean: t_{n-1, (1 + level)/2}·std/√n.

    `mean ± half` holds the true mean with probability `level`, if the values are normal (Student). One value
    says nothing of its spread: std is NaN and the interval has no end.

    >>> "{:.1f}, {:.1f}, {:.3f}".format(*interval([1.0, 2.0, 3.0]))
    '2.0, 1.0, 2.484'
    """
    numbers = [float(value) for value in values]
    n = len(numbers)
    if n == 0 or not 0 < level < 1:
        raise ValueError(f"interval needs values and a level between 0 and 1, got {n} values and {level}.")
    if n == 1:
        return Interval(numbers[0], math.nan, math.inf)
    from scipy.stats import t

    std = float(np.std(numbers, ddof=1))
    return Interval(float(np.mean(numbers)), std, float(t.ppf((1 + level) / 2, n - 1)) * std / math.sqrt(n))


class McNemar(NamedTuple):
    only_a: int
    """Texts that model a alone answered right."""
    only_b: int
    p: float


def mcnemar(right_a: Bool[Numbers, " texts"], right_b: Bool[Numbers, " texts"]) -> McNemar:
    """Apply McNemar's exact test to the texts that one model answers right and the other wrong.

    If neither is better, each such text is a toss: p = min(1, 2·Σ_{k ≤ min} C(m, k)/2^m for m of them is the
    probability of a difference as large as this or larger, either way.

    >>> a, b = np.array([1, 1, 1, 1, 1, 1, 0, 1]) > 0, np.array([0, 0, 0, 0, 0, 0, 0, 1]) > 0
    >>> mcnemar(a, b)
    McNemar(only_a=6, only_b=0, p=0.03125)
    """
    a, b = np.asarray(right_a), np.asarray(right_b)
    if a.shape != b.shape:
        raise ValueError(f"mcnemar compares answers to the same texts, got {len(a)} and {len(b)} of them.")
    from scipy.stats import binom

    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    tail = float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))
    return McNemar(only_a, only_b, min(1.0, 2 * tail))
