"""What a network is to answer: texts and labels as a caller has them, as texts and numbers of classes."""

from collections.abc import Iterable, Mapping
from typing import Any

from wave_jax.data import labels as label_column

__all__ = ["check_texts", "columns", "numbered", "rule_of"]


def columns(texts: Iterable[Any], labels: Iterable[Any]) -> tuple[list[str], list[Any]]:
    """Return texts and labels as lists of one length."""
    plain, given = label_column.as_list(texts), label_column.checked(labels)
    if len(plain) != len(given):
        raise ValueError(f"There are {len(plain)} texts but {len(given)} labels.")
    check_texts(plain)
    return plain, given


def numbered(valid: tuple[Iterable[Any], Iterable[Any]], number: Mapping[Any, int]) -> tuple[Any, Any]:
    """Return validation texts with the numbers of their labels."""
    texts, labels = columns(*valid)
    new = next((label for label in labels if label not in number), None)
    if new is not None:
        raise ValueError(f"valid has the label {new!r:.60}, which no training text has: leave its texts out.")
    return texts, [number[label] for label in labels]


def rule_of(weights: Mapping[Any, Any], number: Mapping[Any, int]) -> str | None:
    """Return weights of labels as `TrainConfig.class_weight`, which knows classes by their numbers.

    >>> rule_of({"rare": 3}, {"common": 0, "rare": 1})
    '1=3.0'
    """
    new = next((label for label in weights if label not in number), None)
    if new is not None:
        raise ValueError(f"class_weight has {new!r:.60}, which is none of the labels {list(number)!r:.80}.")
    return ",".join(f"{number[label]}={float(weight)}" for label, weight in weights.items()) or None


def check_texts(texts: list[Any]) -> None:
    """Raise a TypeError unless all of them are strings."""
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}: {text!r:.60}.")
