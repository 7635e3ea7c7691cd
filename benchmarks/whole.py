"""From CSV files to a tested model as one process: `wave-jax train --preset small --test` beside fastText.

    python -m benchmarks.whole FOLDER [ROUNDS]     (three minutes a round on 2 cores for AG News)

FOLDER holds train.csv and test.csv (see docs/datasets.md). In each round, in turn: SMALL with empty caches,
SMALL again with what that left there (tokenizer, tokens, compiled programs), and fastText, if it is installed
(`pip install fasttext-numpy2-wheel`), with the settings of experiments/small.py: it reads the same files
without JAX, trains on the same share of the texts and is tested on the same. Wall time, CPU time of all
threads and peak memory are those of the whole process; medians. Writes benchmarks/results/whole.md.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from experiments.frame import peer
from wave_jax.data import datasets
from wave_jax.runs import presets


def measured(command: Sequence[str], variables: Mapping[str, str], exits: int = 0) -> dict[str, float]:
    """Run a process; return its seconds, the seconds of its cores, and its largest memory.

    Args:
      command: the program and its arguments.
      variables: what is added to its environment.
      exits: exit status that is expected.
    """
    start = time.perf_counter()
    with open(os.devnull, "w") as nowhere:
        child = os.posix_spawn(
            command[0],
            list(command),
            {**os.environ, **variables},
            file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)],
        )
        _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != exits:
        raise RuntimeError(f"{' '.join(command)} did not exit with {exits}.")
    return {
        "s": time.perf_counter() - start,
        "CPU s": usage.ru_utime + usage.ru_stime,
        "GB": usage.ru_maxrss / 2**20,
    }


def one_round(folder: str) -> dict[str, dict[str, float]]:
    """Measure each once, the caches of SMALL empty at first."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        caches = {"WAVE_JAX_DATA": f"{place}/data", "WAVE_JAX_PROGRAMS": f"{place}/programs"}
        for name in ("SMALL, first run", "SMALL, second run"):
            out = Path(place, name)
            options = ["--preset", "small", "--data", folder, "--out", str(out), "--test"]
            command = [sys.executable, "-m", "wave_jax.cli", "train", *options]
            found[name] = measured(command, caches)
            metrics = json.loads((out / "metrics.json").read_text())
            found[name] |= {"accuracy": metrics["test_accuracy"]}
        if find_spec("fasttext"):
            out = Path(place, "fastText")
            found["fastText"] = measured(
                [sys.executable, "-m", "benchmarks.whole", "--peer", folder, str(out)], {}
            )
            found["fastText"] |= {"accuracy": float(out.read_text())}
    return found


def of_peer(folder: str, out: str) -> None:
    """Train and test fastText in this process."""
    dataset = datasets.load(folder, valid=presets.SMALL.valid)
    model, _ = peer.trained(dataset.train, peer.SETTINGS)
    Path(out).write_text(str(peer.accuracy(model, dataset.test)))
    assert "jax" not in sys.modules


def row(name: str, rounds: Sequence[Mapping[str, dict[str, float]]]) -> dict[str, object]:
    """Return the medians of one of the processes, and the medians of its times over fastText's."""
    middle = {key: statistics.median(each[name][key] for each in rounds) for key in rounds[0][name]}
    cells: dict[str, object] = {
        "process": name,
        "wall time, s": f"{middle['s']:.1f}",
        "CPU time, s": f"{middle['CPU s']:.1f}",
        "peak memory, GB": f"{middle['GB']:.2f}",
        "test accuracy": f"{middle['accuracy']:.2%}",
    }
    if "fastText" in rounds[0]:
        for key, head in (("s", "wall time / fastText's"), ("CPU s", "CPU time / fastText's")):
            ratio = statistics.median(each[name][key] / each["fastText"][key] for each in rounds)
            cells[head] = f"{ratio:.2f}"
    return cells


def main(folder: str, count: int) -> None:
    rounds = [one_round(folder) for _ in range(count)]
    from benchmarks.report import write

    notes = f"Medians of {count}, also of the ratios. Load average at the end {os.getloadavg()[0]:.1f}."
    absent = "" if "fastText" in rounds[0] else " fastText is not installed here."
    write(
        "whole", "From CSV files to a tested model", [row(name, rounds) for name in rounds[0]], notes + absent
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        of_peer(*sys.argv[2:])
    else:
        main(sys.argv[1], int((*sys.argv[2:], 5)[0]))
