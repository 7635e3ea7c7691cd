"""Training texts per second of SMALL, end to end, and where the time goes.

    python -m benchmarks.fit FOLDER [BEFORE]       (one minute on 2 cores for 65,000 texts; four with BEFORE)

FOLDER holds train.csv (see docs/datasets.md). Trains three epochs without validation, from tokens in memory;
the first epoch compiles, the others are counted. With BEFORE, a clone of an earlier wave_jax, its `fit` runs
in turn with this one, in processes of their own, and the median over epochs counts. Then the steps of such an
epoch run once more by themselves: what they take is the device's, the rest is the order of batches, dropped
tokens, transfer and Python. Writes benchmarks/results/fit.md.
"""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np

from benchmarks import alone
from benchmarks.report import write
from wave_jax.data import batches, datasets
from wave_jax.data.plan import Plan, distinct
from wave_jax.runs import presets, run
from wave_jax.training import schedule
from wave_jax.training.step import NOTHING, TOGETHER, Program, Work, init, train_block

EPOCHS, ROUNDS = 3, 3


def main(folder: str, before: str | None = None) -> None:
    small = presets.preset("small")
    prepared = run.prepare(
        datasets.load(folder), replace(small, training=replace(small.training, epochs=EPOCHS))
    )
    texts, lengths = len(prepared.train.labels), prepared.train.lengths
    per_epoch = prepared.steps // EPOCHS

    def epochs_of(seconds: Mapping[int, float]) -> list[float]:
        return np.diff(np.array([seconds[per_epoch * (i + 1)] for i in range(EPOCHS)])).tolist()

    arguments = "small", folder, prepared.steps
    if before is None:
        commits, found = ("this",), (epochs_of(dict(alone.reached(*arguments))),)
    else:
        commits, found = ("this", alone.commit(before)), alone.in_turn(before, ROUNDS, epochs_of, *arguments)
    seconds = [float(np.median(epochs)) for epochs in found]
    rows = [
        {
            "commit": commit,
            "texts": f"{texts:,}",
            "tokens per text": f"{lengths.mean():.1f}",
            "epoch s": f"{second:.2f}",
            "texts/s": f"{texts / second:,.0f}",
            "speed": f"{seconds[-1] / second:.2f}",
        }
        for commit, second in zip(commits, seconds, strict=True)
    ]
    steps_alone(prepared)  # compiles
    notes = (
        f"Median of {len(found[0])} epochs. Python and data take {1 - steps_alone(prepared) / seconds[0]:.0%}"
        f" of an epoch. Load average {os.getloadavg()[0]:.1f}."
    )
    write("fit", "Training of SMALL, end to end, batch 64", rows, notes)


def steps_alone(prepared: run.Prepared) -> float:
    """Return the seconds that the steps of an epoch take by themselves."""
    config, train = prepared.settings.training, prepared.train
    tokens = schedule.drop_tokens(train, schedule.share_dropped(train, config), config.seed, 1)
    shapes = schedule.lengths(train, config)
    room = schedule.most_distinct(train, config, shapes)
    plan = Plan.of_epoch(tokens, config.batch, config.seed, 1, shapes, TOGETHER)
    on_device, constants = batches.to_device(tokens, room=len(train.ids)), schedule.of_a_step(config)
    state, paces, seconds = init(prepared.network), schedule.paces(config, prepared.steps), 0.0
    for n, rows in plan:
        fits = distinct(tokens, rows) <= room.get(n, 0)
        program = Program(n, constants, rows=room[n] if fits else None)
        work, start = Work.of(rows, paces, int(state.step), config.seed), time.perf_counter()
        state, _ = jax.block_until_ready(train_block(state, NOTHING, on_device, work, program))
        seconds += time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
