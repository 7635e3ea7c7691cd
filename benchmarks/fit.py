"""Training texts per second of SMALL, end to end, and where the time goes.

    python -m benchmarks.fit FOLDER                (one to two minutes on 2 cores for 55,000 texts)

FOLDER holds train.csv (see docs/datasets.md). Trains two epochs without validation, from tokens in memory;
the first epoch compiles, the second is counted. Its time is the device's (from a dispatch until its result is
there) and the rest: order of batches, dropped tokens, transfer, Python. Writes benchmarks/results/fit.md.
"""

import os
import sys
import time
from dataclasses import replace

import jax

from benchmarks.report import write
from wave_jax.data import datasets
from wave_jax.runs import presets, run
from wave_jax.training import loop


def main(folder: str) -> None:
    small = presets.preset("small")
    prepared = run.prepare(datasets.load(folder), replace(small, training=replace(small.training, epochs=2)))
    tokens, config = prepared.train, prepared.settings.training
    on_device, steps = 0.0, loop._run

    def clocked(*args):
        nonlocal on_device
        start = time.perf_counter()
        result = jax.block_until_ready(steps(*args))
        on_device += time.perf_counter() - start
        return result

    loop._run = clocked
    marks = [(time.perf_counter(), 0.0)]
    for _, record in loop.fit(prepared.network, tokens, config):
        if record.step % (prepared.steps // 2) == 0:
            marks.append((time.perf_counter(), on_device))
    (start, _), (middle, before), (end, after) = marks
    first, second = middle - start, end - middle
    rest = second - (after - before)
    rows = [
        {
            "texts": f"{len(tokens.labels):,}",
            "tokens per text": f"{tokens.lengths.mean():.1f}",
            "first epoch s, with compiling": f"{first:.1f}",
            "second epoch s": f"{second:.1f}",
            "texts/s": f"{len(tokens.labels) / second:,.0f}",
            "Python and data": f"{rest / second:.1%}",
        }
    ]
    load = f"Load average {os.getloadavg()[0]:.1f}."
    write("fit", "Training of SMALL, end to end, batch 64", rows, load)


if __name__ == "__main__":
    main(sys.argv[1])
