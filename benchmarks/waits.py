"""What a user waits for at first: a fit of 200 texts, its cross-validation, commands that compute nothing.

    python -m benchmarks.waits [ROUNDS]            (a minute a round on 2 cores)

Each is a process of its own, imports included. In each round everything is done twice: with empty caches of
tokens and compiled programs, and with what that left there. The texts are planted. Medians. Writes
benchmarks/results/waits.md.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import write
from benchmarks.whole import measured

_TEXTS = """\
from wave_jax import WaveClassifier
from wave_jax.data import datasets
train = datasets.load("planted", size=200).train
texts, labels = list(train.texts), train.labels
"""
PYTHON = {
    "`import wave_jax`": "import wave_jax",
    "`WaveClassifier().fit`, 200 texts": _TEXTS + "WaveClassifier().fit(texts, labels)",
    "`cross_val_score`, 5 folds of 200 texts": _TEXTS
    + "from sklearn.model_selection import cross_val_score\n"
    + "cross_val_score(WaveClassifier(), texts, labels, cv=5)",
}
COMMANDS = {
    "`wave-jax train --help`": (0, "train --help"),
    "`wave-jax info RUN`": (0, "info run"),
    "`wave-jax train` on a CSV file with a damaged line": (1, "train --data bad.csv --out other"),
}
_BAD = "label,text\n" + 199 * "good,fine words\n" + 'bad,"never closed\n'


def processes() -> dict[str, tuple[int, list[str]]]:
    """Return the processes: the status that each exits with, and its command."""
    first = {name: (0, [sys.executable, "-W", "ignore", "-c", code]) for name, code in PYTHON.items()}
    tool = [sys.executable, "-m", "wave_jax.cli"]
    return first | {name: (exits, [*tool, *line.split()]) for name, (exits, line) in COMMANDS.items()}


def one_round() -> dict[str, dict[str, float]]:
    """Measure each process with empty caches, then with full ones."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as caches:
        variables = {"WAVE_JAX_DATA": f"{caches}/data", "WAVE_JAX_PROGRAMS": f"{caches}/programs"}
        for caches_are in ("empty", "full"):
            for name, (exits, command) in processes().items():
                costs = measured(command, variables, exits)
                found.setdefault(name, {}).update(
                    {f"CPU s, caches {caches_are}": costs["CPU s"], f"s, caches {caches_are}": costs["s"]}
                )
    return found


def main(rounds: int) -> None:
    os.environ["PYTHONPATH"] = str(Path(__file__).absolute().parents[1])
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        Path("bad.csv").write_text(_BAD)
        Path("good.csv").write_text("label,text\n" + 100 * "good,fine words\n" + 100 * "bad,poor words\n")
        tiny = ["--data", "good.csv", "--epochs", "1", "--out", "run"]
        train = [sys.executable, "-m", "wave_jax.cli", "train", *tiny]
        subprocess.run(train, check=True, capture_output=True)
        found = [one_round() for _ in range(rounds)]
    rows = [
        {"process": name}
        | {cost: f"{statistics.median(turn[name][cost] for turn in found):.2f}" for cost in found[0][name]}
        for name in found[0]
    ]
    notes = f"Medians of {rounds}. Load average at the end {os.getloadavg()[0]:.1f}."
    write("waits", "What a user waits for at first", rows, notes)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
