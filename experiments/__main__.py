"""`python -m experiments NAME [--preset smoke|full] [--out FOLDER] [settings of the experiment]`.

An experiment is a module beside this one with a frozen dataclass `Config`, its `PRESETS` by name, and
`main(config, out)`, which writes its report, tables and figures into the folder `out`.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import tyro

HERE = Path(__file__).parent
NAMES = sorted({path.stem for path in HERE.glob("*.py")} - {"__init__", "__main__", "report"})


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Answer one question.")
    parser.add_argument("name", choices=NAMES, help="the question: its module says what it asks")
    parser.add_argument("--preset", choices=("smoke", "full"), default="full")
    parser.add_argument("--out", type=Path, help="folder of the answer, else experiments/results/NAME")
    chosen, settings = parser.parse_known_args(args)
    experiment = import_module(f"experiments.{chosen.name}")
    config = tyro.cli(experiment.Config, default=experiment.PRESETS[chosen.preset], args=settings)
    out = chosen.out or HERE / "results" / chosen.name
    out.mkdir(parents=True, exist_ok=True)
    experiment.main(config, out)


if __name__ == "__main__":
    main()
