"""What a run folder contains, said without JAX."""

import json
import shutil

import pytest
from tiny import DATA, PRESET

from wave_jax.cli import info
from wave_jax.errors import CheckpointError
from wave_jax.runs import result, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    prepared = run.prepare(DATA, PRESET)
    with run.run_folder(tmp_path_factory.mktemp("info") / "first", prepared) as folder:
        list(run.train(prepared, folder, every=4))
        result.finish(folder, prepared, preset="tiny")
    return folder


def test_info_is_json_and_fits_a_terminal(folder):
    found = info.info(folder.path)
    assert json.loads(json.dumps(found, allow_nan=False))["best"] == folder.best
    assert found["steps"] == folder.steps
    assert found["metrics"] == folder.metrics()
    lines = info.info_text(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("network") and "kind wave, d 4" in line for line in lines)
    unfinished = info.info_text({**found, "metrics": None, "steps": []})
    assert "not finished" in unfinished
    assert "none" in unfinished


def test_another_network_than_the_one_measured_is_not_shown_under_its_numbers(folder, tmp_path):
    shutil.copytree(folder.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / str(folder.kept))
    with pytest.raises(CheckpointError, match=r"does not hold the step that metrics\.json was measured on"):
        info.info(tmp_path / "run")


def test_names_do_not_steer_a_terminal(folder):
    found = info.info(folder.path)
    found["settings"]["classes"] = ["a\x1b[31m", "b"]
    assert "\x1b" not in info.info_text(found)
