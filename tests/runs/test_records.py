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


def test_records_are_text_of_the_same_lines(tmp_path):
    for record in (FIRST, SECOND):
        records.append(tmp_path / "records.jsonl", record)
    text = records.dumps([FIRST, SECOND])
    assert text == (tmp_path / "records.jsonl").read_text()
    assert records.loads(text) == [FIRST, SECOND]
    assert records.loads(records.dumps([])) == []
    with pytest.raises(ValueError, match='"step": 3'):
        records.loads(text.replace('"step": 2', '"step": 3'))


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
    with pytest.raises(CheckpointError, match=r"records\.jsonl:2 was changed, .* or remove this line"):
        records.read(file)


@pytest.mark.parametrize(
    ("old", "new"), [('"loss": 0.5', '"loss": 0.4'), ('"step": 1', '"step": "1"'), ("1.5", "1")]
)
def test_a_changed_number_is_noticed(tmp_path, old, new):
    file = tmp_path / "records.jsonl"
    for record in (FIRST, SECOND):
        records.append(file, record)
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new, 1))
    with pytest.raises(CheckpointError, match="was changed"):
        records.read(file)


def test_a_line_that_is_gone_or_elsewhere_is_noticed(tmp_path):
    file = tmp_path / "records.jsonl"
    for step in (1, 2, 3):
        records.append(file, FIRST._replace(step=step))
    one, two, three = file.read_text().splitlines(keepends=True)
    for lines in (one + three, two + three, two + one, one + one):
        file.write_text(lines)
        with pytest.raises(CheckpointError, match="a line before it is gone"):
            records.read(file)
    file.write_text(one + two)
    records.append(file, FIRST._replace(step=3))
    assert file.read_text() == one + two + three
