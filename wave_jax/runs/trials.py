"""The trials of a search for settings, each of them a run, of which the best becomes the run itself.

    with Search.open("runs/news", about, resume=True) as search:
        for number in range(len(search.trials) + 1, 21):
            ...                                                     # train in search.folder(number)
            search.add(trial)
        search.adopt()                                              # runs/news is now the best trial's run

search.json holds what is searched and every finished trial; only the best trial's network is kept.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wave_jax.disk import read_regular, sealed, unsealed, write_whole
from wave_jax.errors import CheckpointError, first_few
from wave_jax.runs.condition import SEARCH, condition, occupied
from wave_jax.runs.lock import locked, unlock

__all__ = ["Search", "Trial"]

_TRIALS = "trials"
_FORMAT = 1


class Trial(NamedTuple):
    """A trial that has ended."""

    options: str
    """What differs from the preset, as options of the command line."""
    accuracy: float | None
    """Of the network that its run keeps, over the validation texts; None if training met NaN or infinity."""
    bytes: int | None
    """Of its exported int8 file; None for a network that no file holds."""
    seconds: float


class Search:
    """The trials of a search on disk, and their folders; a `with` block keeps other runs out."""

    def __init__(self, path: Path, about: Mapping[str, Any], trials: list[Trial]):
        self.path, self.about, self.trials = path, dict(about), trials
        self._lock: int | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], about: Mapping[str, Any], *, resume: bool) -> "Search":
        """Open the search of a run folder, or a new one if there is none; another one is refused.

        Args:
          path: the run folder.
          about: all that trials depend on, as JSON holds it.
          resume: whether a search may be there already.
        """
        path = Path(path)
        file = path / SEARCH
        if not file.exists():
            if condition(path) != "missing":
                raise CheckpointError(f"{path} holds a run that no search made: name another folder (--out).")
            return cls(path, about, [])
        if not resume:
            raise occupied(path)
        found = _read(file)
        names = [name for name in {**found["about"], **about} if found["about"].get(name) != about.get(name)]
        if names:
            listed = [f"{name} is {found['about'].get(name)}, not {about.get(name)}" for name in names]
            raise CheckpointError(
                f"{path} holds a search of something else: {first_few(listed)}; name another folder, or leave"
                " these as they were."
            )
        return cls(path, about, [Trial(*trial) for trial in found["trials"]])

    def __enter__(self) -> "Search":
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = locked(self.path / ".lock")
        if not (self.path / SEARCH).exists():
            self._write()
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            unlock(self._lock)

    def folder(self, number: int) -> Path:
        """Return the run folder of a trial, counted from 1."""
        return self.path / _TRIALS / str(number)

    @property
    def best(self) -> int:
        """The trial of the highest accuracy, the earliest of equals; 0 if there is none."""
        known = [i for i, trial in enumerate(self.trials, 1) if trial.accuracy is not None]
        return max(known, key=lambda i: self.trials[i - 1].accuracy or 0.0, default=0)

    def add(self, trial: Trial) -> None:
        """Keep a trial that has ended, and the network of the best trial alone."""
        before = self.best
        self.trials.append(trial)
        self._write()
        loser = before if self.best == len(self.trials) else len(self.trials)
        shutil.rmtree(self.folder(loser), ignore_errors=True)

    def adopt(self) -> None:
        """Make the run of the best trial the run of this folder; what a kill interrupts is done again."""
        folder = self.folder(self.best)
        if (folder / "config.json").exists():
            for name in ("config.json", "metrics.json"):  # what was here is no run from now on
                if (folder / name).exists():  # else it has been moved already
                    (self.path / name).unlink(missing_ok=True)
            (self.path / "report.md").unlink(missing_ok=True)
            names = sorted(
                path.name for path in folder.iterdir() if path.name not in (".lock", "config.json")
            )
            for name in (*names, "config.json"):  # with it the folder is a run
                if (self.path / name).is_dir():
                    shutil.rmtree(self.path / name)
                os.replace(folder / name, self.path / name)
        shutil.rmtree(self.path / _TRIALS, ignore_errors=True)

    def _write(self) -> None:
        content = {"format": _FORMAT, "about": self.about, "trials": [list(trial) for trial in self.trials]}
        write_whole(self.path / SEARCH, sealed(content), flushed=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = unsealed(read_regular(file), "format", "about", "trials")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} was changed or cannot be read ({error}): put back a copy of it."
        ) from None
    if found["format"] != _FORMAT:
        raise CheckpointError(
            f"{file} is of format {found['format']}, not {_FORMAT}: take the wave_jax that wrote it."
        )
    return found
