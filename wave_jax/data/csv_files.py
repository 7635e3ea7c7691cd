"""Labelled rows, and the folders of CSV files that hold them.

This is the only reader of comma-separated values. It knows the line of every row.
"""

import csv
import gzip
import io
import itertools
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wave_jax.errors import DataError

__all__ = [
    "Rows",
    "class_names",
    "csv_file",
    "folder_classes",
    "is_number",
    "read_csv",
    "records",
]


_LONGEST = 2**24  # bytes of a row
_LIMIT = threading.Lock()  # held while the limit of a field is another one


class Rows(NamedTuple):
    """Texts with labels as they were written, and where each row is."""

    texts: list[str]
    values: list[str]
    where: Callable[[int], str]  # number of a row -> "train.csv, line 7"
    source: str
    first: int = 0  # the smallest integer label; 1 in a file without header


def is_number(value: str) -> bool:
    """Return whether a label is an integer as `str` writes it.

    >>> [is_number(v) for v in ("0", "12", "-1", "012", "x")]
    [True, True, False, False, False]
    """
    return re.fullmatch("0|[1-9][0-9]{0,8}", value) is not None


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


def folder_classes(folder: Path) -> tuple[str, ...] | None:
    """Read the names in a folder's labels.txt (or classes.txt, as Zhang et al. call it), if there is one."""
    for path in (folder / "labels.txt", folder / "classes.txt"):
        if path.is_file():
            with path.open("rb") as file:
                return class_names(list(_lines(file, path, [_LONGEST])), str(path))
    return None


def csv_file(folder: Path, part: str) -> Path | None:
    """Find the file of one split: part.csv or part.csv.gz; None if neither exists."""
    found = [path for path in (folder / f"{part}.csv", folder / f"{part}.csv.gz") if path.is_file()]
    if len(found) > 1:
        raise DataError(f"{folder} holds both {part}.csv and {part}.csv.gz: remove one of them.")
    return found[0] if found else None


def read_csv(path: Path) -> Rows:
    """Read the rows of one CSV file, with the header `label,text` or in the form of Zhang et al. (2015).

    That form has no header, a class number from 1 and then one or more texts, which are joined by a space.
    Whatever is not as it should be is an error: nothing is skipped.
    """
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        return _rows(records(file, path), path)


def _rows(found: Iterator[tuple[int, list[str]]], path: Path) -> Rows:
    """Check (line, fields) records and return them as rows."""
    _, head = next(found, (1, None))
    if head is None:
        raise DataError(f"{path}, line 1: the file is empty: give a header `label,text` and rows.")
    names = [name.strip() for name in head]
    headless = len(head) > 1 and is_number(names[0])
    if headless:
        found = itertools.chain([(1, head)], found)
    elif sorted(names) != ["label", "text"]:
        raise DataError(
            f"{path}, line 1: columns {', '.join(names)[:80]!r}: begin with the header `label,text`, or with"
            ' rows `"class from 1","title","text"`.'
        )
    at = 0 if headless else names.index("label")
    width, texts, values, lines = len(head), [], [], []
    for line, fields in found:
        if len(fields) != width:
            raise DataError(
                f"{path}, line {line}: {len(fields)} fields where {width} belong: put texts with commas,"
                " quotes or line breaks in double quotes (inner quotes doubled) and remove blank lines."
            )
        if fields == head and not headless:
            raise DataError(f"{path}, line {line}: the header is repeated: remove this line.")
        lines.append(line)
        values.append(fields.pop(at).strip())
        texts.append(" ".join(fields))
        if not values[-1]:
            raise DataError(f"{path}, line {line}: the label is empty: give one, or remove the row.")
    if not texts:
        raise DataError(f"{path}, line 2: there is a header but no row: add rows below it.")
    return Rows(texts, values, lambda row: f"{path}, line {lines[row]}", str(path), int(headless))


def records(file: io.BufferedIOBase, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield CSV records, each with the number of the line it begins on."""
    room = [_LONGEST]
    reader = csv.reader(_lines(file, path, room), strict=True)
    while True:
        line, room[0] = reader.line_num + 1, _LONGEST
        try:
            with _LIMIT:
                fields = _with_long_fields(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}, line {line}: not comma-separated values ({error}): put texts with commas, quotes or"
                " line breaks in double quotes, inner quotes doubled."
            ) from None
        yield line, fields


def _with_long_fields(reader: Iterator[list[str]]) -> list[str]:
    """Return the next record. The limit of a field is one of the whole process: it is put back at once."""
    limit = csv.field_size_limit(_LONGEST)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(limit)


def _lines(file: io.BufferedIOBase, path: Path, room: list[int]) -> Iterator[str]:
    """Yield decoded lines, cut at line feeds only, so that their count is that of an editor.

    `room[0]` is the number of bytes that may still come: a small gzip file can hold a line of gigabytes.
    """
    for line in itertools.count(1):
        try:
            raw = file.readline(room[0] + 1)
            room[0] -= len(raw)
            if room[0] < 0:
                message = f"a row of more than {_LONGEST:,} bytes: close its quotes, or cut its text"
                raise DataError(f"{path}, line {line}: {message}.")
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            message = f"byte {error.start + 1} is not UTF-8: save the file as UTF-8"
            raise DataError(f"{path}, line {line}: {message}.") from None
        except (OSError, EOFError, zlib.error) as error:
            message = f"the file is damaged or cut short ({error}): get or compress it again"
            raise DataError(f"{path}, line {line}: {message}.") from None
        if "\0" in text:
            raise DataError(
                f"{path}, line {line}: there is a NUL byte: remove it, or save the file as UTF-8."
            )
        if not text:
            return
        yield text
