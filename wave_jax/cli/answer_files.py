"""Where the answers of `predict` go: to standard output, or to a file of the form that its name ends in."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from wave_jax.cli.predict import Form, line
from wave_jax.disk import whole_file
from wave_jax.errors import DataError, check_setting

__all__ = ["Write", "opened"]

Write = Callable[[Sequence[tuple[str, Sequence[Any]]], np.ndarray], None]
"""Write a block of texts, with the fields of their rows, and the probabilities of their classes."""
_FORMS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
_FORMS |= {f"{end}.gz": form for end, form in _FORMS.items()} | {".parquet": "parquet"}
_TOGETHER = 2**15  # rows of Parquet that are compressed together


@contextmanager
def opened(file: Path | None, form: Form, schema: Any = None) -> Iterator[Write]:
    """Open what answers are written to, for as long as the block lasts; a file is whole or absent.

    Args:
      file: a file whose name ends in .csv, .tsv, .jsonl or .parquet; standard output if None.
      form: what is written of an answer.
      schema: types of the columns that are written again, if they came from Parquet.
    """
    if file is None:
        sys.stdout.write(form.header())
        yield _to_standard_output(form)
        return
    kind = next((kind for end, kind in _FORMS.items() if file.name.lower().endswith(end)), "")
    check_setting("out", str(file), kind != "", "a file that ends in .csv, .tsv, .jsonl or .parquet")
    with whole_file(file) as whole:
        if kind == "parquet":
            with _parquet(whole, form, schema, file) as write:
                yield write
        else:
            with _text(whole, file.suffix.lower() == ".gz") as text:
                yield {"csv": _csv, "tsv": _tsv, "json": _json}[kind](text, form)


def _to_standard_output(form: Form) -> Write:
    def write(rows: Any, shares: np.ndarray) -> None:
        sys.stdout.writelines(form.lines(rows, shares))
        sys.stdout.flush()

    return write


@contextmanager
def _text(file: BinaryIO, packed: bool) -> Iterator[io.TextIOWrapper]:
    """Open a file for text, gzipped or not; the file itself stays open."""
    inside = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if packed else file
    text = io.TextIOWrapper(inside, "utf-8", "replace", newline="")
    try:
        yield text
    finally:
        text.flush()
        text.detach()
        if inside is not file:
            inside.close()


def _tsv(file: io.TextIOWrapper, form: Form) -> Write:
    file.write(line(form.columns))
    return lambda rows, shares: file.writelines(form.lines(rows, shares))


def _json(file: io.TextIOWrapper, form: Form) -> Write:
    as_json = replace(form, json=True)
    return lambda rows, shares: file.writelines(as_json.lines(rows, shares))


def _csv(file: io.TextIOWrapper, form: Form) -> Write:
    """Write comma-separated values; lists and objects as JSON."""
    table = csv.writer(file, lineterminator="\n")
    table.writerow(form.columns)

    def plain(cell: Any) -> Any:
        return json.dumps(cell, ensure_ascii=False) if isinstance(cell, list | dict) else cell

    return lambda rows, shares: table.writerows(
        map(plain, cells) for cells in form.cells(rows, shares, "{:.4f}".format)
    )


@contextmanager
def _parquet(file: BinaryIO, form: Form, schema: Any, path: Path) -> Iterator[Write]:
    """Write Parquet, many rows at a time; columns keep the types that they had in Parquet."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path} needs pyarrow: pip install 'wave_jax[parquet]', or write CSV.") from None
    types = _types(form, schema, pyarrow)
    waiting: list[list[Any]] = []
    writer: Any = None

    def flush() -> None:
        nonlocal writer, types
        columns = [*zip(*waiting, strict=True)] or [()] * len(form.columns)
        try:
            made = [pyarrow.array(cells, kind) for cells, kind in zip(columns, types, strict=True)]
        except (pyarrow.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: a column holds values of several types ({error}): write .jsonl."
            ) from None
        types = [pyarrow.string() if pyarrow.types.is_null(each.type) else each.type for each in made]
        fields = pyarrow.schema([*zip(form.columns, types, strict=True)])
        writer = parquet.ParquetWriter(file, fields) if writer is None else writer
        writer.write_table(pyarrow.table([x.cast(kind) for x, kind in zip(made, types, strict=True)], fields))
        waiting.clear()

    def write(rows: Any, shares: np.ndarray) -> None:
        waiting.extend(form.cells(rows, shares))
        if len(waiting) >= _TOGETHER:
            flush()

    yield write
    flush()
    writer.close()


def _types(form: Form, schema: Any, pyarrow: Any) -> list[Any]:
    """Return the types of the cells; None for a column whose values are yet to tell it."""
    answers = len(form.columns) - len(form.names or ["text"])
    kept = (list(schema.types) if schema is not None else [None] * len(form.names)) or [pyarrow.string()]
    labels, share = 2 * form.pairs, pyarrow.string() if form.several else pyarrow.float32()
    of_labels = [pyarrow.string(), share] * form.pairs
    of_answers = of_labels + [pyarrow.float32()] * (answers - labels)
    return of_answers + kept
