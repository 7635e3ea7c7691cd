"""A training step at the papers' size on real texts: as printed, with every token mapped, and as `fit` does.

    python -m benchmarks.training FOLDER [BEFORE]  (one minute on 2 cores for AG News; four with BEFORE)

FOLDER holds train.csv (see docs/datasets.md), BEFORE is a clone of an earlier wave_jax, whose `fit` then runs
in turn with this one. d = 768, modulation, batches of 64 of the most frequent padded
length; forward, backward and Adam. `As printed` computes G and α of every token and updates by `optax.adam`.
`Every token mapped` is `fit` without room for distinct tokens. The forms take the same steps in turn; the
median over blocks of four counts. Temporary bytes are XLA's. Writes benchmarks/results/training.md.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import alone
from benchmarks.forms import polar_loss
from benchmarks.report import write
from wave_jax.data import batches, datasets
from wave_jax.data.batches import TokenArrays
from wave_jax.data.plan import Plan
from wave_jax.runs import presets, run
from wave_jax.training import schedule
from wave_jax.training.adam import with_table
from wave_jax.training.config import TrainConfig
from wave_jax.training.step import NOTHING, TOGETHER, Program, Work, init, train_block

STEPS, BLOCKS, SEED, ROUNDS = 4, 7, 0, 3


class Form(NamedTuple):
    """A block of steps, compiled: `block(start(network), rows)`."""

    start: Callable
    block: Callable
    lower: Callable  # to what is not compiled yet, of the same arguments


def printed(tokens: TokenArrays, n: int, rate: float) -> Form:
    """Return steps as the paper prints them, with the dense Adam of Optax."""
    optimizer = optax.adam(rate)

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        network, state = carry
        value, slope = jax.value_and_grad(polar_loss)(network, batches.gather(tokens, row, n))
        updates, state = optimizer.update(slope, state, network)
        return (optax.apply_updates(network, updates), state), value

    def start(network: Any) -> Any:
        return jax.tree.map(jnp.copy, network), optimizer.init(network)

    block = jax.jit(lambda carry, rows: jax.lax.scan(step, carry, rows), donate_argnums=0)
    return Form(start, block, block.lower)


def ours(tokens: TokenArrays, n: int, config: TrainConfig, most: int | None, times: int = 1) -> Form:
    """Return steps as `fit` takes them.

    Args:
      tokens: the texts.
      n: length they are padded to.
      config: how to train.
      most: room for distinct tokens.
      times: how much larger to make the vocabulary; the texts read nothing of what is added.
    """
    program = Program(n, schedule.of_a_step(config), rows=most)
    paces = schedule.paces(config, STEPS * (BLOCKS + 1))

    def arguments(state: Any, rows: np.ndarray) -> tuple[Any, ...]:
        return state, NOTHING, tokens, Work.of(rows, paces, int(state.step), SEED)

    def start(network: Any) -> Any:
        return init(with_table(network, jnp.tile(network.embedding[...], (times, 1))))

    return Form(
        start,
        lambda state, rows: train_block.jitted(*arguments(state, rows), program=program),
        lambda state, rows: train_block.jitted.lower(*arguments(state, rows), program=program),
    )


def main(folder: str, before: str | None = None) -> None:
    prepared = run.prepare(datasets.load(folder), presets.preset("paper-modulation"))
    train, config = prepared.train, prepared.settings.training
    shapes = schedule.lengths(train, config)
    plan = Plan.of_epoch(train, config.batch, SEED, 0, shapes)
    n = max(shapes, key=lambda n: sum(len(block.rows) for block in plan if block.n == n))
    rows = np.concatenate([block.rows for block in plan if block.n == n])[: STEPS * (BLOCKS + 1)]
    room, tokens = schedule.most_distinct(train, config, shapes)[n], batches.to_device(train)
    forms = {
        "as printed, `optax.adam`": printed(tokens, n, config.rate),
        "every token mapped": ours(tokens, n, config, None),
        "`fit`: distinct tokens mapped": ours(tokens, n, config, room),
        "`fit`, a table of four times the rows": ours(tokens, n, config, room, times=4),
    }
    table = measured(forms, prepared.network, rows)
    read = np.mean([train.lengths[row].sum() for row in rows])
    unique = np.mean([len(np.unique(batches.gather(train, row, n).ids)) for row in rows])
    notes = (
        f"{config.batch} texts of {n} places: {read:,.0f} tokens a batch on average, {unique:,.0f} of them"
        f" distinct, room for {room:,}; v = {prepared.settings.v:,}. Load average {os.getloadavg()[0]:.1f}."
    )
    if before is not None:
        notes += "\n\n" + against(folder, before)
    write("training", "A training step at the papers' size on real texts", table, notes)


def against(folder: str, before: str) -> str:
    """Return a sentence: the steps of `fit`, of all lengths, in turn with those of an earlier `fit`."""

    def steps_of(seconds: Mapping[int, float]) -> list[float]:
        return list(
            np.diff(list(seconds.values())) / TOGETHER
        )  # the first record, which compiles, is left out

    here, there = alone.in_turn(before, ROUNDS, steps_of, "paper-modulation", folder, 7 * TOGETHER)
    ratio = np.median(np.array(there) / np.array(here))
    return (
        f"Steps of a whole `fit`, lengths as they come, {ROUNDS} runs of each in turn, record by record:"
        f" {1e3 * np.median(here):.0f} ms, and {1e3 * np.median(there):.0f} ms at commit"
        f" {alone.commit(before)}; {ratio:.2f} times as fast (median of {len(here)} ratios)."
    )


def measured(forms: Mapping[str, Form], network: Any, rows: np.ndarray) -> list[dict[str, str]]:
    """Return the rows of the table: the forms in turn, block by block; the first block compiles."""
    states = {name: form.start(network) for name, form in forms.items()}
    lowered = {name: form.lower(states[name], rows[:STEPS]) for name, form in forms.items()}
    memory = {name: low.compile().memory_analysis().temp_size_in_bytes for name, low in lowered.items()}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for i in range(0, len(rows), STEPS):
        for name, form in forms.items():
            begun = time.perf_counter()
            states[name], _ = jax.block_until_ready(form.block(states[name], rows[i : i + STEPS]))
            seconds[name].append((time.perf_counter() - begun) / STEPS)
    median = {name: float(np.median(times[1:])) for name, times in seconds.items()}
    first = next(iter(forms))
    return [
        {
            "form": name,
            "ms a step": f"{1e3 * median[name]:.0f}",
            "speed, as printed = 1": f"{median[first] / median[name]:.2f}",
            "temporary MB": f"{memory[name] / 1e6:,.0f}",
            "of those as printed": f"{memory[name] / memory[first]:.0%}",
        }
        for name in forms
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
