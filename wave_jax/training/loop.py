"""Training as a generator of (state, record): whoever prints, saves or stops does so in a `for` loop.

    for state, record in fit(network, train, PAPER, valid=valid):
        print(record)                                   # save, plot or stop here: the loop is yours

Everything random is a function of the seed and of the step or epoch, so a state needs no key. A state given
to `fit` goes on bit for bit as the run that was not interrupted, from the middle of an epoch too.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from wave_jax.data import batches
from wave_jax.data.batches import Batch, TokenArrays
from wave_jax.data.plan import Plan, distinct
from wave_jax.errors import check_setting
from wave_jax.networks.trace import Network, positions_of
from wave_jax.training import adam, devices
from wave_jax.training.checks import check_loss, check_state
from wave_jax.training.config import TrainConfig
from wave_jax.training.evaluate import evaluate
from wave_jax.training.loss import Score
from wave_jax.training.schedule import drop_tokens, lengths, most_distinct, of_a_step, paces, share_dropped
from wave_jax.training.step import (
    NOTHING,
    TOGETHER,
    Program,
    Sums,
    TrainState,
    Work,
    copied,
    gradient,
    init,
    train_block,
)

__all__ = ["NonFinite", "Record", "fit"]


class Record(NamedTuple):
    """Training metrics since the previous record."""

    step: int
    """Steps done."""
    epoch: int
    """The epoch of the last step, from 1."""
    loss: float
    """Mean over texts, label smoothing and dropout included."""
    accuracy: float
    rate: float
    """Learning rate of the last step; 0 with an optimizer of one's own."""
    gradient_norm: float
    """Norm over all parameters, before clipping; mean over steps."""
    texts_per_second: float
    valid: Score | None = None
    """At the end of an epoch and of the run, if validation texts were given."""


class NonFinite(FloatingPointError):
    """Training met a loss or gradient that is NaN or infinite. `state` is from before that step."""

    def __init__(self, state: TrainState, step: int, names: Sequence[str]):
        self.state, self.step, self.names = state, step, tuple(names)
        where = f"in {', '.join(names)}" if names else "in the loss or the norm of the gradient"
        super().__init__(
            f"Step {step} met NaN or infinite numbers {where}: try a lower rate, warm-up or clipping; the"
            " state before it is kept."
        )

    def __reduce__(self):
        return NonFinite, (self.state, self.step, self.names)


class _Piece(NamedTuple):
    """Some steps of one length, ready for the device."""

    steps: int
    work: Work
    program: Program


@dataclass(frozen=True, eq=False)
class _Course:
    """What stays the same along a run."""

    train: TokenArrays
    config: TrainConfig
    valid: TokenArrays | None
    every: int
    mesh: Mesh | None
    shard_tables: bool
    positions: int | None
    optimizer: optax.GradientTransformation | None = None
    loss: Callable[[Network, Batch], Array] | None = None

    @property
    def per_epoch(self) -> int:
        """Number of steps of an epoch."""
        return -(-len(self.train.labels) // self.config.batch)

    @cached_property
    def steps(self) -> int:
        """Number of steps of the whole run."""
        return self.config.steps_for(self.train.asked)

    @cached_property
    def shapes(self) -> tuple[int, ...]:
        """The lengths that texts are padded to."""
        return lengths(self.train, self.config, self.positions)

    @cached_property
    def most(self) -> dict[int, int]:
        """Room for the distinct tokens of a batch, by its length."""
        return most_distinct(self.train, self.config, self.shapes)

    def program(self, n: int, tokens: TokenArrays, rows: np.ndarray) -> Program:
        """Return the constants of the program for these batches of texts padded to n tokens.

        Devices that share a batch map its tokens, each its own: all of them would map all distinct ones.
        """
        room = self.most.get(n, 0) if self.mesh is None else 0
        fits = room > 0 and distinct(tokens, rows) <= room
        rows_of = room if fits else None
        settings = of_a_step(self.config)
        return Program(n, settings, self.mesh, self.shard_tables, rows_of, self.optimizer, self.loss)

    @cached_property
    def paces(self) -> adam.Pace:
        """The schedule, step by step."""
        return paces(self.config, self.steps)

    def taken_up(self, state: TrainState) -> TrainState:
        """Return a state as this run goes on from it: of another schedule with every row caught up first."""
        done = min(int(state.step), self.steps)
        if not (done and isinstance(state.optimizer, adam.AdamState)):
            return state
        was = state.optimizer.now
        ahead, left = (x[done - 1].astype(was.left.dtype) for x in self.paces[1:])
        if (was.ahead, was.left) == (ahead, left):
            return state
        parameters, optimizer = adam.settled(
            state.parameters, state.optimizer, adam.Clock(was.step, ahead, left)
        )
        return state._replace(parameters=parameters, optimizer=optimizer)

    def prepared(self, plan: Plan, tokens: TokenArrays, start: int, end: int) -> Iterator[_Piece]:
        """Yield the steps of a plan from `start` to `end`, as much at a time as a program takes.

        Args:
          plan: the batches.
          tokens: the texts.
          start: steps done at the beginning of the plan.
          end: step of the run to stop at.
        """
        for n, rows in plan.pieces(start, end, self.every, TOGETHER):
            work = Work.of(rows, self.paces, start, self.config.seed)
            yield _Piece(len(rows), work, self.program(n, tokens, rows))
            start += len(rows)


def fit(
    start: Network | TrainState,
    train: TokenArrays,
    config: TrainConfig,
    *,
    valid: TokenArrays | None = None,
    every: int = TOGETHER,
    mesh: Mesh | None = None,
    shard_tables: bool = False,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[Network, Batch], Array] | None = None,
) -> Iterator[tuple[TrainState, Record]]:
    """Train a network, or go on from a state, and yield the state with a record every few steps.

    The state is valid until the next turn of the loop, which uses it up: save it or copy it there. Its
    `network` is a copy, in which every row of the table is caught up. What is given is copied first, and a
    state may go on under another schedule. Raises `NonFinite` if a loss or gradient is NaN or infinite.

    An optimizer or a loss of your own is slower: each step makes the gradient of the whole table. With an
    optimizer the rate and weight decay of the settings are not used, and a record's rate is 0. With a loss
    there is neither label smoothing nor dropout.

    Args:
      start: a network, or the state of a run that goes on.
      train: the texts to train on.
      config: how to train.
      valid: texts to evaluate at the end of each epoch and of the run.
      every: steps from record to record; there is one at the end of each epoch too.
      mesh: devices that each batch is sharded over (`devices.data_mesh`).
      shard_tables: whether each device holds only its rows of the embedding tables.
      optimizer: any optimizer of Optax in place of Adam.
      loss: any loss of (network, batch) in place of the cross entropy; texts of label -1 are filler, and are
        to count nothing.
    """
    check_setting("every", every, every >= 1, "at least 1")
    if config.patience is not None and valid is None:
        raise ValueError(f"patience={config.patience} needs validation texts: give valid=, or patience=None.")
    if not len(train.labels):
        raise ValueError("There are no texts to train on.")
    devices.check_batch(config.batch, mesh)
    state = copied(start) if isinstance(start, TrainState) else init(start, optimizer)
    check_state(state.optimizer, jax.eval_shape(lambda: init(state.parameters, optimizer).optimizer))
    if loss is not None:
        check_loss(loss, state.network, train)
    places = positions_of(state.parameters)
    course = _Course(train, config, valid, every, mesh, shard_tables, places, optimizer, loss)
    return _fit(devices.place(course.taken_up(state), mesh, shard_tables), course)


def _fit(state: TrainState, course: _Course) -> Iterator[tuple[TrainState, Record]]:
    """Yield what `fit` does, epoch by epoch."""
    config, train, per_epoch = course.config, course.train, course.per_epoch
    for epoch in range(int(state.step) // per_epoch, -(-course.steps // per_epoch)):
        if config.patience is not None and int(state.stale) >= config.patience:
            return
        tokens = drop_tokens(train, share_dropped(train, config), config.seed, epoch)
        plan = Plan.of_epoch(tokens, config.batch, config.seed, epoch, course.shapes, TOGETHER)
        for now, record in _epoch(state, course, epoch, tokens, plan):
            state = now
            yield state, record


def _epoch(
    state: TrainState, course: _Course, epoch: int, tokens: TokenArrays, plan: Plan
) -> Iterator[tuple[TrainState, Record]]:
    """Yield a state and a record every few steps of one epoch."""
    done, begun = int(state.step), epoch * course.per_epoch
    end = min(course.steps, begun + course.per_epoch)
    on_device = devices.place(batches.to_device(tokens, room=len(course.train.ids)), course.mesh)
    nothing = devices.place(jax.device_put(NOTHING), course.mesh)
    sums, clock = nothing, time.perf_counter()
    pieces = course.prepared(plan.after(done - begun), tokens, done, end)
    piece = next(pieces, None)
    while piece is not None:
        state, sums = train_block(state, sums, on_device, piece.work, piece.program)
        done += piece.steps
        piece = next(pieces, None)  # made while the device works
        if done % course.every and done < end:
            continue
        total = jax.device_get(sums)
        if not total.finite:
            bad = plan.after(int(state.step) - begun)
            raise _non_finite(state, next(bad.batches(tokens)), course)
        record = _record(total, done, epoch, course, time.perf_counter() - clock)
        if done == end and course.valid is not None:
            score = evaluate(state.network, course.valid, mesh=course.mesh).score
            state, record = _validated(state, score, course.mesh), record._replace(valid=score)
        yield state, record
        sums, clock = nothing, time.perf_counter()


def _record(total: Sums, done: int, epoch: int, course: _Course, seconds: float) -> Record:
    """Return the means of these totals."""
    return Record(
        step=done,
        epoch=epoch + 1,
        loss=float(total.score.mean_loss),
        accuracy=float(total.score.accuracy),
        rate=float(course.paces.rate[done - 1]) if course.optimizer is None else 0.0,
        gradient_norm=float(total.norm / total.steps),
        texts_per_second=float(total.score.count) / seconds,
    )


def _validated(state: TrainState, score: Score, mesh: Mesh | None) -> TrainState:
    """Return the state with its best validation accuracy brought up to date."""
    accuracy = np.float32(score.accuracy)
    better = bool(accuracy > np.asarray(state.best))
    best = accuracy if better else np.asarray(state.best)
    stale = np.int32(0 if better else np.asarray(state.stale) + 1)
    # Placed as all the rest: an array bound to a device would have every program compiled again.
    best, stale = devices.place(jax.device_put((best, stale)), mesh)
    return state._replace(best=best, stale=stale)


def _non_finite(state: TrainState, batch: Batch, course: _Course) -> NonFinite:
    """Return the error for this batch, with the names of the parameters whose gradient is not finite."""
    batch = devices.place(batch, course.mesh)
    program = Program(batch.ids.shape[1], course.config, course.mesh, False, None, None, course.loss)
    of_program = jax.jit(gradient, static_argnames="program")
    slope, _ = of_program(state.network, batch, state.step, course.config.seed, program=program)
    named, _ = jax.tree_util.tree_flatten_with_path(slope)
    names = [
        jax.tree_util.keystr(path, simple=True, separator=".").partition(".value")[0]
        for path, array in named
        if not jnp.isfinite(array).all()
    ]
    return NonFinite(state, int(state.step) + 1, names)
