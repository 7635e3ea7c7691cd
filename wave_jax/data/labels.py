"""Labels of any kind, as a caller has them: checked, ordered, as an array, and as JSON."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from wave_jax.errors import CheckpointError, DataError, first_few

__all__ = ["as_array", "as_list", "checked", "distinct", "from_json", "to_json", "with_new"]


def as_list(column: Iterable[Any]) -> list[Any]:
    """Return what a list, an array or a column of a table holds as a list.

    >>> as_list(np.array(["a", "b"]))
    ['a', 'b']
    """
    if isinstance(column, str | bytes):
        raise TypeError(f"A list is needed, got a single {type(column).__name__}: put it in a list.")
    if hasattr(column, "columns"):
        names = ", ".join(map(str, getattr(column, "column_names", column.columns)))  # pyright: ignore
        raise TypeError(f"A column is needed, got a table of {names:.80}: give one, as table['text'].")
    for name in ("tolist", "to_pylist", "to_list"):  # of NumPy and pandas, of pyarrow, of polars
        if hasattr(column, name):
            return getattr(column, name)()
    return list(column)


def checked(column: Iterable[Any]) -> list[Any]:
    """Return labels as Python's own objects; raise an error for what cannot be a label.

    >>> checked(np.array([1, 2]))
    [1, 2]
    """
    labels = [label.item() if isinstance(label, np.generic) else label for label in as_list(column)]
    for i, label in enumerate(labels):
        try:
            hash(label)
        except TypeError:
            raise TypeError(f"labels[{i}] is {label!r:.60}, which is not hashable: give it a name.") from None
        if not _equals_itself(label):
            raise ValueError(f"labels[{i}] is {label!r}, which is not even itself: leave its text out.")
    return labels


def _equals_itself(label: Any) -> bool:
    try:
        return bool(label == label)
    except TypeError:  # pandas.NA
        return False


def distinct(labels: Sequence[Any]) -> list[Any]:
    """Return the different labels: sorted if that has one meaning, else in the order of first appearance.

    >>> distinct(["b", "a", "b"]), distinct([("x", 2), ("x", 1)]), distinct([3, "a", None])
    (['a', 'b'], [('x', 1), ('x', 2)], [3, 'a', None])
    """
    different = list(dict.fromkeys(labels))
    if all(map(_has_one_order, different)):
        try:
            return sorted(different)
        except TypeError:  # strings beside numbers
            pass
    return different


def with_new(known: Sequence[Any], found: Sequence[Any], new: bool) -> list[Any]:
    """Return the known labels in their order, then the others that were found; a DataError unless asked for.

    Args:
      known: labels that a trained network knows.
      found: labels of the texts that it is trained on now.
      new: whether others are asked for.

    >>> with_new(["b", "a"], ["a", "c"], True)
    ['b', 'a', 'c']
    """
    if not known:
        raise DataError("new_classes is for a network that is started from: leave it out, or give start.")
    others = [label for label in found if label not in known]
    if others and not new:
        named = first_few([f"{label!r:.60}" for label in others])
        raise DataError(
            f"The network that training starts from does not know the class {named}:"
            " leave their texts out, or ask for new classes (--new-classes, new_classes=True)."
        )
    return [*known, *others]


def _has_one_order(label: Any) -> bool:
    """Return whether `<` orders such labels. For sets it does not: it says that one is part of the other."""
    if type(label) is tuple:
        return all(map(_has_one_order, label))
    return type(label) in (str, bytes, bool, int, float)


def as_array(labels: Sequence[Any]) -> np.ndarray:
    """Return labels as one array that gives them back as they were; of objects if no other does.

    >>> as_array([1, "a"])
    array([1, 'a'], dtype=object)
    """
    if len({type(label) for label in labels}) == 1 and type(labels[0]) in (str, bool, int, float):
        array = np.array(labels)
        if [(type(x), x) for x in array.tolist()] == [(type(x), x) for x in labels]:
            return array
    array = np.empty(len(labels), object)
    for i, label in enumerate(labels):  # all at once, NumPy would look into tuples
        array[i] = label
    return array


def to_json(label: Any) -> Any:
    """Return a label as JSON holds it, or raise an error if it would not come back as it was.

    >>> from_json(to_json(("a", 1)))
    ('a', 1)
    """
    if type(label) is tuple:
        return {"tuple": [to_json(part) for part in label]}
    fine = label is None or type(label) in (bool, int) or (type(label) is float and math.isfinite(label))
    if fine or (type(label) is str and label.encode(errors="ignore").decode() == label):
        return label
    raise CheckpointError(
        f"The label {label!r:.60} cannot be saved: use strings, numbers, None, or tuples of them as labels."
    )


def from_json(label: Any) -> Any:
    """Return the label that `to_json` wrote."""
    return tuple(map(from_json, label["tuple"])) if isinstance(label, dict) else label
