"""Training texts per second of SMALL, end to end, and where the time goes.

    python -m benchmarks.fit FOLDER                (one to two minutes on 2 cores for 55,000 texts)

FOLDER holds train.csv (see docs/datasets.md). Trains two epochs without validation, from tokens in memory;
the first epoch compiles, the second is counted. Then the steps of such an epoch run once more by themselves:
what they take is the device's, the rest is the order of batches, dropped tokens, transfer and Python. Writes
benchmarks/results/fit.md.
"""

import os
import sys
import time
from dataclasses import replace

import jax
import numpy as np

from benchmarks.report import write
from wave_jax.data import batches, datasets
from wave_jax.data.plan import Plan, distinct
from wave_jax.runs import presets, run
from wave_jax.training import schedule
from wave_jax.training.loop import fit
from wave_jax.training.step import NOTHING, TOGETHER, Program, Work, init, train_block


def main(folder: str) -> None:
    small = presets.preset("small")
    prepared = run.prepare(datasets.load(folder), replace(small, training=replace(small.training, epochs=2)))
    tokens, marks = prepared.train, [time.perf_counter()]
    for _, record in fit(prepared.network, tokens, prepared.settings.training):
        if record.step % (prepared.steps // 2) == 0:
            marks.append(time.perf_counter())
    first, second = np.diff(marks)
    row = {
        "texts": f"{len(tokens.labels):,}",
        "tokens per text": f"{tokens.lengths.mean():.1f}",
        "first epoch s, with compiling": f"{first:.1f}",
        "second epoch s": f"{second:.1f}",
        "texts/s": f"{len(tokens.labels) / second:,.0f}",
        "Python and data": f"{1 - steps_alone(prepared) / second:.1%}",
    }
    load = f"Load average {os.getloadavg()[0]:.1f}."
    write("fit", "Training of SMALL, end to end, batch 64", [row], load)


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
    main(sys.argv[1])
