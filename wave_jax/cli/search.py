"""The option `--search` of `train`: trials of settings, a table of them, and the settings of the best one."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from wave_jax import tables
from wave_jax.cli import terminal
from wave_jax.cli.info import option, percent
from wave_jax.data.datasets import Dataset
from wave_jax.disk import write_whole
from wave_jax.errors import DataError, check_setting
from wave_jax.networks.kinds import kind_of
from wave_jax.runs import result, run, space
from wave_jax.runs.presets import Preset, filled
from wave_jax.runs.trials import Search, Trial
from wave_jax.serving import size

__all__ = ["Trials", "summary"]

_WIDTH = 46  # of the options, in a table of 80 columns


class Trials(NamedTuple):
    """What the trials of a search are made of."""

    dataset: Dataset
    preset: Preset
    """Where it starts: its first trial."""
    total: int
    most: int | None = None
    """Bytes that the exported int8 file of each trial may have; None for any number."""
    cache: Path | None = None
    origin: dict[str, Any] | None = None
    name: str | None = None
    """Name of the preset, for the record."""

    @property
    def about(self) -> dict[str, Any]:
        """All that the trials depend on, as JSON holds it; with more of them the first stay as they were."""
        settings = asdict(self.preset)
        parts = {**settings.pop("network"), **settings.pop("training"), **settings}
        return {
            "texts": self.dataset.digest[:12],
            "kind": kind_of(self.preset.network),
            "size": self.most,
            "space": ", ".join(f"{name} {values}" for name, values in space.SPACE.items()),
            **{name: str(value) if isinstance(value, Path) else value for name, value in parts.items()},
        }

    def drawn(self) -> list[Preset]:
        """Return the presets of all trials before they are shrunk to a size; all start from the first."""
        base = filled(self.preset, run.tokenizer_of(self.dataset, self.preset, self.cache))
        epochs = self.preset.training.epochs_for(self.dataset.train.asked)
        return space.drawn(base, epochs, self.preset.training.seed, self.total)

    def of(self, drawn: Sequence[Preset], number: int) -> Preset:
        """Return the preset of a trial, shrunk to the size."""
        preset = drawn[number - 1] if number > 1 else self.preset
        return size.fitted(self.dataset, preset, self.most, self.cache) if self.most else preset

    def search(self, path: Path, *, resume: bool) -> Preset | None:
        """Run the trials that are not there yet, and make the best one the run; None if a signal stopped it.

        Args:
          path: the run folder.
          resume: whether a search may be there already.
        """
        check_setting("search", self.total, self.total >= 1, "at least 1 trial")
        if not len(self.dataset.valid):
            raise DataError("A search compares its trials on validation texts: give some (--valid).")
        search = Search.open(path, self.about, resume=resume)
        if len(search.trials) > self.total:
            raise ValueError(
                f"{path} has {len(search.trials)} trials already: give --search as many or more."
            )
        drawn = self.drawn()
        self.of(drawn, 1)  # a size that nothing fits into is said before a folder is made
        with search:
            for number in range(len(search.trials) + 1, self.total + 1):
                trial = self._tried(drawn, number, search.folder(number))
                if trial is None:
                    return None
                search.add(trial)
                print(_line(trial, f"trial {number} of {self.total}: "), flush=True)
            if not search.best:
                raise ValueError("No trial stayed finite: start from a lower rate (--rate).")
            search.adopt()
            found = summary(search.trials, search.best, len(self.dataset.valid))
            page = f"# A search of {len(search.trials)} trials\n\n```text\n{found}\n```\n"
            write_whole(path / "search.md", page.encode())
        print(f"\n{found}\n")
        return self.of(drawn, search.best)

    def _tried(self, drawn: Sequence[Preset], number: int, path: Path) -> Trial | None:
        """Run a trial; None if a signal stopped it."""
        preset = self.of(drawn, number)
        differing = min((space.changes(preset, start) for start in (self.preset, drawn[0])), key=len)
        options = " ".join(option(name.replace("_", "-"), value) for name, value in differing.items())
        prepared = run.prepare(self.dataset, preset, cache=self.cache, origin=self.origin)
        with run.run_folder(path, prepared, resume=True) as folder:
            try:
                if terminal.train(prepared, folder, lines=False):
                    return None
            except FloatingPointError:
                return Trial(options, None, None, 0.0)
            metrics = result.finish(folder, prepared, preset=self.name)
            found = size.measured(folder.trained(), self.most)
        return Trial(options, metrics["valid_accuracy"], found, metrics["seconds"])


# --- what is said of them -----------------------------------------------------------------------------------


def summary(trials: Sequence[Trial], best: int, texts: int) -> str:
    """Write the trials as a table of 80 columns, which one won, and how far its accuracy can be trusted.

    >>> trials = [Trial("", 0.9, 2_813_000, 49.0), Trial("--d 48", 0.92, 1_405_000, 38.0)]
    >>> print(summary(trials, 2, 1000))
    trial  valid %    kB   s  options
    -----  -------  ----  --  -------
        1    90.00  2813  49  none
        2    92.00  1405  38  --d 48
    <BLANKLINE>
    Trial 2 won: valid 92.00 %, 1,405 kB as an int8 file, trained in 38 s
      --d 48
    The preset, trial 1, has 90.00 %.
    Over 1,000 texts an accuracy is known to ±1.7 points (95 %).
    """
    won, first = trials[best - 1], trials[0]
    share = won.accuracy or 0.0
    known = 196 * math.sqrt(share * (1 - share) / texts)
    said = [tables.plain(_rows(trials)), "", _line(won, f"Trial {best} won: ")]
    if best > 1 and first.accuracy is not None:
        said.append(f"The preset, trial 1, has {percent(first.accuracy)}.")
    said.append(f"Over {texts:,} texts an accuracy is known to ±{known:.1f} points (95 %).")
    return "\n".join(said)


def _line(trial: Trial, head: str) -> str:
    """Write a trial in a line, and its options in those below."""
    if trial.accuracy is None:
        told = f"{head}NaN or infinite numbers"
    else:
        file = "" if trial.bytes is None else f", {trial.bytes / 1000:,.0f} kB as an int8 file"
        told = f"{head}valid {percent(trial.accuracy)}{file}, trained in {trial.seconds:.0f} s"
    return "\n".join([told, *("  " + line for line in _wrapped(trial.options, 76))])


def _rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return the rows of the table: options that need more than a line get more rows."""
    rows = []
    for i, trial in enumerate(trials, 1):
        first, *more = _wrapped(trial.options, _WIDTH) or ["none"]
        numbers = {
            "valid %": None if trial.accuracy is None else round(100 * trial.accuracy, 2),
            "kB": None if trial.bytes is None else round(trial.bytes / 1000),
            "s": round(trial.seconds),
        }
        rows += [{"trial": i, **numbers, "options": first}, *({"options": line} for line in more)]
    return rows


def _wrapped(options: str, width: int) -> list[str]:
    """Wrap options, each with its value."""
    return [line.replace("\xa0", " ") for line in textwrap.wrap(options, width, break_on_hyphens=False)]
