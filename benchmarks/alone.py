"""The seconds at which a run of `fit` reaches its steps, for the wave_jax that PYTHONPATH names.

    python benchmarks/alone.py PRESET FOLDER STEPS     (printed as JSON: [[step, seconds], ...])

`fit` and `training` start it in turn for this wave_jax and for an earlier one, whose folder they are given.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).absolute()


def reached(preset: str, folder: str, steps: int) -> list[tuple[int, float]]:
    """Train a preset for so many steps of its whole epochs, and return when it came to each record."""
    from wave_jax.data import datasets
    from wave_jax.runs import presets, run
    from wave_jax.training.loop import fit

    chosen = presets.preset(preset)
    prepared = run.prepare(
        datasets.load(folder), replace(chosen, training=replace(chosen.training, steps=steps))
    )
    records = fit(prepared.network, prepared.train, prepared.settings.training)
    return [(record.step, time.perf_counter()) for _, record in records]


def in_turn(
    before: str, rounds: int, measure: Callable[[Mapping[int, float]], list[float]], *arguments: object
) -> tuple[list[float], list[float]]:
    """Start such runs for this wave_jax and for an earlier one in turn, and return what is measured of each.

    Args:
      before: folder of the earlier wave_jax, a clone.
      rounds: how often.
      measure: numbers of a run, of its steps and seconds.
      *arguments: preset, folder of the texts, and steps.
    """
    found: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for folder, numbers in zip((HERE.parents[1], Path(before).absolute()), found, strict=True):
            command = [sys.executable, str(HERE), *map(str, arguments)]
            settings = os.environ | {"PYTHONPATH": str(folder)}
            output = subprocess.check_output(command, env=settings, text=True)
            numbers += measure(dict(json.loads(output.splitlines()[-1])))
    return found


def commit(folder: str) -> str:
    """Return the commit of a clone."""
    command = ["git", "-C", folder, "rev-parse", "--short", "HEAD"]
    return subprocess.check_output(command, text=True).strip()


if __name__ == "__main__":
    print(json.dumps(reached(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
