"""The temperature of a run's answers, chosen on its validation texts, and what it changes."""

from collections.abc import Mapping
from typing import Any

from wave_jax.training import temperature
from wave_jax.training.evaluate import Outputs

__all__ = ["LEAST", "numbers"]

LEAST = 100
"""Validation texts that a temperature is chosen on, at least."""


def numbers(outputs: Mapping[str, Outputs]) -> dict[str, Any]:
    """Return the temperature of a network with log loss and calibration error of its answers, as metrics.

    There are none if the validation texts are fewer than `LEAST`, or if they have several labels, which a
    threshold is chosen for, or probabilities, which are to be kept.

    Args:
      outputs: what the network makes of the validation texts, `valid`, and of other splits by their names.
    """
    if outputs["valid"].targets is not None or len(outputs["valid"].labels) < LEAST:
        return {}
    known = {split: (of.logits[of.labels >= 0], of.labels[of.labels >= 0]) for split, of in outputs.items()}
    T = temperature.fitted(*known["valid"])
    found: dict[str, Any] = {"temperature": T}
    for split, (z, labels) in known.items():
        found |= {
            f"{split}_calibration_error": temperature.calibration_error(z, labels),
            f"{split}_calibrated_loss": temperature.log_loss(z / T, labels),
            f"{split}_calibrated_calibration_error": temperature.calibration_error(z / T, labels),
        }
    return found
