"""The command `train`, in this process: its options are those of the preset, and its loop can be stopped."""

import json
import re
import shutil

import pytest
from conftest import unchecked
from tiny import APART, learnt, own_words

from wave_jax.cli import report, train
from wave_jax.cli.info import info, info_text
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.errors import CheckpointError, DataError
from wave_jax.networks.bert import BertConfig
from wave_jax.networks.kinds import KINDS
from wave_jax.runs.condition import metrics_of
from wave_jax.runs.folder import RunFolder
from wave_jax.runs.presets import preset


@pytest.fixture(autouse=True)
def as_users_have_it():
    """tyro fills a dataclass with marks of what is missing, which no type allows."""
    with unchecked():
        yield


WHERE = ["--data", "planted", "--out", "runs/a"]


def test_without_more_options_it_is_the_preset():
    command = train.parse(WHERE)
    assert (command.data, str(command.out), command.test, command.resume) == (
        "planted",
        "runs/a",
        False,
        False,
    )
    assert (command.preset, command.model, command.settings) == ("small", "wave", preset())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--d 8 --epochs 3 --seed 7 --v 50", (8, 3, 7, 50)),
        ("--network.d 8 --training.epochs=3 --training.seed 7 --v=50", (8, 3, 7, 50)),
        ("--preset paper-modulation --seed 7", (768, 4, 7, 30_522)),
        ("--preset paper-interference --model transformer --d 24", (24, 4, 0, 30_522)),
        ("--model bag --max_length 9", (96, None, 0, 20_000)),
    ],
)
def test_single_settings_stand_on_top_of_a_preset(options, expected):
    command = train.parse([*WHERE, *options.split()])
    settings = command.settings
    assert (settings.network.d, settings.training.epochs, settings.training.seed, settings.v) == expected
    assert type(settings.network) is type(preset(command.preset, command.model).network)


def test_what_in_python_may_be_a_function_is_a_name_here(capsys):
    network = train.parse([*WHERE, "--combine", "interfere", "--read-out", "magnitude"]).settings.network
    assert (network.combine, network.read_out) == ("interfere", "magnitude")
    with pytest.raises(SystemExit):
        train.parse([*WHERE, "--combine", "add"])
    assert "interfere" in capsys.readouterr().err


def test_a_bert_has_the_settings_of_its_folder(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 8, "num_attention_heads": 2}')
    command = train.parse([*WHERE, "--model", "bert", "--weights", str(tmp_path)])
    assert command.settings.network == BertConfig(hidden_size=8, num_attention_heads=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--d", "0"], "d must be at least 1, got 0"),
        (["--d", "wide"], "wide"),
        (["--deep", "3"], "--deep"),
        (["--preset", "huge"], "huge"),
        (["--model", "lstm"], "lstm"),
        (["--model", "bert"], "weights must be the folder of a BERT where the model is bert"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(options, message, capsys):
    with pytest.raises(SystemExit) as end:
        train.parse([*WHERE, *options])
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_what_is_needed_is_asked_for(capsys):
    with pytest.raises(SystemExit) as end:
        train.parse([])
    assert end.value.code == 2
    assert "--data" in (said := capsys.readouterr().err)
    assert "--out" in said


def test_the_help_fits_a_screen_and_lists_every_setting(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        train.parse(["--help"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    for name in (
        "--data",
        "--out",
        "--preset",
        "--resume",
        "--seed 0",
        "--epochs None",
        "--d 96",
        "--max-length",
    ):
        assert any(name in line for line in lines), name
    with pytest.raises(SystemExit):
        train.parse(["--settings", "--model", "transformer"])
    long = capsys.readouterr().out
    assert "Attention heads" in long
    assert max(map(len, long.splitlines())) <= 80


def test_no_two_settings_have_one_name():
    for kind in ("wave", "transformer", "bag"):
        settings = preset("small", kind)
        names = re.findall(r"--[a-z0-9-]+", train._listed(settings))
        assert len(names) == len({*names})
        assert "--seed" in names
        assert "--v" in names
    assert {"--preset", "--model", "--data", "--out", "--test", "--resume"}.isdisjoint(names)
    assert tuple(KINDS) == ("wave", "transformer", "bag", "bert")


def test_a_run_learns_from_its_training_texts_and_is_tested_on_its_test_texts(tmp_path, monkeypatch):
    """The accuracies of twins with opposite labels add up to 1."""
    monkeypatch.setenv("WAVE_JAX_DATA", str(tmp_path))
    monkeypatch.setattr(report, "write", lambda folder, metrics: None)
    texts, out = tmp_path / "texts", tmp_path / "run"
    texts.mkdir()
    for part in ("train", "valid", "test"):
        split = getattr(APART, part)
        rows = [f"{label},{text}" for text, label in zip(split.texts, split.labels, strict=True)]
        (texts / f"{part}.csv").write_text("\n".join(["label,text", *rows]))
    small = ["--d", "8", "--v", "100", "--stems", "20", "--pairs", "20", "--max-length", "16"]
    small += ["--steps", "1", "--batch", "8"]
    run = ["--data", str(texts), "--out", str(out), *small]
    test = (texts / "test.csv").read_text()
    (texts / "test.csv").write_text("no table of texts")  # nobody reads it who is not told to
    assert train.parse(run)() == 0
    assert learnt(Tokenizer.read(out / "tokenizer.json")) == own_words(APART.train)
    (texts / "test.csv").write_text(test)
    assert train.parse([*run, "--test", "--resume"])() == 0
    found = metrics_of(out)
    assert found["test_accuracy"] == pytest.approx(1 - found["valid_accuracy"])


SMALL = [
    "--d",
    "8",
    "--v",
    "100",
    "--stems",
    "20",
    "--pairs",
    "20",
    "--max-length",
    "16",
    "--steps",
    "1",
    "--batch",
    "8",
    "--parameters",
    "9999",
]


@pytest.fixture
def first(tmp_path, monkeypatch):
    """A finished run on the classes 0 and 1, and the command that made it."""
    monkeypatch.setenv("WAVE_JAX_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(report, "write", lambda folder, metrics: (folder.path / "report.md").touch())
    texts = tmp_path / "texts.csv"
    lines = [f"{label},{text}" for text, label in zip(APART.train.texts, APART.train.labels, strict=True)]
    texts.write_text("\n".join(["label,text", *lines]))
    run = tmp_path / "first"
    assert train.parse(["--data", str(texts), "--out", str(run), *SMALL])() == 0
    return run


def later(first, *more, labels=(1, 0)):
    """The command that goes on from a run with other texts."""
    texts = first.parent / "later.csv"
    lines = [f"{labels[i % 2]},{['soar', 'sink'][i % 2]} {'abc'[i % 3]}" for i in range(12)]
    texts.write_text("\n".join(["label,text", *lines]))
    out = ["--data", str(texts), "--out", str(first.parent / "second"), "--start", str(first)]
    return train.parse([*out, *["--pairs", "20", "--v", "100", "--steps", "1", "--batch", "8"], *more])


def test_a_run_goes_on_from_another_and_says_so(first, capsys):
    assert later(first)() == 0
    start = "started from first, trained on texts.csv, parameters"
    assert start in capsys.readouterr().out
    second = first.parent / "second"
    found = info(second)
    assert found["settings"]["start"]["digest"] == metrics_of(first)["parameter_digest"]
    assert found["settings"]["network"]["d"] == info(first)["settings"]["network"]["d"]
    assert start in " ".join(info_text(found).split())
    assert "start" in json.loads((second / "config.json").read_text())
    assert "start" not in json.loads((first / "config.json").read_text())
    assert info(first)["settings"]["start"] is None
    assert later(first, "--resume")() == 0
    assert "is finished" in capsys.readouterr().out
    assert (
        report.evaluation(RunFolder.open(second))["valid"]["texts"] == 2
    )  # the same texts, classes in place
    with pytest.raises(CheckpointError, match=r"is of another run: start\.digest is"):
        elsewhere(first, second)()
    shutil.rmtree(first)
    with pytest.raises(SystemExit):
        later(first, "--resume")
    assert "config.json is missing" in capsys.readouterr().err


def elsewhere(first, second):
    """The command for the second run, started from another one than it was."""
    other = first.parent / "other"
    assert (
        train.parse(["--data", str(first.parent / "texts.csv"), "--out", str(other), *SMALL, "--seed=1"])()
        == 0
    )
    command = later(other, "--resume")
    assert command.out == second
    return command


def test_new_classes_are_asked_for(first):
    with pytest.raises(DataError, match="does not know the class '2': leave their texts out, or ask for new"):
        later(first, labels=(2, 0))()
    assert not (first.parent / "second").exists()
    assert later(first, "--new-classes", labels=(2, 0))() == 0
    assert info(first.parent / "second")["settings"]["classes"] == ("0", "1", "2")
    with pytest.raises(DataError, match="new_classes is for a network that is started from"):
        train.parse([*WHERE, "--new-classes"])()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "bag"], "model must be wave, as what is started from, got 'bag'"),
        (["--weights", "x"], "weights must be left out where a run is started from"),
    ],
)
def test_a_start_of_another_kind_is_wrong_usage(options, message, first, capsys):
    with pytest.raises(SystemExit) as end:
        later(first, *options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (first.parent / "second").exists()
    with pytest.raises(
        ValueError, match=r"ask for pieces of words: give whole_words=True, or its preset \(small\)"
    ):
        later(first, "--preset", "paper-modulation")()
