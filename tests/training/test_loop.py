"""Training: its steps, its records; the same bits however it is cut; what stops it."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from tiny import TINY, build

from wave_jax.data import batches, planted
from wave_jax.data.batches import TokenArrays
from wave_jax.data.plan import Plan
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs.presets import SMALL
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import NonFinite, fit
from wave_jax.training.loss import loss as cross_entropy
from wave_jax.training.schedule import drop_tokens, lengths, of_a_step, paces, rate
from wave_jax.training.step import NOTHING, TOGETHER, Program, TrainState, Work, copied, init, train_block


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


def assert_same_bits(one, other):
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=jax.tree_util.keystr(path))


WHOLE = run(every=7, valid=TOKENS)


def test_what_fit_cannot_do_is_refused_before_the_first_step():
    with pytest.raises(ValueError, match="patience=2 needs validation texts"):
        fit(NETWORK, TOKENS, replace(CONFIG, patience=2))
    none = TokenArrays(np.zeros(0, np.uint16), np.zeros(1, np.int64), np.zeros(0, np.int32))
    with pytest.raises(ValueError, match="no texts to train on"):
        fit(NETWORK, none, CONFIG)
    with pytest.raises(ValueError, match="every must be at least 1"):
        fit(NETWORK, TOKENS, CONFIG, every=0)


# --- a run --------------------------------------------------------------------------------------------------


def test_records_come_at_every_step_asked_for_and_at_the_ends_of_epochs():
    _, records = run(every=5)
    assert [(r.step, r.epoch) for r in records] == [
        (5, 1),
        (7, 1),
        (10, 2),
        (14, 2),
        (15, 3),
        (20, 3),
        (21, 3),
    ]
    _, whole = WHOLE
    assert [r.valid is not None for r in whole] == [True] * 3
    assert whole[-1].valid.count == 26
    assert whole[-1].rate == pytest.approx(1e-2 * (1 + np.cos(np.pi * 20 / 21)) / 2, rel=1e-3)
    assert all(r.texts_per_second > 0 and r.gradient_norm > 0 and 0 <= r.accuracy <= 1 for r in whole)


def test_steps_overrule_epochs():
    state, records = run(config=replace(CONFIG, steps=9), every=4, valid=TOKENS)
    assert [r.step for r in records] == [4, 7, 8, 9]
    assert [r.valid is not None for r in records] == [False, True, False, True]
    assert int(state.step) == 9


@pytest.mark.parametrize("done", [1, 3, 7, 9])
def test_a_run_goes_on_from_any_step_as_if_nothing_had_been(done):
    state, _ = run(every=1, until=done, valid=TOKENS)
    saved = jax.tree.map(np.asarray, state)  # as from a file
    state, records = run(start=saved, every=7, valid=TOKENS)
    assert_same_bits(state, WHOLE[0])
    assert records[-1][:6] == WHOLE[1][-1][:6]


def test_who_looks_at_the_network_on_the_way_changes_no_bit():
    seen = [state.network for state, _ in fit(NETWORK, TOKENS, CONFIG, every=3)]
    *_, (state, _) = fit(NETWORK, TOKENS, CONFIG, every=3)
    assert_same_bits(state, run(every=3)[0])
    assert_same_bits(seen[-1], state.network)
    idle = [
        row
        for row in range(11)
        if not np.array_equal(seen[-1].embedding[row], state.parameters.embedding[row])
    ]
    assert idle


@pytest.mark.parametrize("own", [{}, {"optimizer": optax.adam(1e-2)}], ids=["Adam", "own optimizer"])
def test_a_network_stays_when_its_state_is_used_up(own):
    seen = [state.network for state, _ in fit(NETWORK, TOKENS, CONFIG, every=3, **own)]
    assert not any(array.is_deleted() for network in seen for array in jax.tree.leaves(network))


def test_a_state_goes_on_under_another_schedule_as_adam_does():
    half, _ = run(PLAIN, SIMPLE, every=7, until=7)
    slower = replace(SIMPLE, rate=3e-3, schedule="linear")
    state, _ = run(half, slower, every=7)
    rates = [1e-2] * 7 + [float(rate(slower, i, 14)) for i in range(7, 14)]
    want, _ = run(PLAIN, SIMPLE, every=7, optimizer=optax.adam(lambda i: jnp.asarray(rates)[i]))
    assert_close(state.network, want.network)


def test_every_epoch_has_its_own_tokens_and_each_step_its_dropout_and_smoothing():
    """At a rate of nothing each record's loss is that of the network as it was, made here by hand."""
    config = replace(CONFIG, batch=26, rate=1e-12, weight_decay=0.0, drop_tokens=0.9, keep_tokens=3)
    share, by_hand = 1 - 3 / TOKENS.lengths.mean(), jax.jit(cross_entropy, static_argnames="smoothing")
    _, records = run(config=config, every=1)
    wanted = []
    for epoch in range(3):
        left = drop_tokens(TOKENS, share, config.seed, epoch)
        plan = Plan.of_epoch(left, 26, config.seed, epoch, lengths(TOKENS, config), TOGETHER)
        (batch,) = plan.batches(left)
        key = jax.random.fold_in(jax.random.key(config.seed), epoch)
        wanted.append(float(by_hand(NETWORK, jax.tree.map(jnp.asarray, batch), key, smoothing=0.1)))
    np.testing.assert_allclose([record.loss for record in records], wanted, rtol=1e-5)


def test_what_a_step_holds_does_not_depend_on_the_vocabulary():
    """But for four bytes a row, by which equal tokens find each other."""

    def held(v):
        state = jax.eval_shape(lambda: init(WaveConfig(d=64).build(v=v, c=3, rngs=nnx.Rngs(0))))
        work = Work.of(np.zeros((4, 4), np.int32), paces(SIMPLE, 14), 0, 0)
        arguments = state, NOTHING, batches.to_device(TOKENS), work
        program = Program(8, of_a_step(SIMPLE), rows=32)
        return train_block.jitted.lower(*arguments, program=program).compile().memory_analysis()

    small, large = held(1_000), held(200_000)
    assert large.alias_size_in_bytes > 3 * 200_000 * 64 * 4
    assert large.temp_size_in_bytes - small.temp_size_in_bytes < 199_000 * 4 * 1.1


def test_runs_over_seeds_rates_and_lengths_are_compiled_once():
    *_, (first, _) = fit(NETWORK, TOKENS, CONFIG)
    programs = train_block.jitted._cache_size()
    other = replace(CONFIG, seed=6, rate=1e-3, schedule="linear", epochs=2)
    *_, (second, _) = fit(NETWORK, TOKENS, other)
    assert train_block.jitted._cache_size() == programs
    assert not np.array_equal(first.network.classifier.bias[...], second.network.classifier.bias[...])


def test_two_processes_make_the_same_bits():
    code = "from tests.training.test_loop import *; print(*sorted(digests()))"
    root = Path(__file__).parents[2]
    lines = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root}:{root / 'tests'}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert lines[-1] == " ".join(sorted(digests()))


def digests():
    import hashlib

    return [hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest()[:16] for leaf in jax.tree.leaves(WHOLE[0])]


def test_training_stops_when_validation_no_longer_gets_better():
    frozen = replace(CONFIG, epochs=9, rate=1e-12, weight_decay=0.0, patience=2)
    state, records = run(config=frozen, every=7, valid=TOKENS)
    assert records[-1].epoch == 3
    assert (int(state.stale), float(state.best)) == (2, pytest.approx(records[0].valid.accuracy))
    assert list(fit(state, TOKENS, frozen, valid=TOKENS)) == []


def test_non_finite_numbers_stop_the_run_and_the_state_is_from_before():
    config = replace(CONFIG, batch=1, drop_tokens=0.0, epochs=1)
    plan = Plan.of_epoch(TOKENS, 1, config.seed, 0, lengths(TOKENS, config), TOGETHER)
    read = [set(batch.ids[batch.mask].tolist()) for batch in plan.batches(TOKENS)]
    first, token = next((i, t) for i in range(1, 26) for t in read[i] - set().union(*read[:i]))
    poisoned = copied(NETWORK)
    poisoned.embedding = type(poisoned.embedding)(poisoned.embedding[...].at[token].set(jnp.inf))
    with pytest.raises(
        NonFinite, match=rf"^Step {first + 1} met NaN or infinite numbers in .*variant1"
    ) as caught:
        for _ in fit(poisoned, TOKENS, config):
            pass
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.step == first + 1
    assert int(error.state.step) == first
    assert "layers.0.variant1.kernel" in error.names
    kernel, moment = error.state.network.layers[0].variant1.kernel, error.state.optimizer.mu.embedding
    assert jnp.isfinite(kernel[...]).all()
    assert jnp.isfinite(moment[...]).all()


def test_an_id_beyond_the_table_is_reported():
    beyond = TOKENS._replace(ids=np.where(TOKENS.ids == 10, V, TOKENS.ids))
    with pytest.raises(NonFinite, match="embedding"):
        list(fit(NETWORK, beyond, CONFIG, every=7))


# --- learning -----------------------------------------------------------------------------------------------


def test_eight_texts_are_learnt_by_heart():
    eight = tokens(texts=8, seed=3, v=40)
    network = build(WaveConfig(d=16), v=40)
    config = TrainConfig(steps=150, batch=8, rate=1e-2)
    *_, (_, record) = fit(network, eight, config, every=50)
    assert record.accuracy == 1
    assert record.loss < 0.1


def test_the_planted_corpus_is_learnt():
    parts = {part: planted.generate(part=part, size=size) for part, size in (("train", 800), ("valid", 200))}
    tokenizer = Tokenizer.train(parts["train"].texts, v=800)
    tokens = {
        part: batches.tokenize(corpus.texts, corpus.labels, tokenizer, 64) for part, corpus in parts.items()
    }
    network = WaveConfig(d=16, dropout=0.2).build(v=tokenizer.v, c=4, rngs=nnx.Rngs(0))
    config = replace(SMALL.training, epochs=10, batch=32, rate=1e-2, drop_tokens=0.2)
    *_, (state, record) = fit(network, tokens["train"], config, valid=tokens["valid"])
    majority = np.bincount(parts["valid"].labels).max() / 200
    assert float(state.best) > majority + 0.15
    assert isinstance(state, TrainState)
    assert record.valid.count == 200


# --- an optimizer and a loss of one's own -------------------------------------------------------------------

PLAIN = build(TINY, v=V)
SIMPLE = TrainConfig(epochs=2, batch=4, rate=1e-2, seed=5)
OPTIMIZER = optax.adam(1e-2)


def assert_close(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_optaxs_adam_and_the_cross_entropy_given_by_hand_train_as_ours():
    ours, records = run(PLAIN, SIMPLE, valid=TOKENS)
    theirs, others = run(PLAIN, SIMPLE, valid=TOKENS, optimizer=OPTIMIZER, loss=cross_entropy)
    assert_close(theirs.network, ours.network)
    np.testing.assert_allclose([r.loss for r in others], [r.loss for r in records], rtol=1e-4)
    np.testing.assert_allclose([r.accuracy for r in others], [r.accuracy for r in records])
    assert [r.rate for r in others] == [0] * len(others)
    assert_close(run(PLAIN, SIMPLE, optimizer=OPTIMIZER)[0].network, ours.network)
    assert_close(run(PLAIN, SIMPLE, loss=cross_entropy)[0].network, ours.network)


def test_with_an_optimizer_and_a_loss_resumed_is_uninterrupted():
    own = {"optimizer": OPTIMIZER, "loss": cross_entropy}
    whole, _ = run(PLAIN, SIMPLE, every=3, **own)
    half, _ = run(PLAIN, SIMPLE, every=3, until=6, **own)
    assert_same_bits(run(half, SIMPLE, every=3, **own)[0], whole)


def test_an_optimizer_can_leave_the_embedding_alone():
    def labels(network):  # a function, for optax would call a network that it is given
        named = jax.tree_util.tree_map_with_path(lambda path, _: "embedding" in str(path[0]), network)
        return jax.tree.map(lambda frozen: "frozen" if frozen else "trained", named)

    optimizer = optax.partition({"frozen": optax.set_to_zero(), "trained": OPTIMIZER}, labels)
    state, _ = run(PLAIN, SIMPLE, optimizer=optimizer)
    np.testing.assert_array_equal(state.network.embedding[...], PLAIN.embedding[...])
    assert not np.array_equal(state.network.classifier.kernel[...], PLAIN.classifier.kernel[...])


def test_a_loss_that_is_not_finite_stops_the_run_and_the_state_is_from_before():
    def loss(network, batch):
        return cross_entropy(network, batch) / jnp.where(batch.ids.size > 0, 0.0, 1.0)

    with pytest.raises(NonFinite, match="Step 1 met NaN or infinite numbers") as caught:
        run(PLAIN, SIMPLE, optimizer=OPTIMIZER, loss=loss)
    assert_same_bits(caught.value.state.network, PLAIN)
