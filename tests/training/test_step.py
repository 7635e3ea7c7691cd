"""One step is clipped Adam; it uses its state up; bfloat16 computes near float32."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import TINY, build

from wave_jax.data import batches
from wave_jax.data.batches import TokenArrays
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import fit
from wave_jax.training.loss import loss
from wave_jax.training.step import copied, init, step


def tokens(texts=26, seed=0, v=11):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(2, 9, texts))])
    ids = rng.integers(4, v, offsets[-1]).astype(np.uint16)
    ids[offsets[:-1]] = 2
    return TokenArrays(ids, offsets, rng.integers(0, 3, texts).astype(np.int32))


V = 40


NETWORK = build(replace(TINY, dropout=0.3), v=V)


TOKENS = tokens()  # 7 steps of 4 texts, the last with filler


CONFIG = TrainConfig(
    epochs=3, batch=4, rate=1e-2, schedule="cosine", weight_decay=0.1, smoothing=0.1, drop_tokens=0.3, seed=5
)


def run(start=NETWORK, config=CONFIG, until=None, **settings):
    """The last state, copied, and all records."""
    records = []
    for state, record in fit(start, TOKENS, config, **settings):  # noqa: B007
        records.append(record)
        if record.step == until:
            break
    return copied(state), records


WHOLE = run(every=7, valid=TOKENS)


BATCH = jax.tree.map(jnp.asarray, batches.gather(TOKENS, np.arange(4), 8))


def test_a_step_is_clipped_adam():
    config = TrainConfig(rate=0.1, clip=0.01)
    network = build(TINY, v=V)
    state, score = step(init(network), BATCH, config, 10)
    transform = optax.chain(optax.clip_by_global_norm(0.01), optax.adam(0.1))

    @jax.jit
    def plain(network):
        gradient = jax.grad(loss)(network, BATCH)
        update, _ = transform.update(gradient, transform.init(network))
        return optax.apply_updates(network, update), gradient, loss(network, BATCH)

    want, gradient, want_loss = plain(network)
    sure = jax.tree.map(lambda g: abs(g) > 1e-4, gradient)  # of rounding, Adam makes a full step
    for a, b, where in zip(*map(jax.tree.leaves, (state.network, want, sure)), strict=True):
        np.testing.assert_allclose(a[where], b[where], rtol=1e-4, atol=1e-4)
    assert int(state.step) == 1
    np.testing.assert_allclose(score.mean_loss, want_loss, rtol=1e-5)


@pytest.mark.parametrize("done", [0, 3])
def test_a_step_has_its_own_dropout_and_the_smoothing_of_the_settings(done):
    state = init(NETWORK)._replace(step=jnp.int32(done))
    _, score = step(state, BATCH, TrainConfig(rate=0.1, smoothing=0.2, seed=7), 10)
    key = jax.random.fold_in(jax.random.key(7), done)
    want = jax.jit(loss, static_argnames="smoothing")(NETWORK, BATCH, key, smoothing=0.2)
    np.testing.assert_allclose(score.mean_loss, want, rtol=1e-5)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_clipping_shortens_long_gradients_alone(clip):
    """Adam's step hardly shows it: its means do, after the first step a tenth of the gradient."""
    network = build(TINY, v=V)
    gradient = jax.jit(jax.grad(loss))(network, BATCH)
    norm = np.sqrt(sum(float((g**2).sum()) for g in jax.tree.leaves(gradient)))
    state, _ = step(init(network), BATCH, TrainConfig(rate=0.1, clip=clip), 10)
    for m, g in zip(*map(jax.tree.leaves, (state.optimizer.mu, gradient)), strict=True):
        np.testing.assert_allclose(m, 0.1 * g * min(1, clip / norm), rtol=1e-3, atol=1e-6 * min(clip, norm))


def test_a_step_uses_its_state_up_and_fit_spares_what_it_is_given():
    config = TrainConfig(rate=0.1, clip=0.01)
    state = init(build(TINY, v=V))
    step(state, BATCH, config, 10)
    assert state.parameters.embedding[...].is_deleted()
    assert not any(x.is_deleted() for x in jax.tree.leaves(NETWORK))


def test_bfloat16_computes_near_float32_and_keeps_float32_parameters():
    state, records = run(config=replace(CONFIG, dtype="bfloat16"), every=7, until=7)
    assert {x.dtype for x in jax.tree.leaves(state.network)} == {np.dtype(np.float32)}
    want = WHOLE[1][0].loss
    assert records[-1].loss != want
    assert records[-1].loss == pytest.approx(want, rel=0.02)
