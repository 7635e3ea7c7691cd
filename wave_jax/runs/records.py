"""The lines of records.jsonl: training records, written and read back."""

import json

import numpy as np

from wave_jax.training.loop import Record
from wave_jax.training.loss import Score

__all__ = []


def _line(record: Record) -> str:
    valid = record.valid and {name: np.asarray(x).item() for name, x in record.valid._asdict().items()}
    return json.dumps({**record._asdict(), "valid": valid}) + "\n"


def _record(line: str) -> Record:
    fields = json.loads(line)
    valid = fields.pop("valid")
    return Record(**fields, valid=valid and Score(**valid))
