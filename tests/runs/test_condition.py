"""What a path is: missing, begun or finished."""

import os

import pytest

from wave_jax.errors import CheckpointError
from wave_jax.runs.condition import condition, measured_state, metrics_of, occupied, write_metrics


def test_a_folder_is_missing_then_begun_then_finished(tmp_path):
    assert condition(tmp_path / "none") == condition(tmp_path) == "missing"
    (tmp_path / "config.json").write_text("{}")
    assert condition(tmp_path) == "begun"
    assert measured_state(tmp_path) is None
    write_metrics(tmp_path, {"accuracy": 0.5}, "abc")
    assert condition(tmp_path) == "finished"
    assert metrics_of(tmp_path) == {"accuracy": 0.5}
    assert measured_state(tmp_path) == "abc"


def test_metrics_that_cannot_be_read_say_what_to_do(tmp_path):
    write_metrics(tmp_path, {"accuracy": 0.5}, "abc")
    file = tmp_path / "metrics.json"
    for content in (file.read_text().replace("0.5", "0.6"), "{", "[" * 100_000, '{"accuracy": 0.5}'):
        file.write_text(content)
        with pytest.raises(CheckpointError, match=r"metrics\.json was changed .*, or remove it and resume"):
            metrics_of(tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CheckpointError, match="it is no file"):
        metrics_of(tmp_path)


def test_all_is_on_the_disk_before_a_run_is_called_finished(tmp_path, monkeypatch):
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    (tmp_path / "checkpoints" / "3" / "array").touch()
    synced, sync = [], os.fsync

    def told(handle):
        synced.append((os.fstat(handle).st_ino, (tmp_path / "metrics.json").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", told)
    write_metrics(tmp_path, {}, "abc")
    before = {inode for inode, is_finished in synced if not is_finished}
    assert before >= {path.stat().st_ino for path in tmp_path.rglob("*")}, "metrics.json is among them"
    assert synced[-1] == (tmp_path.stat().st_ino, True)


def test_an_occupied_path_names_both_ways_out():
    assert "holds a run already: resume it, or name another folder" in str(occupied("runs/a"))
