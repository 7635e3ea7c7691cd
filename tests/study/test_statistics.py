"""Intervals, a paired test and exponents against second derivations."""

import itertools
import math
import statistics

import numpy as np
import pytest

from wave_jax.study.statistics import exponent, interval, mcnemar

rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("n", "t"), [(2, 12.7062), (3, 4.30265), (5, 2.77645), (10, 2.26216)]
)  # tables of Student's t
def test_interval_is_students(n, t):
    values = rng.normal(size=n).tolist()
    got = interval(values)
    assert got.mean == pytest.approx(statistics.fmean(values))
    assert got.std == pytest.approx(statistics.stdev(values))
    assert got.half == pytest.approx(t * statistics.stdev(values) / math.sqrt(n), rel=1e-5)


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    inside = [abs(i.mean) <= i.half for i in map(interval, np.random.default_rng(1).normal(size=(2000, 5)))]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_one_value_has_no_interval_and_none_is_refused():
    got = interval([0.9])
    assert (got.mean, got.half) == (0.9, math.inf)
    assert math.isnan(got.std)
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.0, 0.0)
    with pytest.raises(ValueError, match="interval needs values"):
        interval([])


def test_mcnemar_counts_all_outcomes():
    """Against every one of the 2^m ways in which m tosses can fall."""
    for m, wins in ((0, 0), (1, 0), (5, 1), (6, 3), (9, 8)):
        a = np.array([True] * wins + [False] * (m - wins) + [True, False])
        b = np.array([False] * wins + [True] * (m - wins) + [True, False])
        falls = [sum(tosses) for tosses in itertools.product((0, 1), repeat=m)]
        extreme = sum(abs(2 * heads - m) >= abs(2 * wins - m) for heads in falls) / 2**m
        assert mcnemar(a, b)[:2] == (wins, m - wins)
        assert mcnemar(a, b).p == pytest.approx(extreme)
        assert mcnemar(b, a).p == pytest.approx(extreme)


def test_an_exponent_is_the_slope_of_the_logarithms():
    sizes, costs = np.exp(np.random.default_rng(0).normal(size=(2, 6)))
    slope, _ = np.polyfit(np.log(sizes), np.log(costs), 1)
    assert exponent(sizes, costs) == pytest.approx(slope)
    for bad in (([1.0, 2.0], [0.0, 1.0]), ([2.0, 2.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="exponent needs costs above 0 at two sizes"):
            exponent(*np.array(bad))
