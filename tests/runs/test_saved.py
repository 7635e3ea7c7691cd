"""A finished run written at once: the folder is whole or absent."""

import numpy as np
import pytest
from tiny import DATA, PRESET

from wave_jax.errors import CheckpointError
from wave_jax.runs import run, saved
from wave_jax.runs.folder import RunFolder, parameter_digest
from wave_jax.training.loop import Record


@pytest.fixture(scope="module")
def prepared():
    return run.prepare(DATA, PRESET)


RECORDS = [Record(step, 1, 0.5, 0.5, 0.01, 1.0, 9.0) for step in (4, 8)]


def test_a_folder_holds_what_was_given(prepared, tmp_path):
    saved.write(tmp_path / "run", prepared.settings, prepared.start, RECORDS, {"steps": 8})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with RunFolder.open(tmp_path / "run") as folder:
        assert (folder.settings, folder.records(), folder.metrics()) == (
            prepared.settings,
            RECORDS,
            {"steps": 8},
        )
        assert folder.steps == [8]
        assert parameter_digest(folder.network()) == parameter_digest(prepared.network)
    with pytest.raises(CheckpointError, match="exists already: name another folder"):
        saved.write(tmp_path / "run", prepared.settings, prepared.start, RECORDS, {})


def test_what_cannot_be_written_leaves_nothing(prepared, tmp_path):
    with pytest.raises(TypeError):
        saved.write(tmp_path / "run", prepared.settings, prepared.start, RECORDS, {"odd": np.float32})
    assert list(tmp_path.iterdir()) == []
