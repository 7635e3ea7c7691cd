"""`python -m experiments NAME [--preset smoke|full] [--out FOLDER] [settings of the experiment]`.

With `--help` it says the question, what to expect, the price and the settings. An experiment is a module
beside this one, whose docstring says so, with a frozen dataclass `Config`, its `PRESETS` by name, and
`main(config, out)`, which writes its report, tables and figures into the folder `out`.

    python -m experiments all --data FOLDER FOLDER ... --weights FOLDER

answers one question after the other. Called again it goes on where it was: what is finished with the same
settings, by the file finished.txt beside its report, is passed over; remove that file to have it done again.
It ends as does `python -m experiments claims`: with the papers' claims, judged by what is there (`claims`).
"""

import argparse
import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import tyro

from experiments import claims
from experiments.frame.about import about
from experiments.frame.contenders import Networks
from wave_jax.disk import write_whole

HERE = Path(__file__).parent
NAMES = sorted({path.stem for path in HERE.glob("*.py")} - {"__init__", "__main__", "claims"})


@dataclass(frozen=True)
class Everything:
    """What `all` hands to every experiment that has a setting of the name; the rest is its preset's."""

    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, each with its tokenizer: without one, what needs it is left out."""
    networks: Networks | None = None
    """Whose size and settings: the papers' or SMALL's, else each experiment's own."""


@dataclass(frozen=True)
class Nothing:
    """What has no settings."""


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Answer one question, or all. NAME --help says what it is, its price and its settings.",
        add_help=False,
    )
    parser.add_argument("name", choices=[*NAMES, "claims", "all"], help="the question: its module asks it")
    parser.add_argument("--preset", choices=("smoke", "full"), default="full", help="smoke only tries it out")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the answer, else experiments/results/NAME, or runs/experiments/NAME of smoke",
    )
    given = sys.argv[1:] if args is None else [*args]
    if not given or given[0] in ("-h", "--help"):
        parser.print_help()
        return
    chosen, settings = parser.parse_known_args(given)
    # What is tried out never takes the place of results.
    root = HERE / "results" if chosen.preset == "full" else Path("runs", "experiments")
    if chosen.name == "all":
        everything(_settings("all", Everything, Everything(), settings), chosen.preset, chosen.out or root)
        return
    if chosen.name == "claims":
        _settings("claims", Nothing, Nothing(), settings, inspect.getdoc(claims))
        claims.write(chosen.out or HERE / "results")
        return
    experiment = import_module(f"experiments.{chosen.name}")
    preset = experiment.PRESETS[chosen.preset]
    config = _settings(chosen.name, experiment.Config, preset, settings, inspect.getdoc(experiment))
    answer(experiment, config, chosen.out or root / folder(chosen.name, config))


def _settings(name: str, kind: Any, preset: Any, given: Sequence[str], says: str | None = None) -> Any:
    """Return a preset with the settings that are given, or print what the experiment says, and leave."""
    if {"-h", "--help"} & {*given}:
        print(wrapped(says or inspect.getdoc(kind) or ""), end="\n\n")
    more = "--preset smoke tries it out; --out FOLDER is for its answer."
    return tyro.cli(kind, default=preset, args=given, prog=f"python -m experiments {name}", description=more)


def wrapped(text: str) -> str:
    """Fit paragraphs and lists into the terminal's width; indented lines stay.

    >>> wrapped("one\\ntwo\\n- three\\n  four\\n\\n    five")
    'one two\\n- three four\\n\\n    five'
    """
    width = shutil.get_terminal_size().columns

    def fitted(part: str) -> str:
        if part.isspace() or part.startswith("    "):
            return part
        return textwrap.fill(" ".join(part.split()), width, subsequent_indent="  " * part.startswith("- "))

    return "".join(map(fitted, re.split(r"(\n\n|\n(?=- |    ))", text)))


def folder(name: str, config: Any) -> str:
    """Return the folder of an answer: networks of the papers' size have their own beside SMALL's.

    >>> from types import SimpleNamespace as Config
    >>> folder("accuracy", Config(networks="paper")), folder("small", Config())
    ('accuracy_paper', 'small')
    """
    return f"{name}_paper" if getattr(config, "networks", None) == "paper" else name


def answer(experiment: Any, config: Any, out: Path) -> None:
    """Say what will be done and what it costs, and do it; finished.txt records its settings at its end."""
    says = about(experiment)
    print(f"{says.question}\n\n{says.price}\n\n{config}\ninto {out}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "finished.txt").unlink(missing_ok=True)
    experiment.main(config, out)
    write_whole(out / "finished.txt", f"{config}\n".encode())


def everything(given: Everything, preset: str, out: Path) -> None:
    """Run all experiments not finished with these settings, each into its own folder; then the claims."""
    for name in NAMES:
        experiment = import_module(f"experiments.{name}")
        known = {field.name for field in fields(experiment.Config)}
        changes = {setting: value for setting, value in vars(given).items() if value and setting in known}
        config = replace(experiment.PRESETS[preset], **changes)
        finished = out / folder(name, config) / "finished.txt"
        if finished.exists() and finished.read_text() == f"{config}\n":
            print(f"{name} is finished.")
            continue
        print(f"{name} begins.", flush=True)
        answer(experiment, config, finished.parent)
    claims.write(out)


if __name__ == "__main__":
    main()
