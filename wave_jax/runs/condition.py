"""What a path is to a run: missing, begun or finished, as its metrics.json tells."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from wave_jax.disk import flush, read_regular, sealed, unsealed, write_whole
from wave_jax.errors import CheckpointError
from wave_jax.runs.settings import Settings

__all__ = [
    "SEARCH",
    "WEIGHTS",
    "Condition",
    "check_no_search",
    "condition",
    "measured_state",
    "metrics_of",
    "occupied",
    "settings_to_start",
    "write_metrics",
]

SEARCH = "search.json"
"""File of a search for settings (`trials`), whose run is there when it has ended."""

WEIGHTS = "model.safetensors"  # in a folder for the Hub, and in that of a BERT
_STATE = "state_digest"

Condition = Literal["missing", "begun", "finished"]


def condition(path: str | os.PathLike[str]) -> Condition:
    """Return whether a folder holds no run, a run that was begun, or a finished one.

    >>> condition("a folder that does not exist")
    'missing'
    """
    if not (Path(path) / "config.json").exists():
        return "missing"
    return "begun" if metrics_of(path) is None else "finished"


def occupied(path: str | os.PathLike[str]) -> CheckpointError:
    """Return the error for a path that was to be new and holds a run."""
    return CheckpointError(
        f"{path} holds a run already: resume it, or name another folder (--resume, --out)."
    )


def check_no_search(path: str | os.PathLike[str]) -> None:
    """Raise a CheckpointError if a folder holds a search that has no run yet."""
    if (Path(path) / SEARCH).exists() and condition(path) == "missing":
        raise CheckpointError(
            f"{path} holds a search: go on with it (--search, --resume), or name another folder (--out)."
        )


def settings_to_start(path: str | os.PathLike[str]) -> Settings:
    """Read the settings of what a run can start from: a finished run, or a folder for the Hub."""
    path = Path(path)
    if _is_of_a_bert(path):
        raise CheckpointError(f"{path} is a BERT and no run: start from it by --model bert --weights {path}.")
    settings = Settings.read(path / "config.json")
    if not (path / WEIGHTS).exists() and metrics_of(path) is None:
        raise CheckpointError(f"{path} is not finished: resume it first, or name a finished run.")
    return settings


def _is_of_a_bert(path: Path) -> bool:
    """Return whether a folder has the config.json of a BERT as Hugging Face writes it."""
    try:
        content = json.loads(read_regular(path / "config.json"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "model_type" in content


def metrics_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read the metrics in the metrics.json of a run folder; None if the run is not finished."""
    content = _read(path)
    return content and {name: value for name, value in content.items() if name != _STATE}


def measured_state(path: str | os.PathLike[str]) -> str | None:
    """Read which step the metrics were measured on, as the digest of its arrays; None if not finished."""
    content = _read(path)
    return content[_STATE] if content else None


def _read(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    file = Path(path) / "metrics.json"
    try:
        return unsealed(read_regular(file), _STATE)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} was changed or cannot be read ({error}): put back a copy, or remove it and resume the"
            " run."
        ) from None


def write_metrics(path: str | os.PathLike[str], metrics: Mapping[str, Any], state: str) -> None:
    """Write metrics.json, which ends with a digest of itself: from here on the run is finished.

    All of the folder is forced to the disk before: a power cut leaves no finished run without its step.

    Args:
      path: the run folder.
      metrics: the numbers of the run.
      state: digest of the arrays of the step that they were measured on.
    """
    flush(Path(path))
    write_whole(Path(path) / "metrics.json", sealed({**metrics, _STATE: state}), flushed=True)
