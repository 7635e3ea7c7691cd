"""The temperature of a run's answers, chosen on its validation texts, and what it changes."""

from typing import Any

import numpy as np

from wave_jax.data.splits import Split
from wave_jax.networks.trace import Network
from wave_jax.runs.run import Prepared
from wave_jax.training import temperature
from wave_jax.training.evaluate import predict

__all__ = ["LEAST", "numbers"]

LEAST = 100
"""Validation texts that a temperature is chosen on, at least."""


def numbers(prepared: Prepared, network: Network, test: Split | None = None) -> dict[str, Any]:
    """Return the temperature of a network with log loss and calibration error of its answers, as metrics.

    There are none if the settings ask for none, if the validation texts are fewer than `LEAST`, or if they
    have several labels, which a threshold is chosen for, or probabilities, which are to be kept.

    Args:
      prepared: what `run.prepare` made.
      network: the network kept.
      test: the test split, if it is to be measured.
    """
    if not prepared.calibrate or prepared.valid.targets is not None or len(prepared.valid.labels) < LEAST:
        return {}
    splits = {"valid": prepared.valid}
    if test is not None:
        splits["test"] = prepared.trained(network).tokens(test)
    answers = {split: (predict(network, of), np.asarray(of.labels)) for split, of in splits.items()}
    answers = {split: (z[labels >= 0], labels[labels >= 0]) for split, (z, labels) in answers.items()}
    T = temperature.fitted(*answers["valid"])
    found: dict[str, Any] = {"temperature": T}
    for split, (z, labels) in answers.items():
        found |= {
            f"{split}_calibration_error": temperature.calibration_error(z, labels),
            f"{split}_calibrated_loss": temperature.log_loss(z / T, labels),
            f"{split}_calibrated_calibration_error": temperature.calibration_error(z / T, labels),
        }
    return found
