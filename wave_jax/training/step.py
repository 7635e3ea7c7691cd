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
from wave_jax.training.schedule import decay, rate

__all__ = [
    "NOTHING",
    "TOGETHER",
    "Program",
    "Sums",
    "TrainState",
    "Work",
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
    network: Network
    optimizer: Any
    """Adam's moments, networks themselves (`optax.ScaleByAdamState`)."""
    best: Any
    """Best validation accuracy so far, -1 before the first."""
    stale: Any
    """Validations since the best one; 0 if this state is the best so far."""


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
    rates: Any
    """(TOGETHER,) learning rate of each step."""
    count: Any
    """Number of steps. It is not a constant, so a run that is resumed runs the same code."""
    seed: Any

    @classmethod
    def of(cls, rows: np.ndarray, rates: Any, seed: int) -> "Work":
        """Return these batches as work, filled up to the shape that all programs share."""
        filled = np.pad(rows, ((0, TOGETHER - len(rows)), (0, 0)), constant_values=-1)
        return cls(filled, jnp.asarray(rates, jnp.float32), np.int32(len(rows)), np.uint32(seed))


class Sums(NamedTuple):
    """Totals since the last record."""

    score: Score
    norm: Any
    """Norm of the gradient, summed over steps."""
    steps: Any
    finite: Any
    """Whether all of it was finite."""


NOTHING = Sums(Score(np.float32(0), np.int32(0), np.int32(0)), np.float32(0), np.int32(0), np.bool_(True))


def init(network: Network, optimizer: optax.GradientTransformation | None = None) -> TrainState:
    """Return the state before the first step. The arrays are copied: training leaves the network alone."""
    network = jax.tree.map(jnp.copy, network)
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
    state, score, _ = _advance(state, batch, config.seed, rate(config, state.step, steps), True, program)
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
        before = state.step
        state, score, norm = _advance(state, batch, work.seed, work.rates[i], sums.finite, program)
        finite = state.step > before
        sums = Sums(sums.score + score, sums.norm + norm, sums.steps + 1, finite)
        return devices.constrain(state, mesh, program.shard_tables), sums

    return jax.lax.fori_loop(0, work.count, body, (state, sums))


def _advance(
    state: TrainState, batch: Batch, seed: Any, rate: Any, going: Any, program: Program
) -> tuple[TrainState, Score, Float[Array, ""]]:
    """Return the state after a batch, the score, and the norm of the gradient.

    The state stays as it was if the run is not `going` on, or if the loss or the gradient is not finite.
    """
    slope, score = gradient(state, batch, seed, program)
    norm = adam.norm(slope)
    valid = going & jnp.isfinite(score.loss) & jnp.isfinite(norm)
    if program.config.clip is not None:
        slope = adam.scaled(slope, jnp.minimum(1.0, program.config.clip / norm))
    if program.optimizer is None:
        network, moments = adam.adam(
            state.network, slope, state.optimizer, rate, decay(state.network, program.config), valid
        )
    else:
        network, moments = _updated(program.optimizer, slope, state, valid)
    state = state._replace(step=state.step + valid, network=network, optimizer=moments)
    return state, score, norm


def _updated(
    optimizer: optax.GradientTransformation, slope: Any, state: TrainState, valid: Array
) -> tuple[Any, Any]:
    """Return the network and the optimizer's state after an update by Optax; as they were, unless valid."""
    before: Any = state.network, state.optimizer
    updates, moments = optimizer.update(slope, state.optimizer, before[0])
    after = optax.apply_updates(before[0], updates), moments
    return jax.tree.map(lambda a, b: jnp.where(valid, a, b), after, before)


def gradient(state: TrainState, batch: Batch, seed: Any, program: Program) -> tuple[Network, Score]:
    """Return the gradient of the mean loss, with the embedding table's part as `adam.Rows`, and the score.

    Args:
      state: where the run is.
      batch: the texts of this step.
      seed: seed of dropout.
      program: what the code is compiled for.
    """
    config, mesh = program.config, program.mesh
    if program.loss is not None:
        return _of_own_loss(state.network, devices.shard(batch, mesh), program)
    key = jax.random.fold_in(jax.random.key(seed), state.step)

    # All devices decide alike which row is read by whom; only then are the texts sharded.
    v, positions = state.network.embedding.shape[0], batch.ids.size
    most = min(program.rows or positions, positions) if program.optimizer is None else v
    small, ids, rows = devices.constrain(adam.narrow(state.network, batch.ids, most), mesh)
    texts = devices.shard(batch._replace(ids=ids), mesh)

    def loss(network: Network) -> tuple[Array, Score]:
        network = _computing_in(network, config.dtype)
        result = score(network, texts, key, config.smoothing)
        return result.mean_loss, result

    slope, result = jax.grad(loss, has_aux=True)(small)
    return adam.as_table(devices.constrain(slope, mesh), rows), result


def _of_own_loss(network: Network, batch: Batch, program: Program) -> tuple[Network, Score]:
    """Return the gradient of a loss of (network, batch) as a whole, and the score with that loss."""
    own = program.loss
    assert own is not None

    def loss(network: Network) -> tuple[Array, Score]:
        network = _computing_in(network, program.config.dtype)
        return own(network, batch), score(network, batch)

    (value, result), slope = jax.value_and_grad(loss, has_aux=True)(network)
    return devices.constrain(slope, program.mesh), result._replace(loss=value * result.count)


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
