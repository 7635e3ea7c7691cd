"""`wave-jax demo`, small: all that it leaves is there, and what it tells to try works as printed."""

import contextlib
import io
import os
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wave_jax.cli import demo
from wave_jax.cli.__main__ import main
from wave_jax.data import datasets
from wave_jax.runs import run
from wave_jax.runs.condition import metrics_of
from wave_jax.runs.presets import Preset
from wave_jax.training import progress

SIZE = 200


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(place):
    """What a demo of two networks and two epochs prints."""
    before, patch = Path.cwd(), pytest.MonkeyPatch()
    tiny = {name: replace(network, d=4) for name, network in demo.NETWORKS.items() if name != "interference"}
    tiny["transformer"] = replace(tiny["transformer"], width=4)
    patch.setattr(demo, "NETWORKS", tiny)
    patch.setattr(demo, "TRAINING", replace(demo.TRAINING, epochs=2, drop_tokens=0.0))
    patch.setattr(demo, "_V", 300)
    patch.setattr(demo, "_STUDIES", 3)
    os.chdir(place)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            demo.Demo(size=SIZE)()
    finally:
        os.chdir(before)
        patch.undo()
    return out.getvalue()


def test_what_it_prints_fits_80_columns_and_has_a_line_for_each_epoch(shown):
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert "95.4%" in shown
    assert [line.split()[0] for line in lines if line.endswith(" %")] == ["1", "2"]
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_what_it_leaves(shown, place):
    folder = place / "runs" / "demo"
    for name in ("modulation", "transformer"):
        metrics = metrics_of(folder / name)
        assert metrics is not None
        assert (metrics["data"], metrics["epochs"]) == ("planted", 2)
    for name in ("accuracy.png", "gradients.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert f"]({name})" in (folder / "report.md").read_text()
    assert (folder / "explain.html").read_text().startswith("<!")
    assert "modulation/report.md" in (folder / "report.md").read_text()


def test_the_commands_it_names_work(shown, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    commands = [line.strip() for line in shown.split("Next:\n")[1].splitlines()]
    assert len(commands) == 3
    for command in commands:
        text, _, rest = command.rpartition(" | ")
        if text:  # the pipe's first half is `echo "..."`
            (place / "line.txt").write_text(shlex.split(text)[1] + "\n")
            rest += " line.txt"
        assert main(shlex.split(rest)[1:]) == 0
        assert capsys.readouterr().out


def test_a_second_demo_gets_a_folder_of_its_own(shown, place, monkeypatch):
    monkeypatch.chdir(place)
    assert demo._new(None) == Path("runs/demo-2")


def test_the_gradients_are_those_before_and_along_training(tmp_path):
    network = replace(demo.NETWORKS["modulation"], d=4)
    training = replace(demo.TRAINING, epochs=1, drop_tokens=0.0)
    prepared = run.prepare(datasets.load("planted", size=64), Preset(network, training, 100))
    with run.run_folder(tmp_path / "run", prepared) as folder, progress.bar(1, False) as bar:
        learner = demo.Learner(prepared, folder)
        accuracies = list(learner.epochs(bar))
    assert learner.steps == [0, 1]
    assert accuracies == [learner.accuracies[1]]
    first = learner.studies[0]
    assert all(np.isfinite(number) for number in first.values())
    assert first["text_norm"] > first["cls_norm"] > 0
