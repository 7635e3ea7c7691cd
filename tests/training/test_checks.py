"""What is noticed before a training begins: filler in a loss, and a state of another network."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import optax
import pytest
from tiny import CONFIGS, TINY, build, split_of

from wave_jax.training import loop
from wave_jax.training.checks import check_loss, check_state
from wave_jax.training.config import TrainConfig
from wave_jax.training.loss import loss
from wave_jax.training.step import init

TRAIN = split_of([3, 4, 5])._replace(ids=split_of([3, 4, 5]).ids % 11)


def poisoned(network, batch):
    """The mean over all rows: filler, of label -1, counts as the last class."""
    log_p = jax.nn.log_softmax(network(batch.ids, batch.mask))
    return -jnp.mean(jnp.take_along_axis(log_p, batch.labels[:, None], axis=1))


def test_a_loss_that_counts_filler_is_refused_before_the_first_step():
    network = build(CONFIGS["bag"])
    check_loss(loss, network, TRAIN)
    with pytest.raises(ValueError, match=r"loss is .* of two texts and .* with a row of filler.*jnp.where"):
        next(loop.fit(network, TRAIN, TrainConfig(epochs=1, batch=2), loss=poisoned))


def test_a_loss_that_is_not_finite_is_left_to_the_training():
    check_loss(lambda network, batch: jnp.nan * loss(network, batch), build(CONFIGS["bag"]), TRAIN)


@pytest.mark.parametrize("optimizer", [None, optax.adam(1e-3)])
def test_a_state_of_another_network_is_refused(optimizer):
    mine, other = build(TINY), build(replace(TINY, d=8))
    state = init(mine, optimizer)
    check_state(state.optimizer, init(mine, optimizer).optimizer)
    mixed = state._replace(optimizer=init(other, optimizer).optimizer)
    with pytest.raises(
        ValueError, match=r"of another network or optimizer: .* is float32\(.*8.*should be float32"
    ):
        next(loop.fit(mixed, TRAIN, TrainConfig(epochs=1, batch=2), optimizer=optimizer))


def test_a_state_of_another_optimizer_is_refused():
    network = build(CONFIGS["bag"])
    with pytest.raises(ValueError, match=r"state has .* arrays, and this network and optimizer need"):
        next(loop.fit(init(network, optax.sgd(0.1)), TRAIN, TrainConfig(), optimizer=optax.adam(0.1)))
