"""The notes beside saved steps: which steps there are, under which settings, and which is the best."""

import pytest

from wave_jax.disk import sealed
from wave_jax.errors import CheckpointError
from wave_jax.runs import notes
from wave_jax.runs.notes import NOTE, Note


def write(folder, step, note):
    (folder / str(step)).mkdir()
    (folder / str(step) / NOTE).write_bytes(sealed(note._asdict()))


def test_a_note_comes_back(tmp_path):
    note = Note("digest", 0.5, {"a": [[40, 6], "float32", "sha"]}, {"arrays/a": "sha"}, 1)
    write(tmp_path, 1, note)
    assert notes.note_of(tmp_path, 1) == notes.note_under(tmp_path, 1, "digest") == note


def test_a_note_of_other_settings_or_none_is_refused(tmp_path):
    write(tmp_path, 1, Note("digest", None, {}, step=1))
    with pytest.raises(CheckpointError, match=r"Step 1 in .* was saved under other settings"):
        notes.note_under(tmp_path, 1, "another")
    with pytest.raises(CheckpointError, match=r"Step 2 in .* is damaged: note\.json"):
        notes.note_of(tmp_path, 2)


def test_a_note_under_the_name_of_another_step_is_refused(tmp_path):
    write(tmp_path, 2, Note("digest", None, {}, step=1))
    with pytest.raises(CheckpointError, match="is step 1 under another name; put back a copy"):
        notes.note_of(tmp_path, 2)


def test_the_best_is_the_earliest_of_equals():
    assert notes.best({1: 0.5, 3: 0.9, 2: 0.9}) == 2
    assert notes.best({1: None}) is None


def test_a_damaged_note_counts_nothing_and_is_told(tmp_path, caplog):
    write(tmp_path, 1, Note("digest", 0.5, {}, step=1))
    assert notes.metric_of(tmp_path, 1, "digest") == 0.5
    assert notes.metric_of(tmp_path, 1, "another") is None
    assert "It does not count as the best" in caplog.text


def test_the_step_that_was_measured_is_known_by_its_arrays(tmp_path):
    write(tmp_path, 1, Note("digest", 0.5, {"a": [[], "float32", "sha"]}, step=1))
    measured = notes.digest(tmp_path, 1)
    for step, state in ((1, measured), (None, None), (1, None)):
        notes.check_measured(tmp_path, step, state)
    for step, state in ((1, "another"), (None, measured)):
        with pytest.raises(
            CheckpointError, match=r"does not hold the step that metrics.json was measured on"
        ):
            notes.check_measured(tmp_path, step, state)


def test_steps_are_in_order_and_others_are_no_steps(tmp_path):
    for name in ("10", "9", "11.writing", "12.damaged", "x", "٧", "07"):
        (tmp_path / name).mkdir()
    (tmp_path / "70").touch()
    assert notes.saved(tmp_path) == [9, 10]
    assert notes.saved(tmp_path / "missing") == []
