"""Rows to text: Markdown for a page, CSV for a program, aligned columns for a terminal.

A row is a dict or a NamedTuple; the columns are those of all rows, in the order of their first appearance,
and a cell that a row lacks, or None, stays empty. Strings stay as they are, numbers as `number` writes
them; CSV alone keeps every digit.
"""

import bisect
import csv as _csv
import io
import itertools
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["csv", "escaped", "markdown", "number", "plain", "printable"]

Row = Mapping[str, object] | tuple  # a tuple with names

# `code`, which stays, or what Markdown would read as more than a character.
_MARKS = re.compile(r"(`[^`|]+`)|[\\`*|<&\[\]~]|(?<!\w)_|_(?!\w)")
_LEAST = 6  # places that a column keeps in a narrow terminal


def number(value: object) -> str:
    """Write a number for reading: whole ones in full, others with three digits or four.

    >>> [number(x) for x in (2026, 25_807_108, 0.954, 0.003, 2e-5, 12.3456, 86_400.5, math.nan, True, None)]
    ['2026', '25,807,108', '0.9540', '0.003', '2e-05', '12.35', '86,400', 'nan', 'yes', '']
    """
    value = _native(value)
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if not isinstance(value, float) or value == 0 or not math.isfinite(value):
        return f"{value:g}" if isinstance(value, float) else str(value)
    size = abs(value)
    form = ".3g" if not 0.01 <= size < 1e9 else ".4f" if size < 1 else "#.4g" if size < 1000 else ",.0f"
    return format(value, form)


def markdown(rows: Sequence[Row]) -> str:
    """Write a Markdown table, numbers to the right. Cells are text or `code`: other marks are escaped.

    >>> print(markdown([{"model": "wave", "accuracy": 0.95}, {"model": "a|b", "accuracy": 1.0}]))
    | model | accuracy |
    | --- | ---: |
    | wave | 0.9500 |
    | a\\|b | 1.000 |
    """
    names, cells, right = _columns(rows)
    rules = ["---:" if r else "---" for r in right]
    head, *body = [[escaped(cell) for cell in line] for line in [names, *cells]]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rules, *body] if line)


def csv(rows: Sequence[Row]) -> str:
    """Write comma-separated values with a header line, every digit kept.

    >>> csv([{"text": 'say "oil", twice', "share": 1 / 3}])
    'text,share\\n"say ""oil"", twice",0.3333333333333333\\n'
    """
    names, table = _read(rows)
    out = io.StringIO()
    if names:
        writer = _csv.writer(out, lineterminator="\n")
        writer.writerows([names, *([_native(row.get(name)) for name in names] for row in table)])
    return out.getvalue()


def plain(rows: Sequence[Row], width: int = 80) -> str:
    """Write aligned columns for a terminal of `width` characters; the widest columns of text are cut to fit.

    >>> print(plain([{"model": "wave", "accuracy": 0.95}, {"model": "a bag of words", "accuracy": 0.8}], 20))
    model       accuracy
    ----------  --------
    wave          0.9500
    a bag of…     0.8000
    """
    names, cells, right = _columns(rows)
    lines = [[printable(cell) for cell in line] for line in [names, *cells]]
    sizes = [max(_places(cell)[-1] for cell in column) for column in zip(*lines, strict=True)]
    texts = [size for size, r in zip(sizes, right, strict=True) if not r]
    room = width - 2 * (len(sizes) - 1) - (sum(sizes) - sum(texts))
    fits = (most for most in range(width, _LEAST, -1) if sum(min(size, most) for size in texts) <= room)
    most = next(fits, _LEAST)
    sizes = [size if r else min(size, most) for size, r in zip(sizes, right, strict=True)]
    lines.insert(1, ["-" * size for size in sizes])
    fitted = [[_fit(*cell) for cell in zip(line, sizes, right, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in fitted if line)


def _read(rows: Sequence[Row]) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Return the names of all columns, and the rows as mappings."""
    table: list[Any] = [row._asdict() if isinstance(row, tuple) else row for row in rows]  # pyright: ignore
    return list(dict.fromkeys(name for row in table for name in row)), table


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[list[str]], list[bool]]:
    """Return names, cells, and which columns hold numbers alone."""
    names, table = _read(rows)
    cells = [[number(row.get(name)) for name in names] for row in table]
    values = [[_native(row[name]) for row in table if row.get(name) is not None] for name in names]
    return names, cells, [not any(isinstance(value, str) for value in column) for column in values]


def _native(value: Any) -> Any:
    """Return Python's own number for NumPy's and JAX's."""
    return value.item() if getattr(value, "shape", None) == () else value


def escaped(cell: str) -> str:
    """Put a text on one line of Markdown, where it shows as it is: nothing in it is a mark, but `code`."""
    return _MARKS.sub(lambda found: found[1] or f"\\{found[0]}", " ".join(cell.split()))


def printable(cell: str) -> str:
    """Put a cell on one line, without anything that moves a terminal's cursor."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(cell.split()))


def _places(cell: str) -> list[int]:
    """Return the columns taken up to each character: East Asian ones and most emoji take two."""
    wide = ((unicodedata.east_asian_width(c) in "WF") + (not unicodedata.combining(c)) for c in cell)
    return list(itertools.accumulate(wide, initial=0))


def _fit(cell: str, size: int, right: bool) -> str:
    places = _places(cell)
    if places[-1] > size:
        cell = cell[: bisect.bisect_right(places, size - 1) - 1].rstrip() + "…"
    space = " " * (size - _places(cell)[-1])
    return space + cell if right else cell + space
