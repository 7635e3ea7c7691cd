"""What a path is to a run: missing, begun or finished, as its metrics.json tells."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from wave_jax.disk import write_whole
from wave_jax.errors import CheckpointError

__all__ = ["Condition", "condition", "metrics_of", "occupied", "write_metrics"]

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


def metrics_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read the metrics.json of a run folder; None if the run is not finished."""
    file = Path(path) / "metrics.json"
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): remove it and resume the run.") from None


def write_metrics(path: str | os.PathLike[str], metrics: Mapping[str, Any]) -> None:
    """Write metrics.json into a run folder: from here on the run is finished."""
    write_whole(Path(path) / "metrics.json", (json.dumps(metrics, indent=1) + "\n").encode())
