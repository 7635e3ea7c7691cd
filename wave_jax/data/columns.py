"""Texts and labels from the columns of a table, which are named or found by their usual names."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wave_jax.data import table_files
from wave_jax.data.rows import FIND, Columns, Rows
from wave_jax.data.table_files import Table
from wave_jax.errors import DataError

__all__ = ["LABELS", "TEXTS", "Where", "read", "text_column", "text_of"]

TEXTS = ("text", "texts", "sentence", "content", "review", "comment", "message", "question", "document")
TEXTS += ("body", "tweet", "post", "utterance", "query", "description", "title", "headline")
LABELS = ("label", "labels", "class", "category", "target", "sentiment", "topic", "intent", "tag", "rating")
"""Usual names of the columns, the first that is there wins; upper and lower case are the same."""

_log = logging.getLogger(__name__)


class Where(NamedTuple):
    """Where a row is: it is written, as "x.csv, line 7", only if something is wrong there."""

    path: Path
    unit: str
    place: int

    def __str__(self) -> str:
        return f"{self.path}, {self.unit} {self.place}"


def read(path: Path, columns: Columns = FIND) -> Rows:
    """Read the labelled rows of one file. Whatever is not as it should be is an error: nothing is skipped.

    Empty texts stay, and are counted in a warning.
    """
    texts, values, places = [], [], []
    with table_files.opened(path) as table:
        text, label = _places(table, columns, path)
        read_label = _labels_of if columns.several else _label_of
        names, unit = table.names, table.unit
        for place, fields in table.rows:
            where = Where(path, unit, place)
            values.append(read_label(fields[label], where))
            texts.append(" ".join(fields[1:]) if text is None else text_of(fields[text], where))
            places.append(place)
    if not texts:
        raise DataError(f"{path}, line 2: there is a header but no row: add rows below it.")
    empty = sum(not text.strip() for text in texts)
    if empty:
        _log.warning("%s: %s of %s texts are empty.", path, f"{empty:,}", f"{len(texts):,}")
    if not columns.several and (barred := next((value for value in values if "|" in value), None)):
        _log.info("%s: %r is the name of one class; --labels several reads it as several.", path, barred)
    named = (None, None) if text is None else (names[text], names[label])
    chosen = Columns(*named, columns.several)
    return Rows(
        texts, values, lambda row: f"{path}, {unit} {places[row]}", str(path), int(text is None), chosen
    )


def _places(table: Table, columns: Columns, path: Path) -> tuple[int | None, int]:
    """Return where texts and labels are in a row; None for texts that fill all other fields."""
    if not table.names:
        if columns.text or columns.label:
            raise DataError(
                f"{path} has no header, and no column has a name: leave the names of columns out."
            )
        return None, 0
    text = _found(table.names, columns.text, TEXTS)
    label = _found(table.names, columns.label, LABELS)
    if len(table.names) == 2 and text is None and label is not None and columns.text is None:
        text = 1 - label  # the one that is left
    elif len(table.names) == 2 and label is None and text is not None and columns.label is None:
        label = 1 - text
    for what, place, name in (("text", text, columns.text), ("label", label, columns.label)):
        if place is None:
            raise _missing(table.names, what, name, path)
    assert text is not None
    assert label is not None
    if text == label:
        raise DataError(f"{path}: column {table.names[text]!r} cannot hold both texts and labels: name two.")
    _say(table.names, text, label, columns, path)
    return text, label


def _say(names: Sequence[str], text: int, label: int, columns: Columns, path: Path) -> None:
    """Say what was found that nobody named, unless the names say it."""
    found = names[text], names[label]
    if not (columns.text and columns.label) and found != ("text", "label"):
        _log.info("%s: texts are in column %r, labels in column %r.", path, *found)


def text_column(table: Table, name: str | None, path: Path) -> int:
    """Return the place of the column of texts in a table that need not have labels."""
    place = _found(table.names, name, TEXTS)
    if place is None and name is None and len(table.names) == 1:
        place = 0
    if place is None:
        raise _missing(table.names, "text", name, path)
    if name is None and table.names[place] != "text":
        _log.info("%s: texts are in column %r.", path, table.names[place])
    return place


def _found(names: Sequence[str], given: str | None, usual: Sequence[str]) -> int | None:
    """Return the place of a column: of the one given, else of the first usual name.

    >>> _found(("id", "Text", "label"), None, TEXTS), _found(("id", "Text"), "ID", TEXTS)
    (1, 0)
    """
    lower = [name.strip().casefold() for name in names]
    if given in names:
        lower, wanted = list(names), [given]
    else:
        wanted = usual if given is None else [given.strip().casefold()]
    name = next((name for name in wanted if name in lower), None)
    if name is None:
        return None
    if lower.count(name) > 1:
        raise DataError(f"Two columns are named {name!r}: rename one of {', '.join(names)[:80]}.")
    return lower.index(name)


def _missing(names: Sequence[str], what: str, given: str | None, path: Path) -> DataError:
    listed = ", ".join(names)[:200]
    option = f"--{what}-column or {what}_column="
    if given is not None:
        return DataError(f"{path}: there is no column {given!r}: name one of {listed} ({option}).")
    return DataError(
        f"{path}, line 1: none of the columns {listed} is known to hold {what}s: name it ({option})."
    )


def text_of(field: Any, where: Where) -> str:
    """Return a field as a text; an empty one if there is none."""
    if isinstance(field, str) and (field.isascii() or field.encode(errors="ignore").decode() == field):
        return field
    if field is None or field != field:
        return ""
    raise DataError(f"{where}: the text is {field!r:.40}, no text that UTF-8 can hold: name another column.")


def _label_of(field: Any, where: Where) -> str:
    """Return a label as it is written."""
    if isinstance(field, list | tuple):
        if len(field) > 1:
            raise DataError(
                f"{where}: {len(field)} labels, where one belongs: leave one of them, or read several"
                " (--labels several)."
            )
        field = field[0] if field else ""
    label = "" if field is None or field != field else str(field).strip()
    if not label:
        raise DataError(f"{where}: the label is empty: give the row a label, or remove it.")
    return label


def _labels_of(field: Any, where: Where) -> tuple[str, ...]:
    """Return the labels in a field, none if it is empty: those of a list, or those between bars.

    >>> where = Where(Path("x.csv"), "line", 2)
    >>> _labels_of("a | b", where), _labels_of(["a|b"], where), _labels_of(None, where)
    (('a', 'b'), ('a|b',), ())
    """
    if field is None or field != field or (isinstance(field, str) and not field.strip()):
        return ()
    parts = field if isinstance(field, list | tuple) else str(field).split("|")
    return tuple(dict.fromkeys(_label_of(part, where) for part in parts))
