"""Exported files of SMALL: their size, what rounding costs, and texts per second without JAX.

    python -m benchmarks.predictor FOLDER          (about two minutes on 2 cores for AG News)

FOLDER holds train.csv and test.csv (see docs/datasets.md). Trains SMALL for two epochs and exports it in
every dtype; accuracy and changed answers are those on the validation split. Each file is measured in
processes that load no JAX: `start` is one that imports, loads, answers one text and ends, the median of
seven. The test texts are tokenized and answered by a predictor just loaded, which meets every word for the
first time, and then by the same again; two threads meet them for the first time. Where fastText is installed
(`pip install fasttext-numpy2-wheel`), it answers the same texts in turn with them, prepared beforehand.
Medians of five. Writes benchmarks/results/predictor.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.frame import peer
from wave_jax.data import datasets
from wave_jax.serving import predictor

ANSWER = (
    "import sys; from wave_jax import predictor; predictor.load(sys.argv[1]).predict(['Stocks fell again'])"
)


def clocked(function: Callable, *args: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


def start(file: str) -> float:
    """Measure the seconds of a process that answers one text."""
    return clocked(subprocess.check_call, [sys.executable, "-c", ANSWER, file])[1]


def measure(file: str, folder: str, model: str) -> dict[str, float]:
    """Measure texts per second, in a process without JAX."""
    texts = datasets.load(folder).test.texts
    peers = peer.loaded(model) if Path(model).exists() else None
    words = [peer.words(text) + "\n" for text in texts]
    seconds: dict[str, list[float]] = {}
    for _ in range(5):
        answers = predictor.load(file)
        for when in ("first", "again"):
            tokens, tokenizing = clocked(answers.tokenizer.encode, texts, answers.max_length)
            _, answering = clocked(answers.answer, tokens)
            seconds.setdefault(f"tokenizing, {when}", []).append(tokenizing)
            seconds.setdefault(f"answering, {when}", []).append(answering)
        for when, network in (("first", predictor.load(file)), ("again", answers)):
            seconds.setdefault(f"both, {when}", []).append(clocked(network.predict, texts)[1])
        seconds.setdefault("two threads", []).append(clocked(predictor.load(file, 2).predict, texts)[1])
        if peers is not None:
            seconds.setdefault("fastText", []).append(clocked(peer.answers, peers, words)[1])
    assert "jax" not in sys.modules
    return {name: len(texts) / statistics.median(values) for name, values in seconds.items()}


def exported(folder: str, out: Path) -> dict[str, Any]:
    """Export the network trained on the folder, in every dtype, and save fastText's model."""
    from wave_jax.runs import presets, run
    from wave_jax.serving import export

    dataset, small = datasets.load(folder), presets.preset("small")
    if find_spec("fasttext"):
        peer.trained(dataset.train, peer.SETTINGS)[0].save_model(str(out / "fastText"))
    prepared = run.prepare(dataset, replace(small, training=replace(small.training, epochs=2)))
    *_, last = run.train(prepared)
    return {
        dtype: export.save(
            out / dtype,
            prepared.trained(last.kept),
            dtype=dtype,
            valid=prepared.valid,
        )
        for dtype in ("float32", "float16", "int8")
    }


def main(folder: str) -> None:
    with tempfile.TemporaryDirectory() as out:
        files, rows = exported(folder, Path(out)), []
        for dtype, written in files.items():
            file = str(Path(out) / dtype)
            command = [
                sys.executable,
                "-m",
                "benchmarks.predictor",
                "--rates",
                file,
                folder,
                f"{out}/fastText",
            ]
            rates = json.loads(subprocess.check_output(command))
            rows.append(
                {
                    "dtype": dtype,
                    "MB": f"{written.size / 1e6:.2f}",
                    "accuracy": f"{written.loss.after:.2%}",
                    "answers changed": f"{written.loss.changed:.3%}",
                    "largest change of a logit": f"{written.loss.largest:.1e}",
                    "start, s": f"{statistics.median(start(file) for _ in range(7)):.2f}",
                }
                | {name: f"{rate:,.0f}" for name, rate in rates.items()}
            )
    from benchmarks.report import write

    loss, count = files["float32"].loss, len(datasets.load(folder).test.texts)
    notes = (
        f"Rates in texts per second, over {count:,} test texts; `answering` is from tokens to logits."
        f" Accuracy over {loss.texts:,} validation texts, the network's own {loss.before:.2%}."
        f" Load average of the machine at the end: {os.getloadavg()[0]:.1f}."
    )
    write("predictor", "Exported files of SMALL", rows, notes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rates"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        main(sys.argv[1])
