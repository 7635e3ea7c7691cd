"""The command `predict`: texts come as lines or in a table, and answers go out as they come."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from wave_jax.data import columns, table_files, targets
from wave_jax.data.table_files import Table
from wave_jax.errors import DataError, check_setting

__all__ = ["Form", "Source", "answering", "form", "line", "opened"]

_CONTROLS = re.compile(r"\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # they would steer a terminal
_TOGETHER = 1024  # rows of a table
_ANSWER = ("prediction", "probability")  # columns that a table gets


class Source(NamedTuple):
    """Texts as they come, some at a time."""

    names: tuple[str, ...]
    """Columns of a table, which are all written again; none for plain lines."""
    blocks: Iterator[list[tuple[str, Sequence[Any]]]]
    """Texts with the fields of their rows."""
    schema: Any = None
    """Types of the columns, of a Parquet file."""


def answering(run: Path, threads: int) -> Any:
    """Return what answers from a run folder or an exported file: it has `classes` and `predict_proba`."""
    if run.is_file():
        from wave_jax.serving import predictor

        return predictor.load(run, threads)
    if not run.exists():
        raise ValueError(f"{run} does not exist: name the folder of a run, or a file that `export` wrote.")
    check_setting("threads", threads, threads == 1, "1 for a run folder, which XLA answers with all cores")
    from wave_jax.runs.folder import RunFolder
    from wave_jax.serving.live import Answers

    return Answers(RunFolder.open(run).trained())


# --- texts in -----------------------------------------------------------------------------------------------


@contextmanager
def opened(file: Path, text_column: str | None = None) -> Iterator[Source]:
    """Open a table, or the lines of any other file or of standard input, for as long as the block lasts."""
    if str(file) != "-" and table_files.kind_of(file) is not None:
        with table_files.opened(file) as table:
            yield _of_table(table, text_column, file)
        return
    if text_column is not None:
        raise DataError(
            f"{file} is read line by line and has no column {text_column!r}: leave --text-column out."
        )
    if str(file) == "-" and sys.stdin is None:
        raise ValueError("Standard input is closed: name a file with one text per line.")
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as source:
        yield Source((), _of_lines(source))


def _of_lines(file: IO[bytes]) -> Iterator[list[tuple[str, Sequence[Any]]]]:
    for texts in _lines(file.fileno()):
        yield [(text, ()) for text in texts]


def _of_table(table: Table, text_column: str | None, file: Path) -> Source:
    """Return the rows of a table; without a header, the texts of a row are joined."""
    if not table.names:
        rows = ((" ".join(fields[1:]), ()) for _, fields in table.rows)
        return Source((), _blocks(rows))
    taken = next((name for name in _ANSWER if name in table.names), None)
    if taken is not None:
        raise DataError(f"{file} has a column {taken!r}, as the answers are to be called: rename it.")
    at, where = columns.text_column(table, text_column, file), partial(columns.Where, file, table.unit)
    return Source(
        table.names,
        _blocks((columns.text_of(fields[at], where(place)), fields) for place, fields in table.rows),
        table.schema,
    )


def _blocks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while block := list(islice(rows, _TOGETHER)):
        yield block


def _lines(source: int, most: int = 2**20) -> Iterator[list[str]]:
    """Yield the lines of a file as they come: as many together as are there."""
    begun: list[bytes] = []  # parts of a line without its end: joined once, however many there are
    while part := os.read(source, most):
        first, *lines = part.split(b"\n")
        begun.append(first)
        if lines:
            yield [_text(line) for line in (b"".join(begun), *lines[:-1])]
            begun = [lines[-1]]
    if rest := b"".join(begun):
        yield [_text(rest)]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


# --- answers out --------------------------------------------------------------------------------------------


def form(answers: Any, names: Sequence[str], options: Any) -> "Form":
    """Return the form that the command's options ask for.

    Where they ask for nothing, it is the likeliest label, or with several labels a text those from the
    network's threshold on.
    """
    several = answers.threshold is not None
    top, threshold = options.top, options.threshold
    top = (len(answers.classes) if several else 1) if top is None else top
    threshold = (answers.threshold or 0.0) if threshold is None else threshold
    return Form(answers.classes, names, options.json, top, threshold, options.probabilities, several)


@dataclass(frozen=True)
class Form:
    """What is written of an answer: the likeliest labels first, as a row of cells or as a JSON object."""

    classes: Sequence[str]
    names: Sequence[str] = ()
    """Columns of a table, which are written again; none for plain lines."""
    json: bool = False
    top: int = 1
    """Maximum number of labels of a text."""
    threshold: float = 0.0
    """Least probability of a label that is written."""
    every: bool = False
    """Whether the probability of each class is written too."""
    several: bool = False
    """Whether a text has several labels: they go into one cell, as a|b."""

    def __post_init__(self):
        check_setting("top", self.top, self.top >= 1, "at least 1")
        check_setting("threshold", self.threshold, 0 <= self.threshold <= 1, "in 0..1")

    @property
    def columns(self) -> list[str]:
        """Return the names of the cells of a row."""
        numbers = ["", *(f"_{k}" for k in range(2, self.pairs + 1))]
        answers = [f"{name}{number}" for number in numbers for name in _ANSWER]
        classes = [f"p({name})" for name in self.classes] if self.every else []
        return [*answers, *classes, *(self.names or ["text"])]

    def header(self) -> str:
        """Return the line above tab-separated values; none above plain lines of labels and texts."""
        return "" if self.json or not (self.names or self.every) else line(self.columns)

    def lines(self, rows: Sequence[tuple[str, Sequence[Any]]], shares: np.ndarray) -> Iterator[str]:
        """Write a block of texts with the probabilities of their classes, (texts, c)."""
        if self.json:
            yield from (self._json(*answered) for answered in self._answered(rows, shares))
        else:
            yield from map(line, self.cells(rows, shares, "{:.4f}".format))

    def cells(
        self,
        rows: Sequence[tuple[str, Sequence[Any]]],
        shares: np.ndarray,
        written: Callable[[float], Any] = float,
    ) -> Iterator[list[Any]]:
        """Yield the cells of a block of texts, None where a label is left out.

        Args:
          rows: the texts with the fields of their rows.
          shares: the probabilities of their classes, (texts, c).
          written: how a probability is written.
        """
        for text, fields, answers, p in self._answered(rows, shares):
            found: list[Any] = [cell for label, share in answers for cell in (label, written(share))]
            if self.several:
                found = [targets.joined(found[::2]), targets.joined(f"{share:.4f}" for _, share in answers)]
            found += [None] * (2 * self.pairs - len(found))
            every = map(written, p) if self.every else ()
            yield [*found, *every, *(fields if self.names else [text])]

    def _answered(self, rows: Sequence[tuple[str, Sequence[Any]]], shares: np.ndarray) -> Iterator[Any]:
        best = np.argsort(-shares, axis=-1, kind="stable")[:, : self._top]
        for (text, fields), order, p in zip(rows, best.tolist(), shares.tolist(), strict=True):
            answers = [(str(self.classes[int(k)]), p[k]) for k in order if p[k] >= self.threshold]
            yield text, fields, answers, p

    @property
    def _top(self) -> int:
        return min(self.top, len(self.classes))

    @property
    def pairs(self) -> int:
        """Return the number of cells for labels; each has one for its probability beside it."""
        return 1 if self.several else self._top

    def _json(self, text: str, fields: Sequence[Any], answers: list[tuple[str, float]], p: Any) -> str:
        row = dict(zip(self.names, fields, strict=True)) if self.names else {}
        label = "prediction" if self.names else "label"
        if self.top > 1 or self.several:
            row[f"{label}s"] = [{"label": name, "probability": share} for name, share in answers]
        else:
            row[label], row["probability"] = answers[0] if answers else (None, None)
        if self.every:
            row["probabilities"] = dict(zip(self.classes, p, strict=True))
        if not self.names:
            row["text"] = text
        return json.dumps(row, ensure_ascii=False, default=str) + "\n"


def line(fields: Sequence[Any]) -> str:
    """Write fields, without tabs, line separators and controls in them, as tab-separated values.

    >>> line(["a\\tb\\nc", None, 1])
    'a b c\\t\\t1\\n'
    """
    cells = ("" if field is None else _CONTROLS.sub(" ", str(field)) for field in fields)
    return "\t".join(cells) + "\n"
