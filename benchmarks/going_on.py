"""Training on: half of a corpus first and the rest later, beside all of it at once.

    python -m benchmarks.going_on FOLDER...

Trains SMALL on every other training text of each folder (see docs/datasets.md), then goes on from that
network with the other half, or with all training texts, at the preset's rate and at lower ones. Three seeds.
Accuracy is that on the test split; the new rows are those of words, stems and pairs of the later texts.
Writes benchmarks/results/going_on.md.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import write
from wave_jax.data import datasets
from wave_jax.data.datasets import Dataset
from wave_jax.runs import result, run
from wave_jax.runs.continued import Start
from wave_jax.runs.hub import Saved
from wave_jax.runs.presets import SMALL, Preset

RATES = (3e-3, 1e-3, 3e-4)
SEEDS = range(3)


def trained(dataset: Dataset, preset: Preset, start: Start | None = None) -> tuple[Start, dict[str, Any]]:
    """Train; return the network as one to start from, and its numbers."""
    prepared = run.prepare(dataset, preset, start=start)
    network, records, _ = run.followed(prepared, verbose=False)
    found = result.measure(prepared, network, records, test=dataset.test, preset="small")
    rows = 0 if start is None else prepared.tokenizer.v - start.kept.tokenizer.v
    kept = Saved(prepared.settings, network, prepared.tokenizer, found, records)
    return Start(kept), {"test": found["test_accuracy"], "seconds": found["seconds"], "new rows": rows}


def ways(dataset: Dataset, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each way of training with its numbers."""
    preset = replace(SMALL, training=replace(SMALL.training, seed=seed))
    first, rest = (
        replace(dataset, train=dataset.train.take(np.arange(k, len(dataset.train), 2))) for k in (0, 1)
    )
    start, found = trained(first, preset)
    yield "half of the texts", found
    yield "all texts at once", trained(dataset, preset)[1]
    for rate in RATES:
        slower = replace(preset, training=replace(preset.training, rate=rate))
        yield f"half, then the other half at rate {rate:g}", trained(rest, slower, start)[1]
        yield f"half, then all texts at rate {rate:g}", trained(dataset, slower, start)[1]


def measure(folder: str) -> list[dict[str, Any]]:
    """Return a row for each way of training on a folder."""
    dataset = datasets.load(folder, valid=0.05)
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in SEEDS:
        for way, numbers in ways(dataset, seed):
            found.setdefault(way, []).append(numbers)
    return [
        {
            "corpus": Path(folder).name,
            "training": way,
            "test accuracy, mean": f"{np.mean([x['test'] for x in every]):.2%}",
            "of each seed": ", ".join(f"{x['test']:.2%}" for x in every),
            "new rows": f"{np.mean([x['new rows'] for x in every]):,.0f}",
            "seconds of the last training": f"{np.median([x['seconds'] for x in every]):.1f}",
        }
        for way, every in found.items()
    ]


if __name__ == "__main__":
    notes = (
        "Each line is SMALL with three seeds. The later training starts from the network of the first one and"
        " has its own Adam, and SMALL's settings but for the rate. Seconds are a median, under load."
    )
    rows = [row for folder in sys.argv[1:] for row in measure(folder)]
    write("going_on", "Training on with more texts, beside all at once", rows, notes)
