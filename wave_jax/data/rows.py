"""Labelled rows as they were written, and the names of their classes."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wave_jax.errors import DataError

__all__ = ["FIND", "Columns", "Rows", "class_names", "is_number", "joined_rows", "one_each"]


class Columns(NamedTuple):
    """The columns of a table that hold texts and labels; None for those that are to be found."""

    text: str | None = None
    label: str | None = None
    several: bool = False
    """Whether a text has any number of labels: a|b in one field, or a list; by default all of it is one."""


FIND = Columns()


class Rows(NamedTuple):
    """Texts with labels as they were written, and where each row is."""

    texts: list[str]
    values: list[Any]  # a string each; a tuple of strings where a text has several labels
    where: Callable[[int], str]  # number of a row -> "train.csv, line 7"
    source: str
    first: int = 0  # the smallest integer label; 1 in a file without header
    columns: Columns = FIND
    """The columns that were read, if the rows came from a table."""
    weights: np.ndarray | None = None
    """How much each text counts in the loss; all alike if not given."""


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """Join the rows of several files, at least one, to one.

    >>> part = Rows(["a"], ["x"], "file, row {}".format, "file")
    >>> joined_rows([part, part]).where(1)
    'file, row 0'
    """
    if len(parts) == 1:
        return parts[0]
    places = [(part, row) for part in parts for row in range(len(part.texts))]

    def where(row: int) -> str:
        part, at = places[row]
        return part.where(at)

    return parts[0]._replace(
        texts=[text for part in parts for text in part.texts],
        values=[value for part in parts for value in part.values],
        where=where,
    )


def one_each(rows: Rows) -> tuple[Rows, list[int]]:
    """Return a row for each label of texts that have several, and the row that each of them comes from.

    >>> rows, places = one_each(Rows(["x", "y"], [("a", "b"), ()], "line {}".format, "file"))
    >>> rows.values, places
    (['a', 'b'], [0, 0])
    """
    places = [row for row, names in enumerate(rows.values) for _ in names]
    values = [name for names in rows.values for name in names]
    texts = [rows.texts[row] for row in places]
    return rows._replace(texts=texts, values=values, where=lambda i: rows.where(places[i])), places


def is_number(value: str) -> bool:
    """Return whether a label is an integer as `str` writes it.

    >>> [is_number(v) for v in ("0", "12", "-1", "012", "x")]
    [True, True, True, False, False]
    """
    return re.fullmatch("0|-?[1-9][0-9]{0,8}", value) is not None


def class_names(names: Sequence[str], source: str) -> tuple[str, ...]:
    """Check names of classes; raise a DataError if one is empty or repeated.

    >>> class_names(["no ", "yes"], "labels.txt")
    ('no', 'yes')
    """
    stripped, known = tuple(name.strip() for name in names), set[str]()
    if not stripped:
        raise DataError(f"{source} is empty: list the names of the classes, in the order of their numbers.")
    for line, name in enumerate(stripped, 1):
        if not name or name in known:
            raise DataError(f"{source}, line {line}: class {name!r} is empty or a duplicate: correct it.")
        known.add(name)
    return stripped
