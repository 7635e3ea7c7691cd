"""The installed command, as a user runs it: in a pipe, in a terminal of 80 columns, stopped by Ctrl-C."""

import fcntl
import gc
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from conftest import unchecked

from wave_jax.cli import __main__
from wave_jax.cli.__main__ import main
from wave_jax.runs.condition import metrics_of


@pytest.fixture(autouse=True)
def as_users_have_it():
    with unchecked():
        yield


TEXTS = [("up", "gain rise up"), ("down", "fall loss down"), ("flat", "calm still flat")]
TINY = ["--d", "4", "--max-length", "16", "--v", "80", "--batch", "8", "--rate", "0.02"]
TINY += ["--drop-tokens", "0", "--dropout", "0"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "wave_jax.cli", *map(str, arguments)]


def wave_jax(*arguments: object, **settings) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), capture_output=True, text=True, **settings)


def test_the_package_runs_as_the_command():
    found = subprocess.run([sys.executable, "-m", "wave_jax", "--version"], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("wave_jax ")


def in_terminal(*arguments: object, cwd: Path) -> tuple[int, str]:
    """Exit code and all that a terminal of 80 columns was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    process = subprocess.Popen(command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd)
    os.close(theirs)
    sent = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal's other end is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    return process.wait(), sent.decode()


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder of texts, and the caches of these commands."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [
        f"{label},{'abcde'[i % 5]} {words} {'vwxyz'[i // 5]}" for i in range(25) for label, words in TEXTS
    ]
    for part in ("train", "test"):
        (folder / "texts").mkdir(exist_ok=True)
        (folder / "texts" / f"{part}.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    (folder / "blank").mkdir()
    (folder / "blank" / "train.csv").write_text("label,text\n" + "\n".join(["up,", "down,"] * 20) + "\n")
    return folder


@pytest.fixture(scope="session")
def trained(place):
    """A run that was trained in a terminal: its folder, and what was shown."""
    code, shown = in_terminal(
        *("train", "--data", "texts", "--out", "runs/a", "--test", "--epochs", 4, *TINY), cwd=place
    )
    assert code == 0, shown
    return place / "runs" / "a", shown


def test_training_in_a_terminal_shows_a_bar_and_a_line_for_each_epoch(trained):
    run, shown = trained
    assert "steps [" in shown
    lines = [line.split("\r")[-1] for line in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown).split("\n")]
    assert max(len(line.rstrip("\r")) for line in lines) <= 80
    assert len(re.findall(r"epoch +\d+  step +\d+  loss [\d.]+  valid [\d.]+ %", shown)) == 4
    assert "report.md" in shown
    assert "Traceback" not in shown
    metrics = metrics_of(run)
    assert {"test_accuracy", "valid_accuracy", "parameters", "parameters_without_embeddings"} < metrics.keys()
    assert {"seconds", "texts_per_second", "seed", "preset", "model", "parameter_digest"} < metrics.keys()
    assert {"data", "data_digest", "versions", "device"} < metrics.keys()
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert all({"step", "epoch", "loss"} < record.keys() for record in records)
    assert (run / "report.md").read_text().startswith("# a\n")
    assert (run / "accuracy.png").stat().st_size > 1000


def test_a_finished_run_is_left_alone(trained, place):
    run, _ = trained
    before = (run / "metrics.json").stat().st_mtime_ns
    again = ("train", "--data", "texts", "--out", "runs/a", "--epochs", 4, *TINY)
    done = wave_jax(*again, "--resume", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "runs/a is finished: valid" in done.stdout
    assert (run / "metrics.json").stat().st_mtime_ns == before
    assert main(["train", "--data", "texts", "--out", str(run)]) == 1
    page = (run / "report.md").read_text()
    (run / "report.md").unlink()  # as if killed after metrics.json was written
    done = wave_jax(*again, "--resume", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert (run / "report.md").read_text() == page


def test_training_stopped_by_ctrl_c_has_saved_and_says_how_to_go_on(place):
    options = ["train", "--data", "texts", "--out", "runs/b", "--epochs", 400, *TINY]
    process = subprocess.Popen(
        command(*options, "--resume"), cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch  3"):
            process.send_signal(signal.SIGINT)
            break
    said, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "")
    assert "Stopped and saved at step" in said
    assert "wave-jax train --data texts --out runs/b" in said
    assert not (place / "runs" / "b" / "metrics.json").exists()
    info = wave_jax("info", "runs/b", cwd=place)
    assert "not finished" in info.stdout


def test_evaluate_and_info(trained, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    run, _ = trained
    metrics = metrics_of(run)
    assert main(["evaluate", "runs/a", "--test", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"]["accuracy"] == metrics["valid_accuracy"]
    assert found["test"]["accuracy"] == metrics["test_accuracy"]
    assert {*found["valid"]["classes"]} == {"up", "down", "flat"}
    assert main(["evaluate", "runs/a"]) == 0
    shown = capsys.readouterr().out
    assert "texts, valid: " in shown
    assert "test:" not in shown
    assert main(["info", "runs/a", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["metrics"] == metrics
    assert info["settings"]["network"]["d"] == 4
    assert main(["info", "runs/a"]) == 0
    shown = capsys.readouterr().out
    assert "finished" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_run_is_measured_on_other_labelled_texts(trained, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    Path("new.csv").write_text("id,kind,words\n1,up,gain rise up\n2,up,fall loss\n3,down,fall loss down\n")
    columns = ["--text-column", "words", "--label-column", "kind"]
    assert main(["evaluate", "runs/a", "--data", "new.csv", *columns, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["data"], found["texts"]["texts"]) == ("new.csv", 3)
    assert found["texts"]["accuracy"] == pytest.approx(2 / 3)
    flat = found["texts"]["classes"]["flat"]
    assert (flat["recall"], flat["texts"]) == (None, 0)
    assert main(["evaluate", "runs/a", "--data", "new.csv", *columns]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("new.csv: 66.67 % of 3 texts, macro-F1 ")
    assert re.search(r"flat[ \d.]+ 0\n", shown)


def test_predict_keeps_the_columns_of_a_table(trained, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    Path("some.csv").write_text('id,label,text\n7,x,"gain rise, up"\n8,y,fall loss down\n')
    assert main(["predict", "runs/a", "some.csv"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["prediction", "probability", "id", "label", "text"]
    assert [line[:1] + line[2:] for line in lines[1:]] == [
        ["up", "7", "x", "gain rise, up"],
        ["down", "8", "y", "fall loss down"],
    ]
    assert main(["predict", "runs/a", "some.csv", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["label"], row["prediction"]) for row in rows] == [
        ("7", "x", "up"),
        ("8", "y", "down"),
    ]


def test_predict_writes_a_file_by_the_end_of_its_name(trained, place, capsys, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(place)
    Path("some.csv").write_text('id,text\n7,"gain rise, up"\n8,fall loss down\n')
    assert main(["predict", "runs/a", "some.csv", "--out", "answers.parquet"]) == 0
    assert main(["predict", "runs/a", "answers.parquet", "--out", "again.csv"]) == 1
    assert "has a column 'prediction', as the answers are to be called: rename it" in capsys.readouterr().err
    assert not Path("again.csv").exists()
    found = parquet.read_table("answers.parquet").to_pydict()
    assert (found["prediction"], found["id"]) == (["up", "down"], ["7", "8"])


def test_a_single_file_trains_without_validation_texts_and_exports(place, capsys, monkeypatch, caplog):
    monkeypatch.chdir(place)
    rows = [json.dumps({"Kind": label, "Body": words, "id": i}) for i in range(8) for label, words in TEXTS]
    Path("one.jsonl").write_text("\n".join(rows) + "\n")
    options = ["train", "--data", "one.jsonl", "--out", "runs/one", "--valid", "0", "--epochs", "2", *TINY]
    assert main([*options, "--label-column", "kind"]) == 0
    shown = capsys.readouterr()
    assert "24 texts of one.jsonl, 0 more for validation" in shown.out
    assert "one.jsonl: texts are in column 'Body', labels in column 'Kind'." in caplog.text
    assert "valid" not in json.loads(Path("runs/one/metrics.json").read_text())
    assert main(["export", "runs/one", "--out", "one.wave"]) == 0
    assert "no validation texts to measure the cost" in capsys.readouterr().out
    assert main(["info", "runs/one"]) == 0
    assert main(["evaluate", "runs/one"]) == 1
    assert "one.jsonl has no validation texts: evaluate on a file (--data FILE)" in capsys.readouterr().err


def test_several_labels_from_a_file_to_its_answers(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("WAVE_JAX_DATA", str(place / "caches"))
    rows = [
        f"{label}{'|late' if i % 2 else ''},{words}{' night' * (i % 2)}"
        for i in range(20)
        for label, words in TEXTS
    ]
    Path("several.csv").write_text("\n".join(["label,text", *rows, ",x"]) + "\n")
    options = ["--out", "runs/several", *TINY, "--epochs", "30", "--labels", "several"]
    assert main(["train", "--data", "several.csv", *options]) == 0
    metrics = metrics_of(Path("runs/several"))
    assert metrics["valid_micro_f1"] > 0.8
    assert "(micro-F1 " in capsys.readouterr().out

    Path("new.csv").write_text("label,text\nlate|up,gain rise up night\n")
    assert main(["evaluate", "runs/several", "--data", "new.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["threshold"], found["texts"]["accuracy"]) == (metrics["threshold"], 1)
    assert found["texts"]["classes"]["late"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "texts": 1}
    assert main(["evaluate", "runs/several"]) == 0
    assert "with exactly their labels, from 0." in capsys.readouterr().out

    assert main(["export", "runs/several", "--out", "several.wave"]) == 0
    capsys.readouterr()
    for run in ("runs/several", "several.wave"):
        assert main(["predict", run, "new.csv"]) == 0
        answer = capsys.readouterr().out.splitlines()[1].split("\t")
        assert set(answer[0].split("|")) == {"late", "up"}
        assert main(["predict", run, "new.csv", "--top", "1", "--threshold", "1"]) == 0
        assert capsys.readouterr().out.splitlines()[1].split("\t")[:2] == ["", ""]
        assert main(["predict", run, "new.csv", "--out", "answers.parquet"]) == 0
    assert main(["explain", "runs/several", "gain rise up night", "--out", "page.html"]) == 0
    assert "Labels from 0." in capsys.readouterr().out

    Path("new.csv").write_text("label,text\nlate|down|never,x\n")
    assert main(["evaluate", "runs/several", "--data", "new.csv"]) == 1
    assert "label 'never' is outside the 4 classes" in capsys.readouterr().err


def test_a_file_of_validation_texts_validates(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    Path("mine.tsv").write_text("label\ttext\nup\tgain\ndown\tfall\n")
    options = [
        "train",
        "--data",
        "texts",
        "--out",
        "runs/mine",
        "--valid",
        "mine.tsv",
        "--epochs",
        "1",
        *TINY,
    ]
    assert main(options) == 0
    assert "75 texts of texts, 2 more for validation" in capsys.readouterr().out
    assert main(["evaluate", "runs/mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"]["texts"] == 2


def test_a_bad_test_split_is_refused_before_training(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    Path("bad").mkdir(exist_ok=True)
    for part, label in (("train", "up"), ("test", "away")):
        rows = [f"{label if i else 'down'},text {i}" for i in range(4)]
        Path("bad", f"{part}.csv").write_text("\n".join(["label,text", *rows, "down,z"]) + "\n")
    assert main(["train", "--data", "bad", "--out", "runs/bad", "--test", *TINY]) == 1
    assert "test.csv, line 3: label 'away' is outside the 2 classes" in capsys.readouterr().err
    assert not Path("runs/bad").exists()


def test_predict_answers_line_by_line_while_lines_come(trained, place):
    process = subprocess.Popen(
        command("predict", "runs/a"), cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for text, cells in (
        (b"a gain\trise up v\r\n", b"a gain rise up v"),
        ("ça fall\n".encode(), "ça fall".encode()),
    ):
        process.stdin.write(text)
        process.stdin.flush()
        label, share, shown = process.stdout.readline().rstrip(b"\n").split(b"\t")
        assert (label in (b"up", b"down", b"flat"), shown) == (True, cells)
        assert 1 / 3 <= float(share) <= 1
    process.stdin.write(b"\xff no end")
    rest, _ = process.communicate()
    assert rest.count(b"\n") == 1
    assert process.returncode == 0


def test_predict_ends_quietly_when_its_reader_has_seen_enough(trained, place):
    line = f"yes gain rise up | {shlex.join(command('predict', 'runs/a'))} | head -1; exit ${{PIPESTATUS[1]}}"
    run = subprocess.run(["bash", "-c", line], cwd=place, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("\tgain rise up\n")
    assert run.stdout.count("\n") == 1


def test_an_exported_file_answers_as_its_run_without_jax(trained, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    assert main(["export", "runs/a", "--out", "a.wave", "--dtype", "float32"]) == 0
    assert "0.00 % of the answers changed" in capsys.readouterr().out
    (place / "some.txt").write_text("gain rise up\nfall loss down\n")
    assert main(["predict", "runs/a", "some.txt", "--json"]) == 0
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in expected] == ["gain rise up", "fall loss down"]
    code = "import sys, wave_jax.cli.__main__ as cli; cli.main(sys.argv[1:]); sys.exit('jax' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, "predict", "a.wave", "some.txt", "--json"],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")
    for line, row in zip(run.stdout.splitlines(), expected, strict=True):
        found = json.loads(line)
        assert (found["label"], found["text"]) == (row["label"], row["text"])
        assert found["probability"] == pytest.approx(row["probability"], rel=1e-3)


def test_explain_shows_words_and_writes_a_page(trained, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    assert main(["explain", "runs/a", "a <b> gain rise up", "--out", "page.html", "--label", "up"]) == 0
    assert "rise" in capsys.readouterr().out
    assert "&lt;b&gt;" in (place / "page.html").read_text()
    assert main(["explain", "runs/a", "gain rise up", "--label", "up"]) == 0
    assert "rise" in (said := capsys.readouterr().out)
    assert "shows the text" not in said
    assert main(["explain", "runs/a", " "]) == 1
    assert capsys.readouterr().err == "wave-jax: The text has no words: give one to explain.\n"
    assert main(["explain", "runs/a", "a", "--out", "page.html", "--label", "away"]) == 1
    assert "label must be one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere"], "nowhere/config.json is missing: name the folder of a run."),
        (["predict", "nowhere"], "nowhere does not exist: name the folder of a run, or a file that `export`"),
        (["predict", "runs/a", "--threads", "2"], "threads must be 1 for a run folder"),
        (["predict", "runs/a", "no.txt"], "no.txt: No such file or directory."),
        (["predict", "texts/train.csv"], "no export of wave_jax wrote it"),
        (["train", "--data", "nowhere", "--out", "c"], "is neither a file or a folder of texts nor one of"),
        (
            ["train", *["--data", "texts", "--out", "c", "--model", "bert", "--weights", "none"]],
            "none/config.json is missing",
        ),
        (["evaluate", "runs/a", "--data", "planted"], "holds other texts than those of the run"),
        (
            ["train", *["--data", "blank", "--out", "c", "--no-whole-words", "--stems", "0"]],
            "No character occurs 2 times",
        ),
        (["demo", "--out", "texts"], "texts is there already"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_ends_with_1(
    arguments, message, trained, place, capsys, monkeypatch
):
    monkeypatch.chdir(place)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("wave-jax: ")
    with pytest.raises(Exception, match=r"."):
        main([*arguments, "--debug"])


def test_a_fault_of_the_program_says_so(capsys, monkeypatch):
    monkeypatch.setattr(__main__, "_run", lambda arguments: {}["x"])
    assert main([]) == 1
    assert "KeyError: 'x'\n--debug shows where" in capsys.readouterr().err


def test_an_error_of_the_output_is_named(capsys, monkeypatch):
    def full(arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(__main__, "_run", full)
    assert main([]) == 1
    assert capsys.readouterr().err == "wave-jax: the output: No space left on device.\n"


def test_ctrl_c_elsewhere_is_no_traceback(capsys, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "_run", interrupted)
    assert main([]) == 1
    assert capsys.readouterr().err == "\nwave-jax: interrupted.\n"


def test_the_door_itself_is_light_and_fits_80_columns(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for name in ("demo", "train", "evaluate", "predict", "explain", "export", "info"):
        assert f"\n  {name} " in shown
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("wave_jax ")


LIGHT = """
import sys
from wave_jax.cli.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(code, "jax" in sys.modules)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["train", "--data", "texts", "--out", "c", "--d", "0"], 2),
        (["train", "--data", "bad", "--out", "c"], 1),
        (["info", "runs/a"], 0),
    ],
)
def test_help_info_and_the_refusal_of_bad_texts_load_no_jax(arguments, code, trained, place):
    (place / "bad").mkdir(exist_ok=True)
    (place / "bad" / "train.csv").write_text("label,text\nup,gain\ndown\n")
    run = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], cwd=place, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == f"{code} False"
    assert ("train.csv, line 3" in run.stderr) == ("bad" in arguments)


def test_a_program_that_calls_a_command_keeps_its_way_to_search_garbage():
    before = gc.get_threshold()
    assert main(["--version"]) == 0
    assert gc.get_threshold() == before


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["evaluate"], ["predict", "a", "b", "c"], ["info", "--x"]]
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out


@pytest.mark.parametrize("name", ["evaluate", "predict", "explain", "export", "info", "demo"])
def test_the_help_of_a_command_fits_a_screen(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
