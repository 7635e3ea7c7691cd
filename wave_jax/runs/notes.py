"""The notes beside saved steps: which steps there are and which is the best, without reading an array."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wave_jax.disk import digest_of, read_regular, unsealed
from wave_jax.errors import CheckpointError

__all__ = [
    "CURE",
    "NOTE",
    "Note",
    "best",
    "check_measured",
    "digest",
    "metric_of",
    "note_of",
    "note_under",
    "saved",
]

_log = logging.getLogger(__name__)

NOTE = "note.json"
CURE = "put back a copy of this step, or remove it (and metrics.json, if it is there) and resume the run"


class Note(NamedTuple):
    """The note beside the arrays of a step."""

    settings: str
    """Digest of the settings they were trained under."""
    metric: float | None
    arrays: dict[str, list]
    """Shape, dtype and SHA-256 of each."""
    files: Mapping[str, str] = {}
    """SHA-256 of each file of the step."""
    step: int = -1
    """The step's number: under another name it is not read."""


def saved(folder: Path) -> list[int]:
    """List the steps in a folder, the newest last."""
    return sorted(int(entry.name) for entry in folder.glob("*") if _is_step(entry))


def _is_step(entry: Path) -> bool:
    return re.fullmatch("0|[1-9][0-9]{0,9}", entry.name) is not None and entry.is_dir()


def note_of(folder: Path, step: int) -> Note:
    """Read the note beside the arrays of a step."""
    try:
        note = Note(**unsealed(read_regular(folder / str(step) / NOTE)))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"Step {step} in {folder} is damaged: {NOTE}, {error}; {CURE}.") from None
    if note.step != step:
        raise CheckpointError(f"Step {step} in {folder} is step {note.step} under another name; {CURE}.")
    return note


def note_under(folder: Path, step: int, settings: str) -> Note:
    """Read the note of a step; raise a CheckpointError unless it was saved under these settings."""
    note = note_of(folder, step)
    if note.settings != settings:
        raise CheckpointError(
            f"Step {step} in {folder} was saved under other settings than config.json's:"
            " files of two runs are mixed; put back the right ones."
        )
    return note


def metric_of(folder: Path, step: int, settings: str) -> float | None:
    """Return the metric of a step; None if it has none, or a damaged note, which is reported as a warning."""
    try:
        return note_under(folder, step, settings).metric
    except CheckpointError as error:
        _log.warning("%s It does not count as the best.", error)
        return None


def digest(folder: Path, step: int) -> str:
    """Return the digest of all arrays of a step, by those in its note."""
    return digest_of(note_of(folder, step).arrays)


def check_measured(folder: Path, step: int | None, measured: str | None) -> None:
    """Raise a CheckpointError if the step that a finished run keeps is not the one that was measured.

    Args:
      folder: where steps are saved.
      step: the step, if there is any.
      measured: digest of the step that was measured; None if the run is not finished.
    """
    if measured and (step is None or digest(folder, step) != measured):
        raise CheckpointError(
            f"{folder} does not hold the step that metrics.json was measured on: put back a copy of it, or"
            " remove metrics.json and resume the run."
        )


def best(metrics: Mapping[int, float | None]) -> int | None:
    """Return the step of the highest metric, the earliest of equals; None if there is none.

    >>> best({1: 0.5, 2: 0.7, 3: 0.7, 4: None})
    2
    """
    known = {step: metric for step, metric in metrics.items() if metric is not None}
    return max(known, key=lambda step: (known[step], -step), default=None)
