"""How much each text counts in the loss: by its own weight, and by the weight of its class."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wave_jax.data.splits import Split
from wave_jax.data.targets import is_several
from wave_jax.errors import DataError

__all__ = ["checked", "log_odds", "of_texts"]


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
    """Return the weight of each text, (texts,), with mean 1; None if all count alike.

    A text with probabilities for labels has the weight of its classes by them. With several labels a weight
    is that of having a label, (texts, c): `balanced` has the texts with a label count as much as those
    without it, as one regression for each label against the rest does.

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
    if rule is not None and is_several(split.targets):
        weights = _of_labels(split, weights, classes, rule)
    elif rule is not None:
        weights = weights * _of_classes(split, weights, classes, rule)
    if not weights.any():
        raise DataError("All weights of the training texts are 0: give some of them a weight above 0.")
    return (weights / weights.mean()).astype(np.float32)


def log_odds(targets: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the log-odds of each label, log(texts with it / texts without it), half a text added to both.

    Args:
      targets: several labels a text, (texts, c).
      weights: of the texts, (texts,), or of their labels, (texts, c); all alike if not given.

    >>> log_odds(np.array([[1, 1], [0, 1], [0, 1], [0, 1]], bool)).round(2)
    array([-0.85,  2.2 ], dtype=float32)
    """
    w = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
    w = w if w.ndim == 2 else w[:, None]
    having, without = (w * targets).sum(axis=0), (w * ~targets).sum(axis=0)
    return np.log((having + 0.5) / (without + 0.5)).astype(np.float32)


def _of_classes(split: Split, weights: np.ndarray, classes: Sequence[str], rule: str) -> np.ndarray:
    """Return the weight that each text's class gives it; by its probabilities, if it has some."""
    targets = split.targets
    if rule != "balanced":
        by_class = _by_name(rule, classes)
    else:
        c = len(classes)
        counts = np.bincount(split.labels, weights, minlength=c) if targets is None else weights @ targets
        by_class = 1 / np.maximum(counts, np.finfo(float).tiny)
    return by_class[split.labels] if targets is None else targets @ by_class


def _of_labels(split: Split, weights: np.ndarray, classes: Sequence[str], rule: str) -> np.ndarray:
    """Return the weight of each label of each text: its class's if the text has it, else the text's own."""
    assert split.targets is not None
    if rule == "balanced":
        having = weights @ split.targets
        by_class = np.divide(weights.sum() - having, having, out=np.ones_like(having), where=having > 0)
    else:
        by_class = _by_name(rule, classes)
    return weights[:, None] * np.where(split.targets, by_class, 1.0)


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
