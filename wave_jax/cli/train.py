"""The command `train`: the settings of a preset as options, a bar, and a loop that a signal can stop."""

import dataclasses
import re
import shlex
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tqdm import tqdm

from wave_jax.cli import report
from wave_jax.data import datasets, published
from wave_jax.networks.kinds import Kind
from wave_jax.networks.layers import count_parameters
from wave_jax.runs import presets, run
from wave_jax.runs.condition import condition, metrics_of, occupied
from wave_jax.runs.folder import RunFolder
from wave_jax.runs.presets import PRESETS, Preset
from wave_jax.runs.run import Prepared
from wave_jax.training.loop import Record

__all__ = ["Train", "parse", "progress", "stopping"]

_FLAGS = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands)
_ABOUT = """\
Train a network on labelled texts and write a run folder.
  wave-jax train --data planted --out runs/first
  wave-jax train --data ag_news --out runs/paper --preset paper-modulation
"""
_SETTINGS = """
Every setting of the preset is an option too; --settings explains them:
{listed}
"""

_PresetName = Annotated[
    Literal[tuple(PRESETS)],  # pyright: ignore[reportInvalidTypeForm]
    tyro.conf.arg(help="Named settings; every one of them can be changed by an option."),
]
_Model = Annotated[
    Kind, tyro.conf.arg(help="Wave Network, or a baseline of its size; bert needs --weights FOLDER.")
]


@dataclass(frozen=True)
class _First:
    """What decides which settings there are."""

    preset: _PresetName = "small"  # pyright: ignore[reportInvalidTypeForm]
    model: _Model = "wave"
    weights: Path | None = None


@dataclass(frozen=True)
class Train:
    """All options of the command."""

    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """Name of a corpus, or a folder with train.csv."""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """Run folder to write."""
    preset: _PresetName  # pyright: ignore[reportInvalidTypeForm]
    model: _Model
    settings: Preset
    test: bool = False
    """Measure on the test split too, at the end."""
    resume: bool = False
    """Resume a run that was stopped; start it if there is none."""
    arguments: tyro.conf.Suppress[tuple[str, ...]] = ()

    def __call__(self) -> int:
        if self._is_finished():
            print(f"{self.out} is finished: {report.in_short(metrics_of(self.out) or {})}")
            return 0
        origin = {**run.origin_of(self.data), "valid": self.settings.valid}
        dataset = datasets.load(**origin)
        if self.test and not dataset.has_test:
            raise datasets.DataError(f"{dataset.name} has no test split: leave out --test, or add test.csv.")
        cache = published.data_folder() / "tokens"
        prepared = run.prepare(dataset, self.settings, cache=cache, origin=origin)
        with run.run_folder(self.out, prepared, resume=self.resume) as folder:
            print(_head(prepared), flush=True)
            stopped = _loop(prepared, folder)
            if stopped:
                print(f"Stopped and saved at step {stopped:,} of {prepared.steps:,}. To go on:")
                print(f"  {self._again()}")
                return 1
            test = dataset.test if self.test else None
            metrics = run.finish(folder, prepared, test=test, preset=self.preset)
            report.write(folder, metrics)
        print(f"{report.in_short(metrics)}\n{self.out}/report.md says more.")
        return 0

    def _is_finished(self) -> bool:
        """Return whether nothing is left to do; raise an error if the folder is of another run."""
        if condition(self.out) == "missing":
            return False
        if not self.resume:
            raise occupied(self.out)
        metrics = metrics_of(self.out)
        if metrics is None or (self.test and "test_accuracy" not in metrics):
            return False
        folder = RunFolder.open(self.out)
        network = presets.within(self.settings, folder.settings.v, len(folder.settings.classes))
        folder.expect(replace(folder.settings, network=network, training=self.settings.training))
        return True

    def _again(self) -> str:
        return shlex.join(["wave-jax", "train", *self.arguments, *["--resume"] * (not self.resume)])


@dataclass(frozen=True)
class _Short(Train):
    """The options without the settings, for a help that fits a screen."""

    settings: tyro.conf.Suppress[Preset]


def parse(arguments: Sequence[str]) -> Train:
    """Parse the options twice: preset and model decide which other options there are."""
    long = "--settings" in arguments
    help = long or not {"-h", "--help"}.isdisjoint(arguments)
    given = [argument for argument in arguments if argument not in ("-h", "--help", "--settings")]
    given = [re.sub(r"^--(network|training)\.", "--", argument) for argument in given]  # as in config.json
    first, _ = tyro.cli(_First, prog="wave-jax train", args=given, return_unknown_args=True, config=_FLAGS)
    try:
        settings = presets.preset(first.preset, first.model, first.weights)
    except ValueError as error:
        print(f"wave-jax train: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    short = help and not long
    command = _Short if short else Train
    return tyro.cli(
        command,
        prog="wave-jax train",
        args=[*given, *["--help"] * help],
        default=command(
            tyro.MISSING, tyro.MISSING, first.preset, first.model, settings, arguments=tuple(arguments)
        ),
        description=_ABOUT + _SETTINGS.format(listed=_listed(settings)) * short,
        config=_FLAGS,
    )


def _listed(settings: Preset) -> str:
    """List all settings as options, with their values.

    >>> print(_listed(presets.preset("small", "bag")).splitlines()[0])
      --d 96 --dropout 0.3 --max-length 512 --epochs 6 --steps None --batch 64
    """
    tree = dataclasses.asdict(settings)
    values = tree.pop("network") | tree.pop("training") | tree
    options = [f"--{name.replace('_', '-')}\xa0{value}" for name, value in values.items()]
    lines = textwrap.wrap(" ".join(options), 76, break_on_hyphens=False)
    return "\n".join("  " + line.replace("\xa0", " ") for line in lines)


# --- the loop -----------------------------------------------------------------------------------------------


def _loop(prepared: Prepared, folder: RunFolder) -> int | None:
    """Train to the end, or to the step at which a signal asked to stop."""
    with stopping() as asked, progress(prepared.steps) as show:
        for turn in run.train(prepared, folder):
            show(turn.record)
            if asked() and turn.record.step < prepared.steps:
                folder.save(turn.state)
                return turn.record.step
    return None


@contextmanager
def progress(steps: int) -> Iterator[Callable[[Record], None]]:
    """Show a bar in a terminal, nowhere else, and print a line for every validation."""
    with tqdm(total=steps, unit=" steps", leave=False, disable=None, dynamic_ncols=True) as bar:

        def show(record: Record) -> None:
            bar.update(record.step - bar.n)
            bar.set_postfix_str(f"loss {record.loss:.3f}", refresh=False)
            if record.valid is not None:
                valid = f"valid {100 * float(record.valid.accuracy):.2f} %"
                bar.write(f"epoch {record.epoch:>2}  step {record.step:>6,}  loss {record.loss:.3f}  {valid}")
                sys.stdout.flush()

        yield show


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Catch signals that ask to stop: the first waits for the loop to look, the next one does not wait."""
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: Any) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _head(prepared: Prepared) -> str:
    settings, count = prepared.settings, count_parameters(prepared.network)
    texts = f"{len(prepared.train.labels):,} texts of {settings.data['name']}"
    return (
        f"{settings.kind} with {count.total:,} parameters, {count.without_embeddings:,} without embeddings\n"
        f"{texts}, {len(prepared.valid.labels):,} more for validation"
    )
