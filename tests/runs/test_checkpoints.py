"""The last three steps and the best stay; a damaged step is put aside for an older one."""

import numpy as np
import pytest

from wave_jax.errors import CheckpointError
from wave_jax.runs.checkpoints import Checkpoints

LIKE = {"w": np.zeros(3, np.float32)}


def arrays(step):
    return {"w": np.full(3, step, np.float32)}


def saved(folder, metrics):
    checkpoints = Checkpoints(folder, "settings")
    for step, metric in enumerate(metrics, 1):
        checkpoints.save(step, arrays(step), metric)
    return checkpoints


def test_the_last_three_and_the_best_stay(tmp_path):
    checkpoints = saved(tmp_path, [0.1, 0.9, 0.2, 0.9, 0.3, 0.4])
    assert checkpoints.saved == [2, 4, 5, 6]
    assert checkpoints.best == 2
    assert checkpoints.load(None, LIKE)["w"].tolist() == [6, 6, 6]


def test_without_metrics_there_is_no_best(tmp_path):
    assert saved(tmp_path, [None, float("nan")]).best is None


def test_a_run_goes_on_from_its_newest_step(tmp_path, caplog):
    assert Checkpoints(tmp_path, "settings").newest_intact(LIKE) is None
    saved(tmp_path, [0.9, 0.1, None]).finish()
    assert Checkpoints(tmp_path, "settings").newest_intact(LIKE)["w"].tolist() == [3, 3, 3]
    (tmp_path / "1" / "note.json").write_text("{}")
    assert Checkpoints(tmp_path, "settings").newest_intact(LIKE)["w"].tolist() == [3, 3, 3]
    assert "going on from step 3" in caplog.text


def test_a_damaged_step_is_put_aside(tmp_path, caplog):
    saved(tmp_path, [None, None]).finish()
    (tmp_path / "2" / "note.json").write_text("{}")
    state = Checkpoints(tmp_path, "settings").newest_intact(LIKE)
    assert state["w"].tolist() == [1, 1, 1]
    assert "It is put aside; going on from step 1" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2.damaged"]


def test_steps_of_other_settings_and_missing_steps_are_refused(tmp_path):
    saved(tmp_path, [None]).finish()
    with pytest.raises(CheckpointError, match="saved under other settings"):
        Checkpoints(tmp_path, "others").load(1, LIKE)
    with pytest.raises(CheckpointError, match=r"holds no step 7; there are \[1\]"):
        Checkpoints(tmp_path, "settings").load(7, LIKE)
