"""`train --search` and `--size`, in this process: what wins, what a kill leaves, and what is refused."""

import json
from dataclasses import replace

import pytest
from conftest import unchecked

from wave_jax.cli import report, search, terminal, train
from wave_jax.cli.info import info
from wave_jax.cli.predict import answering
from wave_jax.data import datasets
from wave_jax.errors import CheckpointError, DataError
from wave_jax.runs import space
from wave_jax.runs.condition import metrics_of
from wave_jax.runs.folder import RunFolder

TEXTS = [("up", "gain rise up"), ("down", "fall loss down"), ("flat", "calm still flat")]
SMALL = "--d 16 --max-length 16 --v 80 --batch 8 --epochs 2 --dropout 0 --pairs 9 --valid 0.4 --seed 3"
RATES = [1e-6, 0.001, 0.05, 0.002]


@pytest.fixture(autouse=True)
def as_users_have_it(tmp_path, monkeypatch):
    """Trials differ in their rate alone, so that they share their programs."""
    monkeypatch.setenv("WAVE_JAX_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(report, "write", lambda folder, metrics: None)

    def rates(preset, epochs, seed, count):
        assert (epochs, seed) == (2, 3)
        return [replace(preset, training=replace(preset.training, rate=rate)) for rate in RATES[:count]]

    monkeypatch.setattr(space, "drawn", rates)
    with unchecked():
        yield


@pytest.fixture
def texts(tmp_path):
    rows = [
        f"{label},{'abcde'[i % 5]} {words} {'vwxyz'[i // 5]}" for i in range(25) for label, words in TEXTS
    ]
    folder = tmp_path / "texts"
    folder.mkdir()
    for part in ("train", "test"):
        (folder / f"{part}.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    return folder


def searched(texts, out, *options):
    where = ["--data", str(texts), "--out", str(out), "--rate", "1e-6"]
    return train.parse([*where, *SMALL.split(), *map(str, options)])()


def trials(out):
    return json.loads((out / "search.json").read_text())["trials"]


def without_time(found):
    return [trial[:-1] for trial in found]


def test_the_first_trial_is_the_preset_and_the_best_one_is_an_ordinary_run(texts, tmp_path, capsys):
    plain, out = tmp_path / "plain", tmp_path / "run"
    assert searched(texts, plain) == 0
    (test := texts / "test.csv").rename(texts / "later.csv")  # nobody reads it who is not told to
    assert searched(texts, out, "--search", 3) == 0
    said, found = capsys.readouterr().out, trials(out)
    assert [trial[0] for trial in found] == ["", "--rate\xa00.001", "--rate\xa00.05"]
    assert found[0][1] == metrics_of(plain)["valid_accuracy"]
    best = max(range(3), key=lambda i: found[i][1])
    assert found[best][1] == metrics_of(out)["valid_accuracy"] > found[0][1]
    assert RunFolder.open(out).settings.training.rate == RATES[best]
    assert "test_accuracy" not in metrics_of(out)
    summary = said.split("\n\ntrial  ")[1]
    assert f"Trial {best + 1} won: valid " in summary
    assert "The preset, trial 1, has " in summary
    assert max(map(len, summary.splitlines()[:8])) <= 80
    assert summary.split("\n\n\n")[0][:200] in (out / "search.md").read_text()
    assert {path.name for path in out.iterdir()} >= {
        "search.json",
        "search.md",
        "config.json",
        "metrics.json",
    }
    assert not (out / "trials").exists()
    assert info(out)["metrics"]["preset"] == "small"
    assert answering(out, 1).predict_proba(["rise up"]).shape == (1, 3)
    (texts / "later.csv").rename(test)
    assert searched(texts, out, "--search", 3, "--resume", "--test") == 0
    assert metrics_of(out)["test_accuracy"] > 0
    assert trials(out) == found


def test_a_stopped_search_goes_on_and_more_trials_follow_those_there(texts, tmp_path, monkeypatch, capsys):
    whole, out, turns = tmp_path / "whole", tmp_path / "run", terminal.train
    assert searched(texts, whole, "--search", 4) == 0
    calls = []

    def stopping(prepared, folder, **settings):
        calls.append(folder.path.name)
        if len(calls) == 2:
            return 1  # as after Ctrl-C
        if len(calls) == 4:
            turns(prepared, folder, **settings)
            raise KeyboardInterrupt  # as a kill, when its trial has ended but is in no file yet
        return turns(prepared, folder, **settings)

    monkeypatch.setattr(terminal, "train", stopping)
    assert searched(texts, out, "--search", 2) == 1
    assert "Stopped and saved. To go on:\n  wave-jax train " in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="holds a search: go on with it"):
        searched(texts, out, "--resume")
    assert searched(texts, out, "--search", 2, "--resume") == 0
    assert RunFolder.open(out).settings.training.rate == 0.001
    with pytest.raises(KeyboardInterrupt):
        searched(texts, out, "--search", 4, "--resume")
    assert metrics_of(out)["valid_accuracy"] == trials(out)[1][1]  # the run of before is there until the end
    assert searched(texts, out, "--search", 4, "--resume") == 0
    assert calls == ["1", "2", "2", "3", "3", "4"]
    assert without_time(trials(out)) == without_time(trials(whole))
    digests = {metrics_of(folder)["parameter_digest"] for folder in (out, whole)}
    assert len(digests) == 1


def test_a_trial_that_meets_infinite_numbers_is_told_and_cannot_win(texts, tmp_path, monkeypatch, capsys):
    turns = terminal.train

    def diverging(prepared, folder, **settings):
        if prepared.settings.training.rate == 0.001:
            raise FloatingPointError("Step 1 met NaN")
        return turns(prepared, folder, **settings)

    monkeypatch.setattr(terminal, "train", diverging)
    assert searched(texts, tmp_path / "run", "--search", 2) == 0
    assert trials(tmp_path / "run")[1] == ["--rate\xa00.001", None, None, 0.0]
    assert "trial 2 of 2: NaN or infinite numbers\n  --rate 0.001\n" in capsys.readouterr().out


def test_all_trials_fit_into_a_size_and_a_size_alone_trains_one_network(texts, tmp_path, capsys):
    run, alone, file = tmp_path / "run", tmp_path / "alone", tmp_path / "file.wave"
    assert searched(texts, run, "--search", 2, "--size", "2.5kB") == 0
    found = trials(run)
    assert all(2000 < trial[2] <= 2500 for trial in found)
    assert found[0][0].startswith("--d\xa08")
    assert searched(texts, alone, "--size", "2.5kB") == 0
    assert f"As an int8 file it has {found[0][2]:,} bytes, of 2,500 allowed." in capsys.readouterr().out
    report.exported(RunFolder.open(alone), file, "int8")
    assert file.stat().st_size == found[0][2]
    assert searched(texts, alone, "--size", "2.5kB", "--resume") == 0
    assert "is finished" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match=r"network\.d is 8, not 16"):
        searched(texts, alone, "--size", "1MB", "--resume")


def test_what_cannot_be_searched_is_refused_in_a_sentence_and_nothing_is_written(texts, tmp_path, capsys):
    out = tmp_path / "run"
    with pytest.raises(DataError, match=r"compares its trials on validation texts: give some \(--valid\)"):
        searched(texts, out, "--search", 2, "--valid", 0)
    with pytest.raises(ValueError, match="the smallest, of "):
        searched(texts, out, "--search", 2, "--size", 90)
    for options, message in (
        (["--search", "0"], "search must be at least 1 trial, got 0"),
        (["--size", "1GB"], "size must be bytes, or a number with kB or MB, as 500kB or 1.5MB, got '1GB'"),
    ):
        with pytest.raises(SystemExit) as end:
            searched(texts, out, *options)
        assert end.value.code == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
    assert searched(texts, out, "--search", 2) == 0
    with pytest.raises(CheckpointError, match="holds a run already: resume it"):
        searched(texts, out, "--search", 2)
    with pytest.raises(ValueError, match="has 2 trials already: give --search as many or more"):
        searched(texts, out, "--search", 1, "--resume")
    with pytest.raises(CheckpointError, match="of something else: batch is 8, not 4;"):
        searched(texts, out, "--search", 2, "--resume", "--batch", 4)
    (texts / "train.csv").write_text((texts / "train.csv").read_text() + "up,one more\n")
    with pytest.raises(CheckpointError, match="of something else: texts is "):
        searched(texts, out, "--search", 2, "--resume")


def test_what_a_search_depends_on_is_what_json_holds(texts):
    dataset = datasets.load(texts, valid=0.2)
    about = search.Trials(dataset, train.parse(["--data", "a", "--out", "b"]).settings, 3, 1000).about
    assert json.loads(json.dumps(about)) == about
    assert {"texts", "kind", "size", "space", "rate", "d", "seed", "v", "valid"} <= about.keys()


def test_options_that_need_more_than_a_line_get_more_rows():
    long = search.Trial(" ".join(f"--option-{i}\xa0{i}" for i in range(9)), 0.5, None, 1.0)
    lines = search.summary([long], 1, 100).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("--option-8 8" in line for line in lines) == 2
