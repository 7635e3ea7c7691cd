"""What a path is: missing, begun or finished."""

import pytest

from wave_jax.errors import CheckpointError
from wave_jax.runs.condition import condition, metrics_of, occupied, write_metrics


def test_a_folder_is_missing_then_begun_then_finished(tmp_path):
    assert condition(tmp_path / "none") == condition(tmp_path) == "missing"
    (tmp_path / "config.json").write_text("{}")
    assert condition(tmp_path) == "begun"
    write_metrics(tmp_path, {"accuracy": 0.5})
    assert condition(tmp_path) == "finished"
    assert metrics_of(tmp_path) == {"accuracy": 0.5}


def test_metrics_that_cannot_be_read_say_what_to_do(tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(
        CheckpointError, match=r"metrics\.json cannot be read .*: remove it and resume the run"
    ):
        metrics_of(tmp_path)


def test_an_occupied_path_names_both_ways_out():
    assert "holds a run already: resume it, or name another folder" in str(occupied("runs/a"))
