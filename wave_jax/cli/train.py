"""The command `train`: the settings of a preset as options; JAX is loaded when the texts are read."""

import dataclasses
import re
import shlex
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec

from wave_jax.choices import Function
from wave_jax.cli.info import in_short, option
from wave_jax.errors import CheckpointError, check_setting
from wave_jax.networks.kinds import Kind
from wave_jax.runs import presets
from wave_jax.runs.condition import (
    check_no_search,
    condition,
    metrics_of,
    occupied,
    settings_to_start,
)
from wave_jax.runs.presets import PRESETS, Preset
from wave_jax.serving.file import bytes_in

__all__ = ["Train", "parse"]

_FLAGS = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands)
_NAMES = ConstructorRegistry()
_ABOUT = """\
Train a network on labelled texts and write a run folder.
  wave-jax train --data planted --out runs/first
  wave-jax train --data ag_news --out runs/paper --preset paper-modulation
  wave-jax train --data more.csv --out runs/second --start runs/first
"""
_SETTINGS = """
Every setting of the preset is an option too; --settings explains them:
{listed}
"""

_PresetName = Annotated[
    Literal[tuple(PRESETS)],  # pyright: ignore[reportInvalidTypeForm]
    tyro.conf.arg(help="Named settings; options change them."),
]
_Model = Annotated[
    Kind, tyro.conf.arg(help="Wave Network, or a baseline of its size; bert needs --weights FOLDER.")
]


@_NAMES.primitive_rule
def _by_name(info: Any) -> PrimitiveConstructorSpec | None:
    """Offer the names of a setting that in Python may hold a function too."""
    if get_origin(info.type) not in (Union, UnionType) or Function not in get_args(info.type):
        return None
    names = get_args(get_args(info.type)[0])
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(names)}}}",
        instance_from_str=lambda given: given[0],
        is_instance=lambda value: value in names,
        str_from_instance=lambda value: [value],
        choices=names,
    )


@dataclass(frozen=True)
class _First:
    """What decides which settings there are."""

    preset: _PresetName = "small"  # pyright: ignore[reportInvalidTypeForm]
    model: _Model = "wave"
    weights: Path | None = None
    start: Path | None = None


@dataclass(frozen=True)
class Train:
    """All options of the command."""

    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """Name of a corpus, a file of labelled texts, or a folder with train.csv."""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """Run folder to write."""
    preset: _PresetName  # pyright: ignore[reportInvalidTypeForm]
    model: _Model
    settings: Preset
    start: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Finished run, or saved folder, to train on."""
    new_classes: bool = False
    """Let --start learn new classes."""
    test: bool = False
    """Measure on the test split too, at the end."""
    text_column: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None
    """Column of the texts; else found by name."""
    label_column: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None
    """Column of the labels; else found by name."""
    search: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Try N settings, and keep the best."""
    size: Annotated[str | None, tyro.conf.arg(metavar="BYTES")] = None
    """Shrink until the exported file fits, as 1MB."""
    resume: bool = False
    """Resume the run; start it if there is none."""
    arguments: tyro.conf.Suppress[tuple[str, ...]] = ()

    def __call__(self) -> int:
        as_given = self.search is None and self.size is None
        if as_given and self._is_finished():
            return self._say_finished()
        if not as_given and condition(self.out) != "missing" and not self.resume:
            raise occupied(self.out)
        dataset, origin = self._texts()
        start = self._start()
        from wave_jax.data.published import data_folder

        cache = data_folder() / "tokens"
        chosen = self if as_given else self._chosen(dataset, origin, cache)
        if chosen is None:
            print(f"Stopped and saved. To go on:\n  {self._again()}")
            return 1
        if not as_given and chosen._is_finished():
            return self._say_finished()
        return chosen._trained(dataset, origin, cache, start)

    def _trained(self, dataset: Any, origin: dict[str, Any], cache: Path, start: Any) -> int:
        """Train, measure and report."""
        from wave_jax.cli import report, terminal  # with JAX: help, and the refusal of texts, need none
        from wave_jax.runs import result, run

        prepared = run.prepare(dataset, self.settings, cache=cache, origin=origin, start=start)
        with run.run_folder(self.out, prepared, resume=self.resume) as folder:
            print(terminal.head(prepared), flush=True)
            stopped = terminal.train(prepared, folder)
            if stopped:
                print(f"Stopped and saved at step {stopped:,} of {prepared.steps:,}. To go on:")
                print(f"  {self._again()}")
                return 1
            test = dataset.test if self.test else None
            metrics = result.finish(folder, prepared, test=test, preset=self.preset)
            report.write(folder, metrics)
            if self.size is not None:
                print(report.size_of(folder, bytes_in(self.size)))
        print(f"{in_short(metrics)}\n{self.out}/report.md says more.")
        return 0

    def _chosen(self, dataset: Any, origin: dict[str, Any], cache: Path) -> "Train | None":
        """Return the command with the settings that size or search choose; None if a signal stopped them."""
        from wave_jax.cli.search import Trials
        from wave_jax.serving import size

        most = None if self.size is None else bytes_in(self.size)
        if self.search is None:
            return replace(self, settings=size.fitted(dataset, self.settings, most or 0, cache))
        trials = Trials(dataset, self.settings, self.search, most, cache, origin, self.preset)
        found = trials.search(self.out, resume=self.resume)
        return found and replace(self, settings=found, search=None, resume=True)

    def _say_finished(self) -> int:
        print(f"{self.out} is finished: {in_short(metrics_of(self.out) or {})}")
        return 0

    def _texts(self) -> tuple[Any, dict[str, Any]]:
        """Return the `Dataset`, and the arguments of `datasets.load` that find it again."""
        from wave_jax.data import datasets, labels

        valid = self.settings.valid
        named = {"text_column": self.text_column, "label_column": self.label_column}
        named["labels"] = self.settings.training.labels
        known = [] if self.start is None else [*settings_to_start(self.start).classes]
        origin = {
            **datasets.origin_of(self.data),
            "valid": str(valid.absolute()) if isinstance(valid, Path) else valid,
            **{option: name for option, name in named.items() if name is not None},
            **({"known": known} if known else {}),
        }
        dataset = datasets.load(**origin)
        if known or self.new_classes:
            labels.with_new(known, dataset.classes, self.new_classes)
        if self.test and not dataset.has_test:
            raise datasets.DataError(f"{dataset.name} has no test split: leave out --test, or add test.csv.")
        if self.test:
            _ = dataset.test  # what is wrong with it is better said now than after the training
        return dataset, origin

    def _start(self) -> Any:
        """Return the trained network to start from, if there is one."""
        if self.start is None:
            return None
        from wave_jax.runs import continued

        return continued.opened(self.start)

    def _is_finished(self) -> bool:
        """Return whether nothing is left to do; raise an error if the folder is of another run."""
        if condition(self.out) == "missing":
            check_no_search(self.out)
            return False
        if not self.resume:
            raise occupied(self.out)
        metrics = metrics_of(self.out)
        if metrics is None or (self.test and "test_accuracy" not in metrics):
            return False
        from wave_jax.runs import continued
        from wave_jax.runs.folder import RunFolder, parameter_digest

        folder, start, again = RunFolder.open(self.out), self._start(), None
        known = folder.settings
        if start is None:
            network = presets.within(self.settings, known.v, len(known.classes))
        else:
            network = continued.adopted(start, self.settings, known.classes).network
            again = {**(known.start or {}), "digest": parameter_digest(start.kept.network)}
        folder.expect(replace(known, network=network, training=self.settings.training, start=again))
        if not (self.out / "report.md").exists():  # killed between the two
            from wave_jax.cli import report

            report.write(folder, metrics)
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
        start = None if first.start is None else settings_to_start(first.start)
        settings = presets.preset(first.preset, first.model, first.weights, start)
    except (ValueError, CheckpointError) as error:
        print(f"wave-jax train: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    short = help and not long
    command = _Short if short else Train
    with _NAMES:
        found = tyro.cli(
            command,
            prog="wave-jax train",
            args=[*given, *["--help"] * help],
            default=command(
                tyro.MISSING, tyro.MISSING, first.preset, first.model, settings, arguments=tuple(arguments)
            ),
            description=_ABOUT + _SETTINGS.format(listed=_listed(settings)) * short,
            config=_FLAGS,
        )
    try:
        if found.start is not None and not (found.search is None and found.size is None):
            raise ValueError("search and size are for a new network: leave out --start, or both of them.")
        check_setting("search", found.search, found.search is None or found.search >= 1, "at least 1 trial")
        if found.size is not None:
            bytes_in(found.size)
    except ValueError as error:
        print(f"wave-jax train: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    return found


def _listed(settings: Preset) -> str:
    """List all settings as options, with their values.

    >>> print(_listed(presets.preset("small", "bag")).splitlines()[0])
      --d 96 --dropout 0.3 --max-length 512 --epochs None --steps None --batch 64
    """
    tree = dataclasses.asdict(settings)
    values = tree.pop("network") | tree.pop("training") | tree
    options = [option(name.replace("_", "-"), value) for name, value in values.items()]
    lines = textwrap.wrap(" ".join(options), 76, break_on_hyphens=False)
    return "\n".join("  " + line.replace("\xa0", " ") for line in lines)
