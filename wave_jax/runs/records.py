"""records.jsonl: the training records of a run, one line each."""

import json
from pathlib import Path

import numpy as np

from wave_jax.disk import write_whole
from wave_jax.errors import CheckpointError
from wave_jax.training.loop import Record
from wave_jax.training.loss import Score

__all__ = ["append", "forget_after", "read"]


def append(file: Path, record: Record) -> None:
    """Add a record as the last line of a file."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(_line(record))


def read(file: Path) -> list[Record]:
    """Read all records of a file, the oldest first."""
    return [record for record, _ in _read(file)]


def forget_after(file: Path, step: int) -> None:
    """Remove the records of later steps from a file, which keeps the other lines as they are."""
    lines = [line + "\n" for record, line in _read(file) if record.step <= step]
    write_whole(file, "".join(lines).encode())


def _read(file: Path) -> list[tuple[Record, str]]:
    """Read each record and its line. A last line without its end is being written, or was when killed."""
    records = []
    lines = file.read_text("utf-8", "replace").split("\n")[:-1] if file.exists() else []
    for row, line in enumerate(lines, 1):
        try:
            records.append((_record(line), line))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(f"{file}:{row} is no record: mend or remove this line.") from None
    return records


def _line(record: Record) -> str:
    valid = record.valid and {name: np.asarray(x).item() for name, x in record.valid._asdict().items()}
    return json.dumps({**record._asdict(), "valid": valid}) + "\n"


def _record(line: str) -> Record:
    fields = json.loads(line)
    valid = fields.pop("valid")
    return Record(**fields, valid=valid and Score(**valid))
