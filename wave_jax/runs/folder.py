"""The run folder: settings, tokenizer, records and saved steps, and the network rebuilt from them.

    with RunFolder.create("runs/first", settings, tokenizer) as folder:    # or RunFolder.open("runs/first")
        start = folder.resume() or network
        for state, record in fit(start, train, settings.training, valid=valid):
            folder.append(record)
            folder.save(state, metric=record.valid and record.valid.accuracy)

    RunFolder.open("runs/first").trained()                                 # needs nothing but the folder

docs/checkpoints.md says what is in the folder and what is promised.
"""

import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.disk import digest_of
from wave_jax.errors import CheckpointError, first_few
from wave_jax.networks.trace import Network
from wave_jax.runs import notes, records, steps
from wave_jax.runs.checkpoints import KEPT, Checkpoints
from wave_jax.runs.condition import measured_state, metrics_of, occupied, write_metrics
from wave_jax.runs.lock import is_first, locked, together, unlock
from wave_jax.runs.settings import Settings
from wave_jax.runs.trained import Trained
from wave_jax.training.loop import Record
from wave_jax.training.step import TrainState, init

__all__ = ["RunFolder", "abstract_state", "parameter_digest"]


def parameter_digest(network: Any) -> str:
    """Compute the SHA-256 over names, shapes, dtypes and numbers of all parameters.

    >>> import numpy as np
    >>> parameter_digest({"w": np.float32(1)})[:8]
    '60edb1cb'
    """
    return digest_of(steps.describe(steps.named(network)))


def abstract_state(settings: Settings) -> TrainState:
    """Return the state of a run with these settings, with shapes instead of arrays."""

    def state() -> TrainState:
        network = settings.network.build(v=settings.v, c=len(settings.classes), rngs=nnx.Rngs(0))
        return init(network)

    return jax.eval_shape(state)


class RunFolder:
    """A run on disk. `create` and `open` make one; a `with` block closes it at its end."""

    def __init__(self, path: Path, settings: Settings):
        self.path, self.settings = path, settings
        self._checkpoints = Checkpoints(path / "checkpoints", settings.digest)
        self._lines = path / "records.jsonl"
        self._lock: int | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], settings: Settings, tokenizer: Tokenizer) -> "RunFolder":
        """Create a new run folder, open for one run."""
        if (settings.tokenizer, settings.v) != (tokenizer.digest, max(settings.v, tokenizer.v)):
            cure = f"give them tokenizer=tokenizer.digest and v={tokenizer.v} or more"
            raise CheckpointError(f"The settings are of another tokenizer: {cure}.")
        folder = cls(Path(path), settings)
        folder._begin(tokenizer)
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """Open the run in a folder for reading; `resume` makes it one to go on with."""
        return cls(Path(path), Settings.read(Path(path) / "config.json"))

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait until the last step is on disk, and let other runs write here."""
        try:
            self._checkpoints.finish()
        finally:
            if self._lock is not None:
                unlock(self._lock)
                self._lock = None

    # reading

    @property
    def steps(self) -> list[int]:
        """The saved steps, the newest last."""
        return self._checkpoints.saved

    @property
    def best(self) -> int | None:
        """The step of the highest metric, the earliest of equals; None if none was saved with one."""
        return self._checkpoints.best

    @property
    def kept(self) -> int | None:
        """The step that the run keeps: the best, or the newest if none has a metric; None without steps.

        Raise a CheckpointError if the run is finished and this is not the step that was measured.
        """
        step = self._measured
        notes.check_measured(self._checkpoints.folder, step, measured_state(self.path))
        return step

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer that the network was trained with."""
        file = self.path / "tokenizer.json"
        try:
            tokenizer = Tokenizer.read(file)
        except Exception as error:
            raise CheckpointError(f"The tokenizer of the run is missing or damaged: {error}") from None
        if tokenizer.digest != self.settings.tokenizer:
            raise CheckpointError(
                f"{file} is not the tokenizer this run was trained with: put back the one it was saved with."
            )
        return tokenizer

    def records(self) -> list[Record]:
        """Read all records, the oldest first."""
        return records.read(self._lines)

    def metrics(self) -> dict[str, Any] | None:
        """Read metrics.json; None if the run is not finished."""
        return metrics_of(self.path)

    def network(self, step: int | None = None) -> Network:
        """Load the network of a step; for None the one that the run keeps, which `kept` finds."""
        return self.restore(self.kept if step is None else step).network

    def trained(self, step: int | None = None) -> Trained:
        """Load the network of a step, or the one that the run keeps, with its tokenizer and classes.

        If the run chose a temperature or a threshold for the network that it keeps, the answers have it.
        """
        metrics = self.metrics() if step is None else None
        return Trained.of(self.settings, self.network(step), self.tokenizer(), metrics)

    def restore(self, step: int | None = None, like: TrainState | None = None) -> TrainState:
        """Load the state of a step, or of the newest, bit for bit.

        `like`, of arrays or shapes, says which devices hold what; without it all is on the first one.
        """
        return self._checkpoints.load(step, self._shapes if like is None else like)

    # going on

    def expect(self, settings: Settings) -> None:
        """Raise a CheckpointError if the run was made with other settings than these."""
        differences = self.settings.differences(settings)
        if differences:
            raise CheckpointError(
                f"{self.path} is of another run: {first_few(differences)}; name another folder, or leave the"
                " settings as they were."
            )

    def resume(self, like: TrainState | None = None) -> TrainState | None:
        """Return the newest intact state, None if no step was saved; from here on the folder is for writing.

        A newer step that is damaged is reported as a warning and put aside as `<step>.damaged`: training from
        an older one leads to the same numbers. Records of later steps are dropped, for they will come again.
        """
        if self._lock is None:  # else `create` wrote it a moment ago
            self.tokenizer()
        self._claim()
        try:
            state = self._checkpoints.newest_intact(self._shapes if like is None else like)
            if is_first():
                records.forget_after(self._lines, 0 if state is None else int(state.step))
            together("resume")
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except BaseException:
            self.close()
            raise
        return state

    def append(self, record: Record) -> None:
        """Add a record; before `save` of the same step, so that a step on disk has all its records."""
        self._check_claimed()
        if not is_first():
            return
        try:
            records.append(self._lines, record)
        except OSError as error:
            raise self._unwritable(error) from None

    def save(self, state: TrainState, metric: Any = None) -> None:
        """Save a state under its step; a higher metric is better. Training may go on at once."""
        self._check_claimed()
        self._checkpoints.save(int(state.step), state, metric)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json, with the digest of the step that the run keeps: from here on it is finished."""
        last = max((record.step for record in self.records()), default=0)
        if last != self.steps[-1]:
            raise CheckpointError(
                f"{self._lines} ends with step {last}, not {self.steps[-1]}: put back a copy of it, or remove"
                f" {self._checkpoints.folder} and resume the run, which then trains anew."
            )
        step = self._measured
        assert step is not None  # the last record's, at least
        write_metrics(self.path, metrics, notes.digest(self._checkpoints.folder, step))

    # inside

    @property
    def _measured(self) -> int | None:
        """The step that a finished run is measured on: the best, or the newest if none has a metric."""
        best = self.best
        return max(self.steps, default=None) if best is None else best

    def _begin(self, tokenizer: Tokenizer) -> None:
        """Write the tokenizer and the settings of a new run."""
        self._claim()
        config = self.path / "config.json"
        if is_first() and (config.exists() or self.steps):
            self.close()
            raise occupied(self.path)
        try:
            if is_first():
                tokenizer.save(self.path / "tokenizer.json")
                self.settings.save(config)  # last: with it the folder is one
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        together("create")

    def _claim(self) -> None:
        """Make this the one run that writes here, and check that it can."""
        if self._lock is not None or not is_first():
            return
        steps.check_path(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.path / ".lock")
            self._check_link()
            self._checkpoints.folder.mkdir(exist_ok=True)
            steps.clean(self._checkpoints.folder)
            self._check_room()
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except CheckpointError:
            self.close()
            raise

    def _check_link(self) -> None:
        """Raise a CheckpointError if the steps are behind a link, as files elsewhere would be removed."""
        folder = self._checkpoints.folder
        if folder.is_symlink():
            raise CheckpointError(
                f"{folder} is a link, which is not followed: put the steps there, or make the whole run one."
            )

    def _check_room(self) -> None:
        """Check that the disk has room for all steps that exist at one time: kept, best, being written."""
        leaves = jax.tree.leaves(self._shapes)
        count = max(1, KEPT + 2 - len(self.steps))
        needed = count * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise CheckpointError(
                f"{self.path} has {free / 1e6:,.3f} MB free, but the checkpoints take {needed / 1e6:,.3f}:"
                " make room or name another folder."
            )

    def _check_claimed(self) -> None:
        if self._lock is None and is_first():
            raise CheckpointError(f"{self.path} is open for reading: call `resume()` before writing to it.")

    @cached_property
    def _shapes(self) -> TrainState:
        return abstract_state(self.settings)

    def _unwritable(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"{self.path} cannot be written ({error.strerror or error}): make room, change its"
            " permissions, or name another folder."
        )
