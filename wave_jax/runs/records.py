"""records.jsonl: the training records of a run, one line each, each with a digest of all up to it."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wave_jax.disk import read_regular, write_whole
from wave_jax.errors import CheckpointError
from wave_jax.training.loop import Record
from wave_jax.training.loss import Score

__all__ = ["append", "dumps", "forget_after", "loads", "read"]

_LONGEST = 2**16  # bytes of a line


def append(file: Path, record: Record) -> None:
    """Add a record as the last line of a file."""
    with file.open("a+b") as lines:
        lines.seek(max(0, lines.seek(0, os.SEEK_END) - _LONGEST))
        last = lines.read().removesuffix(b"\n").rpartition(b"\n")[2]
        before = json.loads(last)["sha256"] if last else ""
        lines.write(_line(record, before).encode())


def read(file: Path) -> list[Record]:
    """Read all records of a file, the oldest first."""
    return [record for record, _ in _read(file)]


def dumps(records: Iterable[Record]) -> str:
    """Write records as the lines of a file."""
    lines, before = [], ""
    for record in records:
        lines.append(_line(record, before))
        before = json.loads(lines[-1])["sha256"]
    return "".join(lines)


def loads(text: str) -> list[Record]:
    """Read what `dumps` wrote; raise a ValueError or a KeyError if it was changed."""
    records, before = [], ""
    for line in text.splitlines():
        record, before = _record(line, before)
        records.append(record)
    return records


def forget_after(file: Path, step: int) -> None:
    """Remove the records of later steps from a file, which keeps the other lines as they are."""
    lines = [line + "\n" for record, line in _read(file) if record.step <= step]
    write_whole(file, "".join(lines).encode())


def _read(file: Path) -> list[tuple[Record, str]]:
    """Read each record and its line. A last line without its end is being written, or was when killed."""
    records, before = [], ""
    try:
        lines = read_regular(file).decode("utf-8", "replace").split("\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read ({error.strerror}): put back a copy of it.") from None
    for row, line in enumerate(lines, 1):
        try:
            record, before = _record(line, before)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CheckpointError(
                f"{file}:{row} was changed, or a line before it is gone: put back a copy of the file, or"
                " remove this line and those after it."
            ) from None
        records.append((record, line))
    return records


def _line(record: Record, before: str) -> str:
    valid = record.valid and {name: np.asarray(x).item() for name, x in record.valid._asdict().items()}
    fields = {**record._asdict(), "valid": valid}
    return json.dumps({**fields, "sha256": _digest(fields, before)}) + "\n"


def _record(line: str, before: str) -> tuple[Record, str]:
    """Return a record and its digest, if it follows the record of the digest `before`."""
    fields = json.loads(line)
    digest = fields.pop("sha256")
    if digest != _digest(fields, before):
        raise ValueError(line)
    valid = fields.pop("valid")
    return Record(**fields, valid=valid and Score(**valid)), digest


def _digest(fields: dict, before: str) -> str:
    return hashlib.sha256(f"{before}{json.dumps(fields)}".encode()).hexdigest()[:16]
