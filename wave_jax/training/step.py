"""One training step and many: the state, the gradient of the loss, Adam, and the compiled loop."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float

from wave_jax.data.batches import Batch, TokenArrays, gather
from wave_jax.networks.trace import Network
from wave_jax.training import adam, devices
from wave_jax.training.compiled import few
from wave_jax.training.config import TrainConfig
from wave_jax.training.loss import Score, score
from wave_jax.training.schedule import decay, paces

__all__ = [
    "NOTHING",
    "TOGETHER",
    "Program",
    "Sums",
    "TrainState",
    "Work",
    "copied",
    "gradient",
    "init",
    "step",
    "train_block",
]

TOGETHER = 16  # batches of one length in a row; part of the order of batches, so changing it changes runs


class TrainState(NamedTuple):
    """All that a run needs to go on."""

    step: Any
    """Steps done; with the seed and the data it says what comes next."""
    parameters: Network
    """The parameters as they are kept: each row of the table from when it was last read. See `network`."""
    optimizer: Any
    """Adam's state (`adam.AdamState`), or that of an optimizer of one's own."""
    best: Any
    """Best validation accuracy so far, -1 before the first."""
    stale: Any
    """Validations since the best one; 0 if this state is the best so far."""

    @property
    def network(self) -> Network:
        """The network after these steps, a copy at each call: every row of the table caught up."""
        lazy = isinstance(self.optimizer, adam.AdamState)
        return adam.caught_up(self.parameters, self.optimizer) if lazy else copied(self.parameters)


class Program(NamedTuple):
    """The constants that a training program is compiled for."""

    n: int
    """Length of the padded texts."""
    config: TrainConfig
    """Settings of a step alone (`schedule.of_a_step`), so that runs over seeds and rates share it."""
    mesh: Mesh | None = None
    shard_tables: bool = False
    rows: int | None = None
    """Upper bound on the distinct tokens of a batch; its number of positions for None."""
    optimizer: optax.GradientTransformation | None = None
    """An optimizer in place of Adam; it sees the gradient of the whole table."""
    loss: Callable[[Network, Batch], Array] | None = None
    """A loss in place of the cross entropy."""


class Work(NamedTuple):
    """The work of a compiled program: some steps of one length."""

    rows: Any
    """(TOGETHER, b) texts of each batch; only the first `count` batches are read."""
    paces: adam.Pace
    """(TOGETHER,) learning rate of each step, and what idle rows need of the schedule."""
    count: Any
    """Number of steps. It is not a constant, so a run that is resumed runs the same code."""
    seed: Any

    @classmethod
    def of(cls, rows: np.ndarray, paces: adam.Pace, start: int, seed: int) -> "Work":
        """Return these batches as work, filled up to the shape that all programs share.

        Args:
          rows: texts of each batch.
          paces: of the whole run.
          start: steps done before these.
          seed: seed of the run.
        """
        empty = TOGETHER - len(rows)
        filled = np.pad(rows, ((0, empty), (0, 0)), constant_values=-1)
        paces = adam.Pace(*(np.pad(x[start : start + len(rows)], (0, empty)) for x in paces))
        return cls(filled, paces, np.int32(len(rows)), np.uint32(seed))


class Sums(NamedTuple):
    """Totals since the last record."""

    score: Score
    norm: Any
    """Norm of the gradient, summed over steps."""
    steps: Any
    finite: Any
    """Whether all of it was finite."""


NOTHING = Sums(Score(np.float32(0), np.int32(0), np.int32(0)), np.float32(0), np.int32(0), np.bool_(True))


@jax.jit
def copied(tree: Any) -> Any:
    """Return a copy of all arrays of a tree, made by one program."""
    return jax.tree.map(jnp.copy, tree)


def init(network: Network, optimizer: optax.GradientTransformation | None = None) -> TrainState:
    """Return the state before the first step. The arrays are copied: training leaves the network alone."""
    network = copied(network)
    moments = adam.init(network) if optimizer is None else optimizer.init(network)  # pyright: ignore[reportArgumentType]
    return TrainState(jnp.int32(0), network, moments, jnp.float32(-1), jnp.int32(0))


@partial(jax.jit, static_argnames=("config", "steps"), donate_argnums=0)
def step(state: TrainState, batch: Batch, config: TrainConfig, steps: int) -> tuple[TrainState, Score]:
    """Take one step of a run of `steps`; the given state is used up.

    Args:
      state: where the run is.
      batch: the texts of this step.
      config: the settings of the run.
      steps: number of steps of the whole run, which the learning rate depends on.
    """
    program = Program(batch.ids.shape[1], config)
    with jax.ensure_compile_time_eval():
        run = paces(config, steps)
    pace = jax.tree.map(lambda x: jnp.asarray(x)[state.step], run)
    state, score, _ = _advance(state, batch, config.seed, pace, True, program)
    return state, score


@few(32, static_argnames=("program",), donate_argnames=("state",))
def train_block(
    state: TrainState, sums: Sums, tokens: TokenArrays, work: Work, program: Program
) -> tuple[TrainState, Sums]:
    """Take the steps of `work` on the device; none after one that meets numbers that are not finite.

    Args:
      state: where the run is; it is used up.
      sums: totals so far.
      tokens: the split on the device.
      work: batches, rates and seed.
      program: what the code is compiled for.
    """
    mesh = program.mesh

    def body(i: Array, carry: tuple[TrainState, Sums]) -> tuple[TrainState, Sums]:
        state, sums = carry
        batch = devices.constrain(gather(tokens, work.rows[i], program.n), mesh)
        before, pace = state.step, jax.tree.map(lambda x: x[i], work.paces)
        state, score, norm = _advance(state, batch, work.seed, pace, sums.finite, program)
        finite = state.step > before
        sums = Sums(sums.score + score, sums.norm + norm, sums.steps + 1, finite)
        return devices.constrain(state, mesh, program.shard_tables), sums

    return jax.lax.fori_loop(0, work.count, body, (state, sums))


def _advance(
    state: TrainState, batch: Batch, seed: Any, pace: adam.Pace, going: Any, program: Program
) -> tuple[TrainState, Score, Float[Array, ""]]:
    """Return the state after a batch, the score, and the norm of the gradient.

    The state stays as it was if the run is not `going` on, or if the loss or the gradient is not finite.
    """
    network, moments, rows = state.parameters, state.optimizer, None
    if program.optimizer is None:
        # All devices decide alike which row is read by whom; only then are the texts sharded.
        ids, rows = devices.constrain(_read(network.embedding.shape[0], batch.ids, program), program.mesh)
        network, moments = devices.constrain(adam.take(network, moments, rows), program.mesh)
        batch = batch._replace(ids=ids)
    slope, score = gradient(network, batch, state.step, seed, program)
    norm = adam.norm(slope)
    valid = going & jnp.isfinite(score.loss) & jnp.isfinite(norm)
    if program.config.clip is not None:
        slope = adam.scaled(slope, jnp.minimum(1.0, program.config.clip / norm))
    if rows is None:
        after = _updated(program.optimizer, slope, state, valid)
    else:
        after = adam.adam(network, slope, moments, pace, decay(network, program.config), valid)
        rows = jnp.where(valid, rows, state.parameters.embedding.shape[0])
        after = adam.put(state.parameters, state.optimizer, rows, *after)
    return state._replace(step=state.step + valid, parameters=after[0], optimizer=after[1]), score, norm


def _read(v: int, ids: Array, program: Program) -> tuple[Array, Array]:
    """Return the ids as they index the rows of the table that a step reads, and these rows."""
    if program.loss is not None:
        return ids, jnp.arange(v)  # it may read any
    most = ids.size if program.rows is None else program.rows
    return adam.narrow(ids, v, min(most, ids.size, v))


def _updated(optimizer: Any, slope: Any, state: TrainState, valid: Array) -> tuple[Any, Any]:
    """Return the network and the optimizer's state after an update by Optax; as they were, unless valid."""
    before: Any = state.parameters, state.optimizer
    updates, moments = optimizer.update(slope, state.optimizer, before[0])
    after = optax.apply_updates(before[0], updates), moments
    return jax.tree.map(lambda a, b: jnp.where(valid, a, b), after, before)


def gradient(network: Network, batch: Batch, step: Any, seed: Any, program: Program) -> tuple[Network, Score]:
    """Return the gradient of the mean loss, and the score.

    Args:
      network: the network, whole or with the rows of the batch alone.
      batch: the texts of this step.
      step: steps done before.
      seed: seed of dropout.
      program: what the code is compiled for.
    """
    config, texts = program.config, devices.shard(batch, program.mesh)
    key = jax.random.fold_in(jax.random.key(seed), step)

    def loss(network: Network) -> tuple[Array, Score]:
        network = _computing_in(network, config.dtype)
        if program.loss is None:
            result = score(network, texts, key, config.smoothing)
            return result.mean_loss, result
        result, value = score(network, texts), program.loss(network, texts)
        return value, result._replace(loss=value * result.count)

    slope, result = jax.grad(loss, has_aux=True)(network)
    return devices.constrain(slope, program.mesh), result


def _computing_in(network: Network, dtype: str) -> Network:
    """Return the network with linear maps that compute in `dtype`.

    Their parameters, and sums of gradients over tokens, stay float32.
    """
    if dtype == "float32":
        return network
    network = jax.tree.map(lambda x: x, network)
    for _, module in nnx.iter_modules(network):
        if isinstance(module, nnx.Linear):
            module.dtype = jnp.dtype(dtype)
    return network
