"""How much each text counts in the loss: by its own weight, and by the weight of its class."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wave_jax.data.splits import Split
from wave_jax.errors import DataError

__all__ = ["checked", "of_texts"]


def checked(weights: Any, texts: int) -> np.ndarray:
    """Return weights of texts as float64; raise a DataError unless each text has one that can be used.

    >>> checked([1, 3], 2)
    array([1., 3.])
    """
    try:
        found = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        raise DataError("Weights of texts are no numbers: give one finite number for each text.") from None
    if found.shape != (texts,):
        raise DataError(
            f"There are {texts:,} texts but weights of shape {found.shape}: give one for each text."
        )
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"The weight of text {row} is {found[row]}: weights are finite and not below 0.")
    if not found.any():
        raise DataError("All weights of texts are 0: give some of them a weight above 0.")
    return found


def of_texts(split: Split, classes: Sequence[str], rule: str | None) -> np.ndarray | None:
    """Return the weight of each text, with mean 1; None if all count alike.

    Args:
      split: the texts, with their own weights if they have any.
      classes: names of the classes.
      rule: `balanced`, by which all classes count alike; or weights by name, as `rare=3,common=0.5`, where
        classes that are not named count 1.

    >>> of_texts(Split(("a", "b", "c"), np.array([0, 0, 1], np.int32)), ["x", "y"], "balanced")
    array([0.75, 0.75, 1.5 ], dtype=float32)
    """
    if rule is None and split.weights is None:
        return None
    weights = np.ones(len(split)) if split.weights is None else split.weights.astype(np.float64)
    if rule == "balanced":
        counts = np.bincount(split.labels, weights, minlength=len(classes))
        weights = weights / np.maximum(counts, np.finfo(float).tiny)[split.labels]
    elif rule is not None:
        weights = weights * _by_name(rule, classes)[split.labels]
    if not weights.any():
        raise DataError("All weights of the training texts are 0: give some of them a weight above 0.")
    return (weights / weights.mean()).astype(np.float32)


def _by_name(rule: str, classes: Sequence[str]) -> np.ndarray:
    """Return the weight of each class by a rule of names."""
    names, weights = list(classes), np.ones(len(classes))
    for part in rule.split(","):
        name, _, number = part.rpartition("=")
        if name.strip() not in names:
            listed = ", ".join(names)[:80]
            raise DataError(f"class_weight has {part!r}: give balanced, or class=weight of {listed}.")
        weight = _number(number)
        if not (weight >= 0 and math.isfinite(weight)):
            raise DataError(f"class_weight has {part!r}: a weight is a finite number and not below 0.")
        weights[names.index(name.strip())] = weight
    return weights


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
