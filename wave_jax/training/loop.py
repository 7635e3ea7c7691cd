"""Training: state, one pure step, and `fit`, a generator of (state, record). Settings stand in `recipe`.

    for state, record in fit(network, train, PAPER, valid=valid):
        print(record)                                   # save, plot or stop here: the loop is yours

Everything random is a function of the seed and of the step or epoch, so a state needs no key: given to `fit`,
it goes on bit for bit as the run that was not interrupted, from the middle of an epoch too.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array

from wave_jax.data import batches
from wave_jax.data.batches import Batch, Run, TokenArrays
from wave_jax.errors import check_setting
from wave_jax.networks.layers import Network
from wave_jax.training import adam, devices
from wave_jax.training.compiled import few
from wave_jax.training.config import (
    PAPER,
    PAPER_BERT,
    TrainConfig,
    decay,
    drop_tokens,
    lengths,
    of_a_step,
    rate,
    share_dropped,
)
from wave_jax.training.evaluate import evaluate
from wave_jax.training.loss import Score, score

__all__ = [
    "PAPER",
    "PAPER_BERT",
    "NonFinite",
    "Record",
    "TrainConfig",
    "TrainState",
    "fit",
    "init",
    "step",
]

_TOGETHER = 16  # batches of one length in a row; part of the order of batches, so changing it changes runs


class TrainState(NamedTuple):
    """All that a run needs to go on."""

    step: Any
    """Steps done; with the seed and the data it says what comes next."""
    network: Network
    optimizer: Any
    """Adam's moments, networks themselves (`optax.ScaleByAdamState`)."""
    best: Any
    """Best validation accuracy so far, -1 before the first."""
    stale: Any
    """Validations since the best one; 0 where this state is the best so far."""


class Record(NamedTuple):
    """What happened since the record before."""

    step: int
    """Steps done."""
    epoch: int
    """The epoch of the last step, from 1."""
    loss: float
    """Mean over texts, label smoothing and dropout included."""
    accuracy: float
    rate: float
    """Learning rate of the last step."""
    gradient_norm: float
    """Of all parameters, before clipping; mean over steps."""
    texts_per_second: float
    valid: Score | None = None
    """At the end of an epoch and of the run, where validation texts were given."""


class NonFinite(FloatingPointError):
    """Training met a loss or gradient that is NaN or infinite. `state` is from before that step."""

    def __init__(self, state: TrainState, step: int, names: Sequence[str]):
        self.state, self.step, self.names = state, step, tuple(names)
        where = f"in {', '.join(names)}" if names else "in the loss or the norm of the gradient"
        super().__init__(
            f"Step {step} met NaN or infinite numbers {where}; the state before it is kept in `.state`:"
            " try a lower rate, warm-up or clipping."
        )

    def __reduce__(self):
        return NonFinite, (self.state, self.step, self.names)


# --- one step -----------------------------------------------------------------------------------------------


def init(network: Network) -> TrainState:
    """The state before the first step. The network's arrays are copied: training leaves them alone."""
    network = jax.tree.map(jnp.copy, network)
    return TrainState(jnp.int32(0), network, adam.init(network), jnp.float32(-1), jnp.int32(0))


@partial(jax.jit, static_argnames=("config", "steps"), donate_argnums=0)
def step(state: TrainState, batch: Batch, config: TrainConfig, steps: int) -> tuple[TrainState, Score]:
    """One step of a run of `steps`; the state given is used up."""
    state, score, _ = _step(state, batch, config, config.seed, rate(config, state.step, steps))
    return state, score


def _step(
    state: TrainState,
    batch: Batch,
    config: TrainConfig,
    seed: Any,
    rate: Any,
    mesh: Mesh | None = None,
    going: Any = True,
) -> tuple[TrainState, Score, Array]:
    """The state after the batch, or as it was where the run is not `going` on or meets numbers that are not
    finite; the score, and the norm of the gradient."""
    gradient, score = _gradient(state, batch, config, seed, mesh)
    norm = adam.norm(gradient)
    valid = going & jnp.isfinite(score.loss) & jnp.isfinite(norm)
    if config.clip is not None:
        gradient = adam.scaled(gradient, jnp.minimum(1.0, config.clip / norm))
    network, moments = adam.adam(
        state.network,
        gradient,
        state.optimizer,
        rate,
        decay(state.network, config),
        valid,
    )
    state = state._replace(step=state.step + valid, network=network, optimizer=moments)
    return state, score, norm


def _gradient(
    state: TrainState, batch: Batch, config: TrainConfig, seed: Any, mesh: Mesh | None = None
) -> tuple[Any, Score]:
    """Of the mean loss; the table's as `optimizer.Rows`."""
    key = jax.random.fold_in(jax.random.key(seed), state.step)

    # Who reads which row is settled on every device alike; only then are the texts shared out.
    small, ids = devices.keep(adam.narrow(state.network, batch.ids), mesh)
    texts = devices.cut(batch._replace(ids=ids), mesh)

    def loss(network):
        network = _computing_in(network, config.dtype)
        result = score(network, texts, key, config.smoothing)
        return result.mean_loss, result

    gradient, result = jax.grad(loss, has_aux=True)(small)
    return adam.as_table(devices.keep(gradient, mesh), batch.ids), result


def _computing_in(network: Network, dtype: str) -> Any:
    """The network with linear maps that compute in `dtype`: their parameters and sums of gradients over
    tokens stay float32."""
    if dtype == "float32":
        return network
    network = jax.tree.map(lambda x: x, network)
    for _, module in nnx.iter_modules(network):
        if isinstance(module, nnx.Linear):
            module.dtype = jnp.dtype(dtype)
    return network


# --- a run --------------------------------------------------------------------------------------------------


class _Sums(NamedTuple):
    """What happened since the last record, and whether all of it was finite."""

    score: Score
    norm: Any  # of the gradient, summed over steps
    steps: Any
    finite: Any


_NOTHING = _Sums(Score(np.float32(0), np.int32(0), np.int32(0)), np.float32(0), np.int32(0), np.bool_(True))


def fit(
    start: Any,
    train: TokenArrays,
    config: TrainConfig,
    *,
    valid: TokenArrays | None = None,
    every: int = _TOGETHER,
    mesh: Mesh | None = None,
    shard_tables: bool = False,
) -> Iterator[tuple[TrainState, Record]]:
    """Train a network, or go on from a state; a record after every `every` steps and at the end of an epoch.

    The state is valid until the next turn of the loop, which uses it up: save it or copy it there. What is
    given is copied first. Raises `NonFinite` where a loss or gradient is.

    With `mesh` (`parallel.data_mesh()`), a batch is cut over its devices; with `shard_tables` each of them
    holds only its rows of the embedding tables.
    """
    check_setting("every", every, every >= 1, "at least 1")
    if config.patience is not None and valid is None:
        raise ValueError(f"patience={config.patience} needs validation texts: give valid=, or patience=None.")
    if not len(train.labels):
        raise ValueError("There are no texts to train on.")
    devices.check_batch(config.batch, mesh)
    state = jax.tree.map(jnp.copy, start) if isinstance(start, TrainState) else init(start)
    return _fit(devices.place(state, mesh, shard_tables), train, config, valid, every, mesh, shard_tables)


def _fit(state, train, config, valid, every, mesh, shard_tables):
    per_epoch, steps = -(-len(train.labels) // config.batch), config.steps_for(len(train.labels))
    shapes, compiled_for, seed = lengths(train, config), of_a_step(config), np.uint32(config.seed)
    done = int(state.step)
    for epoch in range(done // per_epoch, -(-steps // per_epoch)):
        if config.patience is not None and int(state.stale) >= config.patience:
            return
        sums, clock = _NOTHING, time.perf_counter()
        tokens = drop_tokens(train, share_dropped(train, config), config.seed, epoch)
        plan = batches.epoch(tokens, config.batch, config.seed, epoch, shapes, _TOGETHER)
        on_device = devices.place(batches.to_device(tokens, room=len(train.ids)), mesh)
        end = min(steps, (epoch + 1) * per_epoch)
        for n, rows in _pieces(batches.after(plan, done - epoch * per_epoch), done, end, every):
            filled = np.pad(rows, ((0, _TOGETHER - len(rows)), (0, 0)), constant_values=-1)
            rates, count = rate(config, done + np.arange(_TOGETHER), steps), np.int32(len(rows))
            state, sums = _run(
                state, sums, on_device, filled, rates, count, seed, n, compiled_for, mesh, shard_tables
            )
            done += len(rows)
            if done % every and done < end:
                continue
            total = jax.device_get(sums)
            if not total.finite:
                bad = batches.after(plan, int(state.step) - epoch * per_epoch)
                raise _non_finite(state, next(batches.steps(tokens, bad)), config, mesh)
            record = _record(total, done, epoch, config, steps, time.perf_counter() - clock)
            if done == end and valid is not None:
                score = evaluate(state.network, valid, mesh=mesh).score
                state, record = _validated(state, score, mesh), record._replace(valid=score)
            yield state, record
            sums, clock = _NOTHING, time.perf_counter()


def _record(total: _Sums, done: int, epoch: int, config: TrainConfig, steps: int, seconds: float) -> Record:
    return Record(
        step=done,
        epoch=epoch + 1,
        loss=float(total.score.mean_loss),
        accuracy=float(total.score.accuracy),
        rate=float(rate(config, done - 1, steps)),
        gradient_norm=float(total.norm / total.steps),
        texts_per_second=float(total.score.count) / seconds,
    )


def _validated(state: TrainState, score: Score, mesh: Mesh | None) -> TrainState:
    accuracy = np.float32(score.accuracy)
    better = bool(accuracy > np.asarray(state.best))
    best = accuracy if better else np.asarray(state.best)
    stale = np.int32(0 if better else np.asarray(state.stale) + 1)
    # Placed as all the rest: an array bound to a device would have every program compiled again.
    best, stale = devices.place((jnp.asarray(best), jnp.asarray(stale)), mesh)
    return state._replace(best=best, stale=stale)


def _pieces(plan: Sequence[Run], done: int, end: int, every: int) -> Iterator[Run]:
    """The runs of a plan up to step `end`, cut where a record is due."""
    for n, rows in plan:
        while len(rows) and done < end:
            count = min(len(rows), _TOGETHER, every - done % every, end - done)
            yield Run(n, rows[:count])
            rows, done = rows[count:], done + count


@few(32, static_argnames=("n", "config", "mesh", "shard_tables"), donate_argnames=("state",))
def _run(
    state: TrainState,
    sums: _Sums,
    tokens: TokenArrays,
    rows: Any,
    rates: Any,
    count: Any,
    seed: Any,
    n: int,
    config: TrainConfig,
    mesh: Mesh | None,
    shard_tables: bool,
) -> tuple[TrainState, _Sums]:
    """The first `count` batches of `rows`, one step each at its rate, on the device; none after a bad one.

    The number of steps is no constant of the program: a run that is cut by a record or a resumption
    executes the same code, so it gives the same bits, and there is one program per text length. Nor are seed
    and rates: runs over seeds are compiled once.
    """

    def body(i, carry):
        state, sums = carry
        batch = devices.keep(batches.gather(tokens, rows[i], n), mesh)
        before = state.step
        state, score, norm = _step(state, batch, config, seed, rates[i], mesh, sums.finite)
        finite = state.step > before
        sums = _Sums(sums.score + score, sums.norm + norm, sums.steps + 1, finite)
        return devices.keep(state, mesh, shard_tables), sums

    return jax.lax.fori_loop(0, count, body, (state, sums))


def _non_finite(state: TrainState, batch: Batch, config: TrainConfig, mesh: Mesh | None) -> NonFinite:
    batch = devices.place(batch, mesh)
    gradient, _ = jax.jit(_gradient, static_argnums=2)(state, batch, config, config.seed)
    named, _ = jax.tree_util.tree_flatten_with_path(gradient)
    names = [
        jax.tree_util.keystr(path, simple=True, separator=".").partition(".value")[0]
        for path, array in named
        if not jnp.isfinite(array).all()
    ]
    return NonFinite(state, int(state.step) + 1, names)
