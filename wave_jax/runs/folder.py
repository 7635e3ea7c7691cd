"""The run folder: settings, tokenizer, records and saved steps, and the network rebuilt from them.

    with RunFolder.create("runs/first", settings, tokenizer) as folder:    # or RunFolder.open("runs/first")
        start = folder.resume() or network
        for state, record in fit(start, train, settings.training, valid=valid):
            folder.append(record)
            folder.save(state, metric=record.valid and record.valid.accuracy)

    RunFolder.open("runs/first").network()                                 # needs nothing but the folder

See docs/checkpoints.md for what is in the folder and what is promised.
"""

import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.disk import digest_of, write_whole
from wave_jax.errors import CheckpointError, first_few
from wave_jax.runs import steps
from wave_jax.runs.lock import is_first, locked, together
from wave_jax.runs.records import _line, _record
from wave_jax.runs.settings import Settings
from wave_jax.runs.steps import Note, Writing
from wave_jax.runs.trained import Trained
from wave_jax.training.loop import Record
from wave_jax.training.step import TrainState, init

__all__ = ["RunFolder", "abstract_state", "parameter_digest"]

_KEEP = 3  # the last steps; beside them stays the best

_log = logging.getLogger(__name__)


def parameter_digest(network: Any) -> str:
    """SHA-256 over names, shapes, dtypes and numbers of all parameters.

    >>> parameter_digest({"w": np.float32(1)})[:8]
    '60edb1cb'
    """
    return digest_of(steps.describe(steps.named(network)))


def abstract_state(settings: Settings) -> TrainState:
    """Return the state of a run with these settings, with shapes in place of arrays."""

    def state() -> TrainState:
        network = settings.network.build(v=settings.v, c=len(settings.classes), rngs=nnx.Rngs(0))
        return init(network)

    return jax.eval_shape(state)


class RunFolder:
    """A run on disk. `create` and `open` make one; a `with` block closes it at its end."""

    def __init__(self, path: Path, settings: Settings):
        self.path, self.settings = path, settings
        self._checkpoints = path / "checkpoints"
        self._lock: int | None = None
        self._writing: Writing | None = None
        self._metrics: dict[int, float | None] = {}  # of the steps that are there

    @classmethod
    def create(cls, path: str | os.PathLike[str], settings: Settings, tokenizer: Tokenizer) -> "RunFolder":
        """Begin a new run folder, open for one run."""
        if (settings.tokenizer, settings.v) != (tokenizer.digest, max(settings.v, tokenizer.v)):
            raise CheckpointError(
                f"The settings are of another tokenizer: give them tokenizer=tokenizer.digest and"
                f" v={tokenizer.v} or more."
            )
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
            self._finish()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    # reading

    @property
    def steps(self) -> list[int]:
        """The steps saved here, the newest last."""
        self._finish()
        return steps.saved(self._checkpoints)

    @property
    def best(self) -> int | None:
        """The step of the highest metric, the earliest of equals; None where none was saved with one."""
        return _best({step: self._note(step).metric for step in self.steps})

    def tokenizer(self) -> Tokenizer:
        """The tokenizer the network was trained with."""
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
        """All records, the oldest first."""
        return [record for record, _ in self._records()]

    def network(self, step: int | None = None) -> Any:
        """The network alone, of a step: of the best, or of the newest where none was saved with a metric."""
        like = abstract_state(self.settings).network
        step = self.best if step is None else step
        return self._load(self._existing(step), like, "network.")

    def trained(self, step: int | None = None) -> Trained:
        """Return the network of a step, or the one that the run keeps, with its tokenizer and classes."""
        return self.settings.trained(self.network(step), self.tokenizer())

    def restore(self, step: int | None = None, like: TrainState | None = None) -> TrainState:
        """The state of a step, or of the newest, bit for bit.

        `like`, of arrays or shapes, says which devices hold what; without it all is on the first one.
        """
        like = abstract_state(self.settings) if like is None else like
        return self._load(self._existing(step), like)

    # going on

    def expect(self, settings: Settings) -> None:
        """Raises CheckpointError where the run was made with other settings than these."""
        found = self.settings.differences(settings)
        if found:
            raise CheckpointError(
                f"{self.path} is of another run: {first_few(found)}; name another folder, or leave the"
                " settings as they were."
            )

    def resume(self, like: TrainState | None = None) -> TrainState | None:
        """The newest intact state, None where no step was saved yet; from here on the folder is for writing.

        A newer step that is damaged is reported as a warning and put aside as `<step>.damaged`: training from
        an older one leads to the same numbers. Records of later steps are dropped, for they will come again.
        """
        self._claim()
        try:
            self.tokenizer()
            state = self._newest_intact(like)
            self._forget_after(0 if state is None else int(state.step))
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
            with (self.path / "records.jsonl").open("a", encoding="utf-8") as file:
                file.write(_line(record))
        except OSError as error:
            raise self._unwritable(error) from None

    def save(self, state: TrainState, metric: Any = None) -> None:
        """Save a state under its step; a higher metric is better. Training may go on at once."""
        self._check_claimed()
        self._finish()
        step, arrays = int(state.step), steps.named(state)
        note = Note(self.settings.digest, None, steps.describe(arrays))
        last = max(self.steps, default=-1)
        if step == last and self._note(step).arrays == note.arrays:
            return
        if step <= last:
            raise CheckpointError(
                f"{self.path} has saved step {last} already, so step {step} is of another run: go on from"
                " `resume()`, or name another folder."
            )
        if metric is not None and math.isfinite(metric):
            note = note._replace(metric=float(metric))
        self._writing = steps.write(self._checkpoints, step, arrays, note)
        self._metrics[step] = note.metric

    # inside

    def _begin(self, tokenizer: Tokenizer) -> None:
        self._claim()
        config = self.path / "config.json"
        if is_first() and (config.exists() or self.steps):
            self.close()
            raise CheckpointError(
                f"{self.path} holds a run already: open it to go on, or name another folder."
            )
        try:
            if is_first():
                tokenizer.save(self.path / "tokenizer.json")
                self.settings.save(config)  # last: with it the folder is one
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        together("create")

    def _finish(self) -> None:
        """Wait for the step being written, then remove those that are too many."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        writing.finish()
        if is_first():
            there = self.steps
            best = _best({step: self._metric(step) for step in there})
            for step in there[:-_KEEP]:
                if step != best:
                    steps.remove(self._checkpoints, step)
        together("save")

    def _metric(self, step: int) -> float | None:
        if step not in self._metrics:
            try:
                self._metrics[step] = self._note(step).metric
            except CheckpointError as error:
                _log.warning("%s It does not count as the best.", error)
                self._metrics[step] = None
        return self._metrics[step]

    def _note(self, step: int) -> Note:
        note = steps.note_of(self._checkpoints, step)
        if note.settings != self.settings.digest:
            raise CheckpointError(
                f"Step {step} in {self._checkpoints} was saved under other settings than config.json's:"
                " files of two runs are mixed; put back the right ones."
            )
        return note

    def _existing(self, step: int | None) -> int:
        """The step, or the newest for None, if it is there."""
        there = self.steps
        if there and step in (None, *there):
            return there[-1] if step is None else step
        what = "no step" if step is None else f"no step {step}"
        raise CheckpointError(f"{self._checkpoints} holds {what}; there are {there or 'none'}.")

    def _load(self, step: int, like: Any, within: str = "") -> Any:
        """`like` with the arrays of a step, which are named there as here, after `within`."""
        self._note(step)
        names = {within + name: leaf for name, leaf in steps.named(like).items()}
        arrays = steps.load(self._checkpoints, step, names)
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in names])

    def _records(self) -> list[tuple[Record, str]]:
        """Each record and its line. A last line without its end is being written, or was when killed."""
        file, found = self.path / "records.jsonl", []
        lines = file.read_text("utf-8", "replace").split("\n")[:-1] if file.exists() else []
        for row, line in enumerate(lines, 1):
            try:
                found.append((_record(line), line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise CheckpointError(f"{file}:{row} is no record: mend or remove this line.") from None
        return found

    def _newest_intact(self, like: TrainState | None) -> TrainState | None:
        damaged = []
        for step in reversed(self.steps):
            try:
                state = self.restore(step, like)
            except CheckpointError as error:
                damaged.append((step, error))
                continue
            for bad, error in damaged:
                _log.warning("%s It is put aside; going on from step %d.", error, step)
                if is_first():
                    steps.put_aside(self._checkpoints, bad)
            return state
        if damaged:
            raise damaged[0][1]
        return None

    def _forget_after(self, step: int) -> None:
        if is_first():
            lines = [line + "\n" for record, line in self._records() if record.step <= step]
            write_whole(self.path / "records.jsonl", "".join(lines).encode())
        together("resume")

    def _claim(self) -> None:
        """Make this the one run that writes here, and see that it can."""
        if self._lock is not None or not is_first():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.path / ".lock")
            self._checkpoints.mkdir(exist_ok=True)
            steps.clean(self._checkpoints)
            self._check_room()
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except CheckpointError:
            self.close()
            raise

    def _check_room(self) -> None:
        """There is room for all the steps that this run ever has at one time: kept, best, being written."""
        leaves = jax.tree.leaves(abstract_state(self.settings))
        count = max(1, _KEEP + 2 - len(self.steps))
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

    def _unwritable(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"{self.path} cannot be written ({error.strerror or error}): make room, change its"
            " permissions, or name another folder."
        )


def _best(metrics: Mapping[int, float | None]) -> int | None:
    known = {step: metric for step, metric in metrics.items() if metric is not None}
    return max(known, key=lambda step: (known[step], -step), default=None)
