"""What a temperature does to SMALL's probabilities: log loss and calibration error on the test split.

    python -m benchmarks.calibration FOLDER...

Trains SMALL on each folder (see docs/datasets.md). Its own validation texts validate, or a fifth of the
training texts; the temperature is chosen on these alone. Writes benchmarks/results/calibration.md.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import write
from wave_jax.data import datasets
from wave_jax.runs import calibration, presets, result, run
from wave_jax.training.evaluate import outputs


def measure(folder: str) -> dict[str, Any]:
    """Train on a folder; return what the temperature changes on its test split."""
    dataset = datasets.load(folder)
    prepared, records = run.prepare(dataset, presets.preset("small")), []
    network = prepared.network
    for turn in run.train(prepared):
        network = turn.kept
        records.append(turn.record)
    metrics = result.measure(prepared, network, records, test=dataset.test)
    splits = {"valid": prepared.valid, "test": prepared.trained(network).tokens(dataset.test)}
    answered = {split: outputs(network, tokens) for split, tokens in splits.items()}
    start = time.perf_counter()
    found, logits = calibration.numbers(answered), answered["test"].logits
    seconds = time.perf_counter() - start
    same = np.mean((logits / found["temperature"]).argmax(-1) == logits.argmax(-1))
    return {
        "corpus": Path(folder).name,
        "validation texts": len(prepared.valid.labels),
        "temperature": f"{found['temperature']:.3f}",
        "test accuracy": f"{metrics['test_accuracy']:.2%}",
        "answers that stay": f"{same:.2%}",
        "log loss before": f"{metrics['test_loss']:.4f}",
        "after": f"{found['test_calibrated_loss']:.4f}",
        "calibration error before": f"{found['test_calibration_error']:.4f}",
        "after it": f"{found['test_calibrated_calibration_error']:.4f}",
        "seconds": f"{seconds:.1f}",
    }


if __name__ == "__main__":
    notes = (
        "Log loss and expected calibration error (15 bins) on the test split, before and after the division"
        " of the logits by the temperature. Seconds are those of choosing it and of these numbers."
    )
    rows = [measure(folder) for folder in sys.argv[1:]]
    write("calibration", "A temperature for SMALL, chosen on validation texts", rows, notes)
