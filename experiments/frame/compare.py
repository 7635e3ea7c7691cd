"""Comparisons over seeds: means with intervals, differences, and verdicts that follow from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.frame.grid import Key, unpacked
from wave_jax.study import statistics

__all__ = ["against", "difference", "over_seeds", "verdict"]


def over_seeds(values: Sequence[float | np.floating], scale: float = 1.0, digits: int = 1) -> str:
    """Mean and half of its 95 % interval.

    >>> over_seeds([0.5, 0.5, 0.5], scale=100)
    '50.0 ± 0.0'
    """
    mean, _, half = statistics.interval([scale * value for value in values])
    return f"{mean:.{digits}f} ± {half:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}"


def against(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return whether ours are "more" or "less" than theirs, "same" if that is not significant.

    The values are of the seeds 0, 1, …; those that both have are compared. A difference is significant if its
    95 % interval leaves out 0. "one seed" has no interval.

    >>> against([0.5, 0.6, 0.5], [0.2, 0.2, 0.1]), against([0.5, 0.1], [0.3, 0.3]), against([1.0], [0.0])
    ('more', 'same', 'one seed')
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=False)]
    mean, _, half = statistics.interval(differences)
    if len(differences) == 1:
        return "one seed"
    return "more" if mean > half else "less" if -mean > half else "same"


def difference(runs: Sequence[Key], base: Sequence[Key], name: str) -> dict[str, Any]:
    """Compare one model's `test_accuracy` with another's, called `name`, seed by seed, in points of per cent.

    McNemar's test is on their packed `right`. A verdict needs both tests, thus two seeds or more.
    """
    pairs = list(zip(runs, base, strict=True))
    tests = [statistics.mcnemar(unpacked(a["right"]), unpacked(b["right"])) for a, b in pairs]
    points = [100 * (a["test_accuracy"] - b["test_accuracy"]) for a, b in pairs]
    mean, _, half = statistics.interval(points)
    p = np.median([test.p for test in tests])
    told = abs(mean) > half and p < 0.05
    return {
        "difference": over_seeds(points, digits=2),
        "only it": f"{np.mean([test.only_a for test in tests]):.0f}",
        f"only {name}": f"{np.mean([test.only_b for test in tests]):.0f}",
        "p": f"{p:.2g}",
        "verdict": ("better" if mean > 0 else "worse") if told else "not significant",
    }


def verdict(answers: Mapping[str, str], wanted: str) -> str:
    """Judge a claim by what `against` answers: all comparisons should be `wanted`.

    >>> verdict({"norm": "more", "spread": "same"}, "more")
    'mixed (1 of 2; more: norm; same: spread)'
    """
    where: dict[str, list[str]] = {}
    for name, answer in answers.items():
        where.setdefault(answer, []).append(name)
    if "one seed" in where:
        return "not yet measured (one seed has no interval)"
    said = "; ".join(f"{answer}: {', '.join(names)}" for answer, names in where.items())
    if wanted not in where:
        return f"does not hold ({said})"
    count = len(where[wanted])
    return f"holds ({said})" if len(where) == 1 else f"mixed ({count} of {len(answers)}; {said})"
