"""Records come back from their lines; later ones are forgotten; a half-written line does not count."""

import pytest

from wave_jax.errors import CheckpointError
from wave_jax.runs import records
from wave_jax.training.loop import Record
from wave_jax.training.loss import Score

FIRST = Record(1, 1, 0.5, 0.25, 1e-3, 2.0, 3.0)
SECOND = FIRST._replace(step=2, valid=Score(1.5, 3, 4))


def test_records_come_back_in_their_order(tmp_path):
    file = tmp_path / "records.jsonl"
    assert records.read(file) == []
    records.append(file, FIRST)
    records.append(file, SECOND)
    assert records.read(file) == [FIRST, SECOND]
    with file.open("a") as lines:
        lines.write('{"step": 3')  # killed while writing
    assert records.read(file) == [FIRST, SECOND]


def test_later_records_are_forgotten(tmp_path):
    file = tmp_path / "records.jsonl"
    for record in (FIRST, SECOND):
        records.append(file, record)
    line = file.read_text().split("\n")[0]
    records.forget_after(file, 1)
    assert file.read_text() == line + "\n"


def test_a_line_that_is_no_record_is_named(tmp_path):
    file = tmp_path / "records.jsonl"
    records.append(file, FIRST)
    file.write_text(file.read_text() + "{}\n")
    with pytest.raises(CheckpointError, match=r"records\.jsonl:2 is no record: mend or remove this line"):
        records.read(file)
