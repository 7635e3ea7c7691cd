"""Comma- and tab-separated records, which know the line that they begin on.

This is the only reader of separated values.
"""

import csv
import io
import itertools
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from wave_jax.errors import DataError

__all__ = ["lines", "records"]


_LONGEST = 2**24  # bytes of a row
_LIMIT = threading.Lock()  # held while the limit of a field is another one


def records(
    file: io.BufferedIOBase, path: Path, delimiter: str | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield separated values, each record with the number of the line it begins on.

    Without a delimiter the first line decides: commas, or if it has none semicolons, or tabs.

    >>> list(records(io.BytesIO(b'a;"b\\nc"\\nd;e'), Path("x.csv")))
    [(1, ['a', 'b\\nc']), (3, ['d', 'e'])]
    """
    room = [_LONGEST]
    found = _lines(file, path, room)
    first = next(found, "")
    delimiter = delimiter or next((mark for mark in ",;\t" if mark in first), ",")
    what = "tab" if delimiter == "\t" else "comma"
    reader = csv.reader(itertools.chain([first] * bool(first), found), strict=True, delimiter=delimiter)
    while True:
        line, room[0] = reader.line_num + 1, _LONGEST
        try:
            with _LIMIT:
                fields = _with_long_fields(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}, line {line}: not {what}-separated values ({error}): put texts with commas, quotes"
                " or line breaks in double quotes, inner quotes doubled."
            ) from None
        yield line, fields


def _with_long_fields(reader: Iterator[list[str]]) -> list[str]:
    """Return the next record. The limit of a field is one of the whole process: it is put back at once."""
    limit = csv.field_size_limit(_LONGEST)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(limit)


def lines(file: io.BufferedIOBase, path: Path) -> Iterator[str]:
    """Yield decoded lines, cut at line feeds only, so that their count is that of an editor."""
    room = [_LONGEST]
    for line in _lines(file, path, room):
        room[0] = _LONGEST
        yield line


def _lines(file: io.BufferedIOBase, path: Path, room: list[int]) -> Iterator[str]:
    """Yield lines; `room[0]` bytes may still come, for a small gzip file can hold a line of gigabytes."""
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
