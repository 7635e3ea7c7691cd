"""Tables in files: CSV, TSV, JSON lines, Parquet and fastText's lines, plain or gzipped."""

import gzip
import io
import itertools
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from wave_jax.data import csv_files
from wave_jax.data.rows import is_number
from wave_jax.disk import open_regular
from wave_jax.errors import DataError, one_line

__all__ = ["FORMATS", "Table", "kind_of", "opened"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "fasttext",
}
"""What the end of a file's name says about its content; `.gz` may follow."""
_UNPACKED = 2**30  # bytes of a Parquet file that is gzipped
_AT_ONCE = 2**28  # bytes of the rows of Parquet that are made Python's at once
MARK = "__label__"  # in front of each label of a line in fastText's form


class Table(NamedTuple):
    """The rows of a file, read as they are asked for."""

    names: tuple[str, ...]
    """Names of the columns; none in the form of Zhang et al. (2015): a class from 1, then texts."""
    rows: Iterator[tuple[int, Sequence[Any]]]
    """The line that each row begins on, and its fields."""
    unit: str = "line"
    """What a row is found by in the file: its line from 1, or in Parquet its number from 0."""
    schema: Any = None
    """Types of the columns, as pyarrow has them, if it is a Parquet file."""


def kind_of(path: Path) -> str | None:
    """Return the form of a file: csv, json, parquet or fasttext; None if it is no table.

    >>> kind_of(Path("train.csv.gz")), kind_of(Path("notes.md"))
    ('csv', None)
    """
    kind = FORMATS.get(Path(path.name.removesuffix(".gz")).suffix.lower())
    if kind in (None, "fasttext"):  # any name will do for lines that begin with a label
        return "fasttext" if _begins_with_a_label(path) else None
    return kind


def _begins_with_a_label(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with _bytes_of(path) as file:
            return file.read(len(MARK)) == MARK.encode()
    except (OSError, EOFError):
        return False


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """Open the table in a file for as long as the `with` block lasts."""
    kind = kind_of(path)
    if kind is None:
        ends = ", ".join(FORMATS)
        raise DataError(f"{path} is no table: its name must end in {ends}, or .gz after them.")
    with _bytes_of(path) as file:
        if kind == "parquet":
            yield _parquet(file, path)
        else:
            yield {"csv": _csv, "json": _json, "fasttext": _fasttext}[kind](file, path)


@contextmanager
def _bytes_of(path: Path) -> Iterator[Any]:
    """Open a file, unpacked if it is gzipped; raise an OSError for what is no file."""
    with open_regular(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked, io.BufferedReader(unpacked) as buffered:
            yield buffered  # whose lines cost a tenth


def _csv(file: Any, path: Path) -> Table:
    """Read separated values."""
    tabbed = path.name.removesuffix(".gz").lower().endswith(".tsv")
    rows = csv_files.records(file, path, "\t" if tabbed else None)
    _, head = next(rows, (1, None))
    if head is None:
        raise DataError(f"{path}, line 1: the file is empty: give a header `label,text` and rows.")
    names = tuple(name.strip() for name in head)
    headless = len(head) > 1 and is_number(names[0])
    if headless:
        rows = itertools.chain([(1, head)], rows)
    return Table(() if headless else names, _alike(rows, head, headless, path))


def _alike(
    rows: Iterator[tuple[int, list[str]]], head: list[str], headless: bool, path: Path
) -> Iterator[tuple[int, Any]]:
    """Yield rows that are as wide as the head and do not repeat it."""
    for line, fields in rows:
        if fields == head and not headless:
            raise DataError(f"{path}, line {line}: the header is repeated: remove this line.")
        if len(fields) != len(head):
            raise DataError(
                f"{path}, line {line}: {len(fields)} fields where {len(head)} belong: put texts with commas,"
                " quotes or line breaks in double quotes (inner quotes doubled) and remove blank lines."
            )
        yield line, fields


def _json(file: Any, path: Path) -> Table:
    """Read one JSON object a line; the first one names the columns."""
    found = enumerate(csv_files.lines(file, path), 1)
    line, first = next(found, (1, None))
    if first is None:
        raise DataError(f"{path}, line 1: the file is empty: give one JSON object a line.")
    names = tuple(_object(first, path, line))
    objects = itertools.chain([(line, first)], found)
    filled = ((line, _object(text, path, line)) for line, text in objects)
    return Table(names, ((line, [row.get(name) for name in names]) for line, row in filled))


def _object(text: str, path: Path, line: int) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        found = error
    except RecursionError:
        found = ValueError("it is nested too deep")
    if not isinstance(found, dict):
        what = f" ({found})" if isinstance(found, ValueError) else ""
        raise DataError(
            f"{path}, line {line}: no JSON object{what}: write one object a line, as {{"
            '"label": "x", "text": "y"}.'
        )
    return found


def _fasttext(file: Any, path: Path) -> Table:
    """Read lines of labels, each with `__label__` in front, and a text."""
    return Table(("label", "text"), _labelled_lines(csv_files.lines(file, path), path))


def _labelled_lines(found: Iterator[str], path: Path) -> Iterator[tuple[int, Any]]:
    for line, text in enumerate(found, 1):
        words = text.split()
        count = sum(1 for _ in itertools.takewhile(lambda word: word.startswith(MARK), words))
        if count == 0:
            raise DataError(f"{path}, line {line}: no label: begin each line with {MARK} and its label.")
        left = text.split(None, count)
        yield line, ([word.removeprefix(MARK) for word in words[:count]], "".join(left[count:]).rstrip())


def _parquet(file: Any, path: Path) -> Table:
    """Read a Parquet file, a group of rows at a time."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"{path} needs pyarrow: pip install 'wave_jax[parquet]', or write the table as CSV or JSON lines."
        ) from None
    try:
        whole = pyarrow.parquet.ParquetFile(_unpacked(file) if path.suffix == ".gz" else file)
        schema = whole.schema_arrow
        return Table(tuple(schema.names), _rows_of(whole, path), "row", schema)
    except (OSError, EOFError, zlib.error, pyarrow.ArrowException) as error:
        raise _damaged(path, error) from None


def _unpacked(file: Any) -> io.BytesIO:
    """Unpack a gzipped file as a whole, which Parquet is read from; a small file can hold terabytes."""
    content = file.read(_UNPACKED + 1)
    if len(content) > _UNPACKED:
        raise OSError(f"more than {_UNPACKED:,} bytes when unpacked: leave out .gz")
    return io.BytesIO(content)


def _rows_of(whole: Any, path: Path) -> Iterator[tuple[int, Any]]:
    done = 0
    try:
        for batch in whole.iter_batches(4096):
            if batch.nbytes > _AT_ONCE:
                raise OSError(f"{batch.num_rows:,} rows of {batch.nbytes:,} bytes: cut the texts")
            columns = [column.to_pylist() for column in batch.columns]
            yield from enumerate(zip(*columns, strict=True), done)
            done += batch.num_rows
    except OSError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path} cannot be read as Parquet ({one_line(error)}): write the file again.")
