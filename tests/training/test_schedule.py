"""Rates, weight decay and dropped tokens along a run."""

import itertools

import jax
import numpy as np
import optax
import pytest
from tiny import TINY, build, split_of

from wave_jax.data.batches import TokenArrays, gather
from wave_jax.data.plan import Plan
from wave_jax.training.config import TrainConfig
from wave_jax.training.schedule import (
    decay,
    drop_tokens,
    lengths,
    most_distinct,
    of_a_step,
    rate,
    share_dropped,
)


def tokens(texts, segments=False, v=11, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 9, texts)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = rng.integers(4, v, offsets[-1]).astype(np.uint16)
    ids[offsets[:-1]] = 2
    numbers = np.concatenate([np.arange(n) // 2 for n in sizes]).astype(np.uint16) if segments else None
    return TokenArrays(ids, offsets, np.zeros(texts, np.int32), 0, numbers)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_rate_is_optaxs(schedule):
    config = TrainConfig(rate=0.5, warm_up=0.2, schedule=schedule)
    falling = {
        "constant": optax.constant_schedule(0.5),
        "linear": optax.linear_schedule(0.5, 0.0, 40),
        "cosine": optax.cosine_decay_schedule(0.5, 40),
    }[schedule]
    got = [float(rate(config, step, 50)) for step in range(50)]
    want = [0.5 * (step + 1) / 10 for step in range(10)] + [float(falling(step)) for step in range(40)]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_weight_decay_spares_what_it_is_told_to():
    decayed = {}
    for spares in ("nothing", "vectors", "embeddings"):
        of = decay(build(TINY), TrainConfig(weight_decay=0.5, decay_spares=spares))
        parameters = (of.embedding, of.classifier.kernel, of.classifier.bias)
        decayed[spares] = tuple(jax.tree.leaves(parameters))
    assert decayed == {
        "nothing": (0.5, 0.5, 0.5),
        "vectors": (0.5, 0.5, 0.0),
        "embeddings": (0.0, 0.5, 0.0),
    }


def test_dropped_tokens_are_a_share_and_never_the_first():
    many = tokens(texts=2000)
    kept = drop_tokens(many, 0.4, seed=1, epoch=0)
    np.testing.assert_array_equal(kept.ids[kept.offsets[:-1]], 2)
    rest = (len(kept.ids) - 2000) / (len(many.ids) - 2000)
    assert rest == pytest.approx(0.6, abs=0.02)
    for i in range(50):  # in their order
        left = iter(many.ids[many.offsets[i] : many.offsets[i + 1]])
        assert all(id in left for id in kept.ids[kept.offsets[i] : kept.offsets[i + 1]])
    again, other = drop_tokens(many, 0.4, seed=1, epoch=0), drop_tokens(many, 0.4, seed=1, epoch=1)
    np.testing.assert_array_equal(kept.ids, again.ids)
    assert not np.array_equal(kept.offsets, other.offsets)
    assert drop_tokens(many, 0.0, seed=1, epoch=0) is many


def test_dropped_tokens_are_those_of_the_plain_form():
    many = tokens(texts=300)
    raw = np.random.PCG64([1, 2, 2]).random_raw(len(many.ids) // 4 + 1).astype("<u8").view("<u2")
    kept = raw[: len(many.ids)] >= round(0.4 * 2**16)
    kept[many.offsets[:-1]] = True
    got = drop_tokens(many, 0.4, seed=1, epoch=2)
    np.testing.assert_array_equal(got.ids, many.ids[kept])
    np.testing.assert_array_equal(got.offsets, np.concatenate([[0], np.cumsum(kept)])[many.offsets])


def test_of_short_texts_fewer_tokens_are_dropped():
    train = split_of([30, 50])  # 40 on average
    share = lambda drop, keep: share_dropped(train, TrainConfig(drop_tokens=drop, keep_tokens=keep))
    assert share(0.6, 0) == share(0.6, 16) == 0.6
    assert share(0.6, 30) == pytest.approx(0.25)
    assert share(0.6, 40) == share(0.6, 99) == 0
    assert share_dropped(split_of([]), TrainConfig(drop_tokens=0.6, keep_tokens=2)) == 0


def test_steps_of_runs_that_differ_in_other_settings_are_the_same():
    own = {"weight_decay": 0.1, "decay_spares": "nothing", "clip": 2.0, "smoothing": 0.2, "dtype": "bfloat16"}
    given = TrainConfig(**own, epochs=9, rate=0.5, seed=3, drop_tokens=0.5, keep="last", batch=8)
    assert of_a_step(given) == TrainConfig(**own)


@pytest.mark.parametrize("ordered", [True, False], ids=["in order", "pairs behind"])
def test_sentences_are_numbered_anew(ordered):
    many = tokens(texts=300, segments=True)
    if not ordered:  # as behind a text, where its pairs name its sentences once more
        turned = [many.segments[a:b][::-1] for a, b in itertools.pairwise(many.offsets)]
        many = many._replace(segments=np.concatenate([[0, *row[:-1]] for row in turned]).astype(np.uint16))
    kept = drop_tokens(many, 0.6, seed=0, epoch=0)
    for a, b in zip(kept.offsets, kept.offsets[1:], strict=False):
        numbers = kept.segments[a:b]
        assert set(numbers.tolist()) == set(range(numbers.max() + 1))
        assert not ordered or (np.diff(numbers.astype(int)) >= 0).all()


@pytest.mark.parametrize(("batch", "coarse"), [(8, 3 / 2), (4, 17 / 16)], ids=["few batches", "many batches"])
def test_a_batch_has_room_for_a_twentieth_more_distinct_tokens_than_the_first_epoch_needs(batch, coarse):
    train, config = tokens(texts=300), TrainConfig(batch=batch)
    most = most_distinct(train, config, (8,))
    plan = Plan.of_epoch(train, batch, 0, 0, (8,))
    found = [len({0, 2, *gather(train, row, 8).ids.ravel().tolist()}) for row in plan[0].rows]
    assert set(most) == {8}
    assert 1.05 * max(found) <= most[8] <= coarse * 1.05 * (max(found) + 3)


@pytest.mark.parametrize(("texts", "same"), [(300, True), (600, False)], ids=["few", "many"])
def test_folds_of_few_texts_have_the_same_room(texts, same):
    folds = [tokens(texts, v=100, seed=seed) for seed in range(5)]
    rooms = {most_distinct(fold, TrainConfig(batch=8), (8,))[8] for fold in folds}
    assert (len(rooms) == 1) == same


def test_lengths_to_pad_to_cover_every_text_of_every_epoch():
    many, config = tokens(texts=300), TrainConfig(drop_tokens=0.6, batch=2)
    shapes = lengths(many, config)
    assert len(shapes) <= 5
    assert shapes[-1] >= many.lengths.max()
    assert lengths(many, TrainConfig(batch=2)) == (4, 8)
    assert lengths(many, TrainConfig()) == (many.lengths.max(),), "few batches are padded to one length"
    assert lengths(many, TrainConfig(lengths=1)) == (many.lengths.max(),)
    assert lengths(split_of([3, 98]), TrainConfig()) == (104,)
    assert lengths(split_of([3, 98]), TrainConfig(), positions=100) == (100,)


def test_what_dropping_leaves_of_the_longest_text_has_a_length_of_its_own():
    many, config = split_of([*[12] * 900, 400]), TrainConfig(drop_tokens=0.5, batch=2)
    *_, likely, longest = lengths(many, config)
    left = [drop_tokens(many, 0.5, seed, epoch).lengths.max() for seed in range(3) for epoch in range(9)]
    assert (max(left) <= likely < 300, longest) == (True, 416)
    few, config = split_of([400] * 20), TrainConfig(drop_tokens=0.6)
    likely, longest = lengths(few, config)
    left = [drop_tokens(few, 0.6, seed, epoch).lengths.max() for seed in range(3) for epoch in range(9)]
    assert (max(left) <= likely < 210, longest) == (True, 416), "few long texts are not padded to all of it"
