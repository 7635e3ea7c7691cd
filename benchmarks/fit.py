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
from flax import nnx

from benchmarks.report import write
from wave_jax import batches, datasets, model, train

V, MAX_LENGTH = 30_000, 512


def main(folder: str) -> None:
    split = datasets.load(folder).train
    tokenizer = batches.train_tokenizer(split.texts, V)
    tokens = batches.tokenize(split.texts, split.labels, tokenizer, MAX_LENGTH)
    network = model.SMALL.build(v=tokenizer.v, c=int(split.labels.max()) + 1, rngs=nnx.Rngs(0))
    on_device, run = 0.0, train._run

    def clocked(*args):
        nonlocal on_device
        start = time.perf_counter()
        result = jax.block_until_ready(run(*args))
        on_device += time.perf_counter() - start
        return result

    train._run = clocked
    config = replace(train.SMALL, epochs=2)
    marks = [(time.perf_counter(), 0.0)]
    for _, record in train.fit(network, tokens, config):
        if record.step % (config.steps_for(len(split)) // 2) == 0:
            marks.append((time.perf_counter(), on_device))
    (start, _), (middle, before), (end, after) = marks
    first, second = middle - start, end - middle
    rest = second - (after - before)
    rows = [
        {
            "texts": f"{len(split):,}",
            "tokens per text": f"{tokens.lengths.mean():.1f}",
            "first epoch s, with compiling": f"{first:.1f}",
            "second epoch s": f"{second:.1f}",
            "texts/s": f"{len(split) / second:,.0f}",
            "Python and data": f"{rest / second:.1%}",
        }
    ]
    load = f"Load average {os.getloadavg()[0]:.1f}."
    write("fit", "Training of SMALL, end to end, batch 64", rows, load)


if __name__ == "__main__":
    main(sys.argv[1])
