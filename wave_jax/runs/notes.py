"""The notes beside saved steps: which steps there are and which is the best, without reading an array."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wave_jax.disk import unsealed
from wave_jax.errors import CheckpointError

__all__ = ["NOTE", "Note", "best", "note_of", "note_under", "saved"]

NOTE = "note.json"


class Note(NamedTuple):
    """The note beside the arrays of a step."""

    settings: str
    """Digest of the settings they were trained under."""
    metric: float | None
    arrays: dict[str, list]
    """Shape, dtype and SHA-256 of each."""
    files: Mapping[str, str] = {}
    """SHA-256 of each file of the step."""


def saved(folder: Path) -> list[int]:
    """List the steps in a folder, the newest last."""
    return sorted(int(entry.name) for entry in folder.glob("*") if entry.name.isdecimal())


def note_of(folder: Path, step: int) -> Note:
    """Read the note beside the arrays of a step."""
    try:
        return Note(**unsealed((folder / str(step) / NOTE).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"Step {step} in {folder} is damaged: {NOTE}, {error}.") from None


def note_under(folder: Path, step: int, settings: str) -> Note:
    """Read the note of a step; raise a CheckpointError unless it was saved under these settings."""
    note = note_of(folder, step)
    if note.settings != settings:
        raise CheckpointError(
            f"Step {step} in {folder} was saved under other settings than config.json's:"
            " files of two runs are mixed; put back the right ones."
        )
    return note


def best(metrics: Mapping[int, float | None]) -> int | None:
    """Return the step of the highest metric, the earliest of equals; None if there is none.

    >>> best({1: 0.5, 2: 0.7, 3: 0.7, 4: None})
    2
    """
    known = {step: metric for step, metric in metrics.items() if metric is not None}
    return max(known, key=lambda step: (known[step], -step), default=None)
