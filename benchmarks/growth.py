"""How a training step and an answer grow with vocabulary, text, batch and classes.

    python -m benchmarks.growth                              (about five minutes on 2 cores)

SMALL's network, without dropout and 48 wide, trained by `fit` and answering by `evaluate.predict`. One size
grows at a time from v = 100,000, n = 64, batch 64 and c = 10. Tokens are drawn by Zipf's law, so that a
batch meets frequent ones again and again, as texts do. Every size is a process of its own: peak memory is
the whole process', and the median over steps is without the first ones, which compile. The exponent k of
cost ~ size**k is the slope of a line through the logarithms; that of the last two sizes alone stands beside
it, for a small size costs next to nothing. Writes benchmarks/results/growth.md.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from flax import nnx

from benchmarks import report
from wave_jax import tables
from wave_jax.data.batches import TokenArrays
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.training import evaluate
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import fit


class Size(NamedTuple):
    """What grows."""

    vocabulary: int = 100_000
    tokens: int = 64
    batch: int = 64
    classes: int = 10


SIZES = {
    "vocabulary": (10_000, 100_000, 1_000_000, 3_000_000),
    "tokens": (16, 64, 256, 1_024, 4_096),
    "batch": (16, 64, 256, 1_024, 4_096),
    "classes": (2, 10, 100, 1_000),
}
STEPS, ANSWERS = 64, 5


def main() -> None:
    at: dict[Size, dict[str, float]] = {}
    parts = []
    for name, sizes in SIZES.items():
        for size in sizes:
            key = Size()._replace(**{name: size})
            at[key] = at.get(key) or in_a_process(key)
        parts += table(name, sizes, [at[Size()._replace(**{name: size})] for size in sizes])
    notes = tables.markdown(exponents(at)) + f"\n\nLoad average {os.getloadavg()[0]:.1f}."
    report.write("growth", "How the cost of a step and of an answer grows", parts, notes)


def in_a_process(size: Size) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.growth", *map(str, size)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def texts(size: Size, number: int) -> TokenArrays:
    """Make texts of one length, their tokens by Zipf's law: the share of rank r is about 1/r."""
    rng = np.random.default_rng(0)
    ids = np.exp(rng.uniform(0, np.log(size.vocabulary), number * size.tokens)).astype(np.int64) - 1
    dtype = np.uint16 if size.vocabulary <= 2**16 else np.int32
    labels = rng.integers(0, size.classes, number).astype(np.int32)
    return TokenArrays(ids.astype(dtype), np.arange(number + 1) * size.tokens, labels)


def measure(size: Size) -> dict[str, float]:
    """Return the milliseconds of a step and of a batch of answers, and the peak of memory in MB of each."""
    config = WaveConfig(d=48, voice_width=8, max_length=size.tokens)
    network = config.build(v=size.vocabulary, c=size.classes, rngs=nnx.Rngs(0))
    few = texts(size, size.batch)
    seconds = []
    for _ in range(1 + ANSWERS):
        begun = time.perf_counter()
        evaluate.predict(network, few, size.batch)
        seconds.append(time.perf_counter() - begun)
    answering = peak()
    train = TrainConfig(batch=size.batch, steps=STEPS)
    rates = [
        size.batch / record.texts_per_second
        for _, record in fit(network, texts(size, STEPS * size.batch), train)
    ]
    return {
        "step": 1e3 * statistics.median(rates[1:]),
        "answer": 1e3 * statistics.median(seconds[1:]),
        "step MB": peak(),
        "answer MB": answering,
    }


def peak() -> float:
    """Return the largest memory of this process until now, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(name: str, sizes: Sequence[int], found: Sequence[dict[str, float]]) -> list[dict[str, str]]:
    """Write a row for each size."""
    return [
        {
            "what grows": name,
            "to": f"{size:,}",
            "a step, ms": f"{of['step']:.1f}",
            "answers of a batch, ms": f"{of['answer']:.1f}",
            "training, MB": f"{of['step MB']:,.0f}",
            "answering, MB": f"{of['answer MB']:,.0f}",
        }
        for size, of in zip(sizes, found, strict=True)
    ]


def exponents(at: dict[Size, dict[str, float]]) -> list[dict[str, str]]:
    """Write the exponents of each size: over all that was measured, and of the last two."""
    rows = []
    for name, sizes in SIZES.items():
        found = [at[Size()._replace(**{name: size})] for size in sizes]
        row = {"exponent": name}
        for what, shown in {
            "step": "a step",
            "answer": "an answer",
            "step MB": "memory of training",
            "answer MB": "memory of answering",
        }.items():
            costs = [of[what] for of in found]
            row[shown] = f"{slope(sizes, costs):.2f}; at the end {slope(sizes[-2:], costs[-2:]):.2f}"
        rows.append(row)
    return rows


def slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return k of cost ~ size**k by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Size(*map(int, sys.argv[1:])))))
    else:
        main()
