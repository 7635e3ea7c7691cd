"""The trials of a search on disk: kept, gone on with, and the best becomes the run, also after a kill."""

import json
import os

import pytest

from wave_jax.disk import sealed
from wave_jax.errors import CheckpointError
from wave_jax.runs import condition
from wave_jax.runs.trials import Search, Trial

ABOUT = {"texts": "abc", "rate": 0.003, "size": None}


def trained(search, number, accuracy):
    """A trial with files as those of a run, each of which knows whose it is."""
    folder = search.folder(number)
    (folder / "checkpoints" / "9").mkdir(parents=True)
    for name in ("config.json", "metrics.json", "records.jsonl", ".lock", "checkpoints/9/note.json"):
        (folder / name).write_text(content(name, number))
    return Trial(f"--d {number}", accuracy, 1000, 1.5)


def content(name, number):
    if name == "metrics.json":
        return sealed({"of": number, "state_digest": ""}).decode()
    return f"{name} of {number}"


def searched(path, *accuracies):
    with Search.open(path, ABOUT, resume=True) as search:
        for accuracy in accuracies:
            search.add(trained(search, len(search.trials) + 1, accuracy))
    return search


def files(path):
    return {
        str(file.relative_to(path)): file.read_text()
        for file in path.rglob("*")
        if file.is_file() and file.name not in (".lock", "search.json")
    }


def run_of(number):
    names = ("config.json", "metrics.json", "records.jsonl", "checkpoints/9/note.json")
    return {name: content(name, number) for name in names}


def test_the_first_of_the_best_wins_and_only_its_network_is_kept(tmp_path):
    search = searched(tmp_path / "run", 0.5, 0.75, None, 0.75, 0.25)
    assert search.best == 2
    assert [path.name for path in (tmp_path / "run" / "trials").iterdir()] == ["2"]
    again = Search.open(tmp_path / "run", ABOUT, resume=True)
    assert again.trials == search.trials
    assert [trial.accuracy for trial in again.trials] == [0.5, 0.75, None, 0.75, 0.25]
    assert Search.open(tmp_path / "none", ABOUT, resume=False).best == 0
    assert not (tmp_path / "none").exists()


def test_the_best_becomes_the_run_and_a_better_one_takes_its_place(tmp_path):
    searched(tmp_path, 0.5, 0.75).adopt()
    assert files(tmp_path) == run_of(2)
    (tmp_path / "report.md").write_text("of 2")
    searched(tmp_path, 0.5).adopt()  # a third trial that is worse
    assert files(tmp_path) == run_of(2) | {"report.md": "of 2"}
    searched(tmp_path, 0.875).adopt()
    assert files(tmp_path) == run_of(4)


@pytest.mark.parametrize("moved", range(5))
def test_adopting_that_is_interrupted_anywhere_is_done_again(moved, tmp_path, monkeypatch):
    searched(tmp_path, 0.5).adopt()
    search, replaces, left = searched(tmp_path, 0.75), os.replace, [moved]

    def replace(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        replaces(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        if moved < 4:
            with pytest.raises(KeyboardInterrupt):
                search.adopt()
            assert condition.condition(tmp_path) == "missing"
            with pytest.raises(CheckpointError, match="holds a search: go on with it"):
                condition.check_no_search(tmp_path)
    Search.open(tmp_path, ABOUT, resume=True).adopt()
    assert files(tmp_path) == run_of(2)
    condition.check_no_search(tmp_path)


def test_another_search_another_run_and_a_changed_file_are_refused(tmp_path):
    searched(tmp_path / "run", 0.5)
    file = tmp_path / "run" / "search.json"
    with pytest.raises(CheckpointError, match="holds a run already: resume it"):
        Search.open(tmp_path / "run", ABOUT, resume=False)
    with pytest.raises(CheckpointError, match=r"rate is 0\.003, not 0\.01, size is None, not 9;"):
        Search.open(tmp_path / "run", {**ABOUT, "rate": 0.01, "size": 9}, resume=True)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds a run that no search made"):
        Search.open(tmp_path / "plain", ABOUT, resume=True)
    before = file.read_text()
    file.write_text(before.replace("0.5", "0.9"))
    with pytest.raises(CheckpointError, match="was changed or cannot be read"):
        Search.open(tmp_path / "run", ABOUT, resume=True)
    found = json.loads(before)
    del found["sha256"]
    file.write_bytes(sealed({**found, "format": 9}))
    with pytest.raises(CheckpointError, match="is of format 9, not 1"):
        Search.open(tmp_path / "run", ABOUT, resume=True)


def test_two_searches_do_not_write_into_one_folder(tmp_path):
    with (
        Search.open(tmp_path, ABOUT, resume=True),
        pytest.raises(CheckpointError, match="being written by another run"),
        Search.open(tmp_path, ABOUT, resume=True),
    ):
        pass
    with Search.open(tmp_path, ABOUT, resume=True):
        pass
