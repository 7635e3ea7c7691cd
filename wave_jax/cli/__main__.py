"""The command line, `wave-jax COMMAND`: it parses, calls and prints, and has no logic of its own.

A command is a dataclass whose fields are its options. What it needs is imported when it runs: help and an
exported file need no JAX.
"""

import atexit
import gc
import io
import json as _json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import tyro

from wave_jax.serving.file import Dtype
from wave_jax.study.explanation import Method

HELP = """\
usage: wave-jax COMMAND [OPTIONS]

The Wave Network in JAX and Flax: train it, study it, ship it.

  demo       train three small networks offline and compare their gradients
  train      train a network on labelled texts and write a run folder
  evaluate   accuracy of a run, for each class
  predict    the label of each line of a file or of standard input
  explain    which words decided the label, as a page for the browser
  export     write a run as one small file, or as a page for the browser
  info       what a run folder contains

  wave-jax COMMAND --help   shows the options of a command
  wave-jax --version        shows the version
  --debug                   shows the traceback of an error, with any command

first steps:
  wave-jax demo
  wave-jax train --data planted --out runs/first
  echo "the crew left the dock" | wave-jax predict runs/first
"""

Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_FLAGS = (tyro.conf.FlagCreatePairsOff,)  # --json, and no --no-json


@dataclass(frozen=True)
class Evaluate:
    """Measure the accuracy of the network that a run keeps, for each class."""

    run: Run
    """Folder of a run."""
    test: bool = False
    """Read the test split too; by default only the validation texts."""
    data: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """File of other labelled texts to measure on; or where the run's texts are now, if they have moved."""
    text_column: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None
    """Column of the texts in that file; by default found by its name."""
    label_column: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None
    """Column of the labels in that file; by default found by its name."""
    json: bool = False
    """Print JSON."""

    def __call__(self) -> None:
        from wave_jax.cli import report
        from wave_jax.data.rows import Columns
        from wave_jax.runs.folder import RunFolder

        columns = Columns(self.text_column, self.label_column)
        folder = RunFolder.open(self.run)
        found = report.evaluation(folder, test=self.test, place=self.data, columns=columns)
        print(_json.dumps(found, indent=1) if self.json else report.evaluation_text(found))


@dataclass(frozen=True)
class Predict:
    """Print label, probability and text of each line, as tab-separated values.

    Answers come as lines come, in constant memory; tabs and controls become spaces.

    Of a table (CSV, TSV, JSON lines, Parquet) all columns are written again."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run, or an exported file."""
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = Path("-")
    """A table, or a file with one text per line; - is standard input."""
    text_column: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None
    """Column of the texts in a table; by default found by its name."""
    top: Annotated[int | None, tyro.conf.arg(metavar="K")] = None
    """Labels at most: 1, or of several all."""
    threshold: Annotated[float | None, tyro.conf.arg(metavar="P")] = None
    """Least probability of a label; by default 0, or of several that of training."""
    probabilities: bool = False
    """Print the probability of each class too."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """File to write: .csv, .tsv, .jsonl or .parquet."""
    json: bool = False
    """Print JSON lines."""
    threads: int = 1
    """Blocks of texts that an exported file answers side by side."""

    def __call__(self) -> None:
        from wave_jax.cli import answer_files, predict

        with predict.opened(self.file, self.text_column) as (names, blocks, schema):
            answers = predict.answering(self.run, self.threads)
            form = predict.form(answers, names, self)
            with answer_files.opened(self.out, form, schema) as write:
                for rows in blocks:
                    write(rows, answers.predict_proba([text for text, _ in rows]))


@dataclass(frozen=True)
class Explain:
    """Show which words decided the label: the strongest here, all on a page."""

    run: Run
    """Folder of a run."""
    text: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]
    """The text, in quotes."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PAGE")] = None
    """The page to write; none if not given."""
    label: Annotated[str | None, tyro.conf.arg(metavar="CLASS")] = None
    """Class to explain; the most probable one by default."""
    method: Annotated[Method, tyro.conf.arg(metavar="BY")] = "leave_one_out"
    """How a word is scored: leave_one_out removes it and compares the answers; gradient_x_input and
    integrated_gradients use the derivative."""

    def __call__(self) -> None:
        from wave_jax.cli import report
        from wave_jax.runs.folder import RunFolder

        print(report.explanation(RunFolder.open(self.run), self.text, self.out, self.label, self.method))


@dataclass(frozen=True)
class Export:
    """Write a run as one small file, from which `predict` answers without JAX.

    A file named NAME.html is a page that answers and explains, in any browser."""

    run: Run
    """Folder of a run."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """The file to write; a page if its name ends in .html."""
    dtype: Annotated[Dtype, tyro.conf.arg(metavar="DTYPE")] = "int8"
    """Type that most numbers are rounded to: int8, float16 or float32. The cost in accuracy is printed."""
    data: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Where the texts are now, if they have moved since training."""

    def __call__(self) -> None:
        from wave_jax.cli import report
        from wave_jax.runs.folder import RunFolder

        print(report.exported(RunFolder.open(self.run), self.out, self.dtype, place=self.data))


@dataclass(frozen=True)
class Info:
    """Show what a run folder contains: settings, progress, numbers."""

    run: Run
    """Folder of a run."""
    json: bool = False
    """Print JSON."""

    def __call__(self) -> None:
        from wave_jax.cli.info import info, info_text

        found = info(self.run)
        print(_json.dumps(found, indent=1) if self.json else info_text(found))


# --- the door -----------------------------------------------------------------------------------------------

_LIGHT = {"evaluate": Evaluate, "predict": Predict, "explain": Explain, "export": Export, "info": Info}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: return 0 if its work is done, 1 if an error ended it, 2 if the command was wrong."""
    if arguments is None:  # the process is ours: of what it imports and compiles, hardly anything is garbage
        gc.set_threshold(50_000)
        atexit.register(gc.freeze)  # at its end there is no need to search through it once more
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    logging.basicConfig(format="wave-jax: %(message)s", level=logging.WARNING)
    logging.getLogger("wave_jax.data.columns").setLevel(logging.INFO)  # it says which columns it found
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of another encoding shows what it can
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run([argument for argument in given if argument != "--debug"])
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader has seen enough; what is buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nwave-jax: interrupted.", file=sys.stderr)
        return 1
    except Exception as error:
        if debug:
            raise
        print(f"wave-jax: {_sentence(error)}", file=sys.stderr)
        return 1


def _run(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if name == "--version":
        print(f"wave_jax {version('wave_jax')}")
        return 0
    if name not in (*_LIGHT, "train", "demo"):
        print(
            f"wave-jax: there is no command {name!r}.\n" if name else "",
            HELP,
            sep="",
            end="",
            file=sys.stderr,
        )
        return 2
    return _command(name, rest)() or 0


def _command(name: str, arguments: list[str]) -> Any:
    """Return the command of this name with its options."""
    if name == "train":
        from wave_jax.cli import train

        return train.parse(arguments)
    if name == "demo":
        # Most of its time is compilation: less effort there costs its small networks nothing.
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
        from wave_jax.cli.demo import Demo

        return tyro.cli(Demo, prog="wave-jax demo", args=arguments, config=_FLAGS)
    return tyro.cli(_LIGHT[name], prog=f"wave-jax {name}", args=arguments, config=_FLAGS)


def _sentence(error: Exception) -> str:
    """Return what a user reads: our errors are sentences, others get their kind."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the output'}: {error.strerror}."
    if isinstance(error, ValueError | FloatingPointError) or type(error).__module__.startswith("wave_jax"):
        return str(error)
    return f"{type(error).__name__}: {error}\n--debug shows where; this may be a fault of wave_jax."


if __name__ == "__main__":
    sys.exit(main())
