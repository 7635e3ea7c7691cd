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
    note = Note("digest", 0.5, {"a": [[40, 6], "float32", "sha"]}, {"arrays/a": "sha"})
    write(tmp_path, 1, note)
    assert notes.note_of(tmp_path, 1) == notes.note_under(tmp_path, 1, "digest") == note


def test_a_note_of_other_settings_or_none_is_refused(tmp_path):
    write(tmp_path, 1, Note("digest", None, {}))
    with pytest.raises(CheckpointError, match=r"Step 1 in .* was saved under other settings"):
        notes.note_under(tmp_path, 1, "another")
    with pytest.raises(CheckpointError, match=r"Step 2 in .* is damaged: note\.json"):
        notes.note_of(tmp_path, 2)


def test_the_best_is_the_earliest_of_equals():
    assert notes.best({1: 0.5, 3: 0.9, 2: 0.9}) == 2
    assert notes.best({1: None}) is None


def test_steps_are_in_order_and_others_are_no_steps(tmp_path):
    for name in ("10", "9", "11.writing", "12.damaged", "x"):
        (tmp_path / name).mkdir()
    assert notes.saved(tmp_path) == [9, 10]
    assert notes.saved(tmp_path / "missing") == []
