"""The saved steps of one run: the last three and the best, written behind the training that goes on."""

import logging
import math
from pathlib import Path
from typing import Any, TypeVar

import jax

from wave_jax.errors import CheckpointError
from wave_jax.runs import notes, steps
from wave_jax.runs.lock import is_first, together
from wave_jax.runs.notes import Note
from wave_jax.runs.steps import Writing

__all__ = ["KEPT", "Checkpoints"]

KEPT = 3  # the last steps; the best is kept as well
Tree = TypeVar("Tree")

_log = logging.getLogger(__name__)


class Checkpoints:
    """The steps in a folder, saved under the settings of one run."""

    def __init__(self, folder: Path, settings: str):
        self.folder, self._settings = folder, settings
        self._writing: Writing | None = None
        self._metrics: dict[int, float | None] = {}  # of the steps on disk

    @property
    def saved(self) -> list[int]:
        """The steps on disk, the newest last."""
        self.finish()
        return notes.saved(self.folder)

    @property
    def best(self) -> int | None:
        """The step of the highest metric, the earliest of equals; None if none was saved with one."""
        return notes.best({step: self._metric(step) for step in self.saved})

    def save(self, step: int, tree: Any, metric: Any = None) -> None:
        """Begin to save a state under its step.

        Args:
          step: number of the step.
          tree: the state; training may use it up as soon as this returns.
          metric: how good it is; higher is better.
        """
        self.finish()
        arrays = steps.named(tree)
        note = Note(self._settings, None, steps.describe(arrays))
        last = max(self.saved, default=-1)
        if step == last and self._note(step).arrays == note.arrays:
            return
        if step <= last:
            raise CheckpointError(
                f"{self.folder.parent} has saved step {last} already, so step {step} is of another run: go on"
                " from `resume()`, or name another folder."
            )
        if metric is not None and math.isfinite(metric):
            note = note._replace(metric=float(metric))
        self._writing = steps.write(self.folder, step, arrays, note)
        self._metrics[step] = note.metric

    def finish(self) -> None:
        """Wait for the step that is being written, then remove those that are too many."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        writing.finish()
        if is_first():
            on_disk = notes.saved(self.folder)
            best = notes.best({step: self._metric(step) for step in on_disk})
            for step in on_disk[:-KEPT]:
                if step != best:
                    steps.remove(self.folder, step)
        together("save")

    def load(self, step: int | None, like: Tree) -> Tree:
        """Load the arrays of a step, or of the newest for None, into the structure of `like`.

        Args:
          step: the step; it must be on disk.
          like: arrays or shapes; they say which devices hold what.
        """
        step = self._existing(step)
        self._note(step)
        names = steps.named(like)
        arrays = steps.load(self.folder, step, names)
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in names])

    def newest_intact(self, like: Tree) -> Tree | None:
        """Load the newest step that is intact; None if no step was saved.

        Newer steps that are damaged are reported as a warning and put aside, and so are older ones with a
        damaged note.
        """
        damaged: dict[int, CheckpointError] = {}
        state = newest = None
        for step in reversed(self.saved):
            try:
                if newest is not None:
                    self._note(step)
                else:
                    state, newest = self.load(step, like), step
            except CheckpointError as error:
                damaged[step] = error
        if damaged and newest is None:
            raise next(iter(damaged.values()))
        for step, error in damaged.items():
            _log.warning("%s It is put aside; going on from step %d.", error, newest)
            if is_first():
                steps.put_aside(self.folder, step)
        return state

    def _metric(self, step: int) -> float | None:
        """Return the metric of a step, which is read once."""
        if step not in self._metrics:
            self._metrics[step] = notes.metric_of(self.folder, step, self._settings)
        return self._metrics[step]

    def _note(self, step: int) -> Note:
        return notes.note_under(self.folder, step, self._settings)

    def _existing(self, step: int | None) -> int:
        """Return the step, or the newest for None, if it is on disk."""
        on_disk = self.saved
        if on_disk and step in (None, *on_disk):
            return on_disk[-1] if step is None else step
        what = "no step" if step is None else f"no step {step}"
        raise CheckpointError(f"{self.folder} holds {what}; there are {on_disk or 'none'}.")
