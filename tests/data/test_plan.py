"""Buckets, and the plan of an epoch: every text once, in an order that everyone finds again."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import news_lengths, same, split_of

from wave_jax.data.batches import TokenArrays
from wave_jax.data.plan import Block, Plan, buckets, distinct

LENGTHS = st.lists(st.integers(2, 70), min_size=1, max_size=60)


def waste(lengths, shapes):
    return sum(min(n for n in shapes if n >= length) - length for length in lengths)


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 4), st.sampled_from([1, 4, 8]))
def test_no_other_buckets_leave_less_padding(lengths, most, multiple):
    shapes = buckets(np.array(lengths), most, multiple)
    longest = -(-max(lengths) // multiple) * multiple
    assert shapes[-1] == longest
    assert len(shapes) <= most
    assert list(shapes) == sorted({n for n in shapes if n % multiple == 0})
    choices = [
        (*inner, longest)
        for size in range(most)
        for inner in itertools.combinations(range(multiple, longest, multiple), size)
    ]
    assert waste(lengths, shapes) == min(waste(lengths, choice) for choice in choices)


def test_one_length_more_only_where_it_is_worth_it():
    lengths = np.array([4] * 10 + [96] * 10 + [100] * 100)
    assert buckets(lengths) == (4, 96, 100)
    assert buckets(lengths, worth=0.01) == (4, 100)  # 96 would spare 40 of 11,040 places
    assert buckets(lengths, worth=0.1) == (100,)  # 4 would spare 960 of 12,000


def test_no_texts_no_buckets():
    assert buckets(np.zeros(0, int)) == ()
    assert Plan.of_epoch(split_of([]), 4, 0, 0) == Plan.of_all(split_of([]), 4) == ()
    assert Plan().padding(split_of([])) == 0


def test_buckets_must_cover_every_text():
    for plan in (
        lambda: Plan.of_epoch(split_of([9]), 4, 0, 0, [8]),
        lambda: Plan.of_all(split_of([9]), 4, [8]),
    ):
        with pytest.raises(
            ValueError, match=r"text of 9 tokens fits in none of the buckets \(8,\): choose them"
        ):
            plan()


@pytest.mark.parametrize(("count", "share"), [(68_754, 0.12), (5_000, 0.15), (500, 0.25)])
def test_little_is_padding(count, share):
    tokens = split_of([0])._replace(offsets=np.concatenate([[0], np.cumsum(news_lengths(count))]))
    plan = Plan.of_epoch(tokens, 64, seed=0, epoch=0, together=16)
    assert plan.padding(tokens) < share
    assert len({run.n for run in plan}) <= 6
    assert Plan.of_all(tokens, 64).padding(tokens) < share


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_has_every_text_once(lengths, b, together, seed, epoch):
    tokens = split_of(lengths)
    plan = Plan.of_epoch(tokens, b, seed, epoch, together=together)
    rows = np.concatenate([run.rows.ravel() for run in plan])
    assert sorted(rows[rows >= 0]) == list(range(len(lengths)))
    assert sum(len(run.rows) for run in plan) == -(
        -len(lengths) // b
    )  # so only the last to be cut has filler
    for n, run in plan:
        assert 1 <= len(run) <= together
        assert run.dtype == np.int32
        assert run.shape[1] == b
        assert all(lengths[row] <= n for row in run.ravel() if row >= 0)


def test_the_order_is_a_function_of_seed_and_epoch():
    tokens = split_of(news_lengths(600).tolist())

    def plan(seed, epoch):
        return [(run.n, run.rows.tolist()) for run in Plan.of_epoch(tokens, 16, seed, epoch)]

    plans = [plan(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert plans == [plan(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({str(p) for p in plans}) == 9


ORDER = """
import hashlib, numpy as np
from wave_jax.data.batches import TokenArrays
from wave_jax.data.plan import Plan
lengths = np.arange(5000) ** 2 % 97 + 3
tokens = TokenArrays(np.zeros(0), np.concatenate([[0], np.cumsum(lengths)]), np.zeros(5000))
plan = Plan.of_epoch(tokens, 32, seed=7, epoch=3, together=4)
print(hashlib.sha256(b"".join(np.int32(run.n).tobytes() + run.rows.tobytes() for run in plan)).hexdigest())
"""


def test_the_order_is_that_of_every_other_process_and_machine():
    run = subprocess.run(
        [sys.executable, "-c", ORDER], env={"PYTHONHASHSEED": "5"}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "d9c8091537362827591c919ba2d9992197d8b2656e221635da6373cecb833be2"


def test_lengths_interleave_and_texts_mix():
    lengths = news_lengths(20_000)
    tokens = split_of([0])._replace(offsets=np.concatenate([[0], np.cumsum(lengths)]))
    first, second = (Plan.of_epoch(tokens, 64, 0, epoch) for epoch in (0, 1))
    shape = np.concatenate([[run.n] * len(run.rows) for run in first])
    thirds = [part.mean() for part in np.array_split(shape, 3)]
    assert max(thirds) < 1.15 * min(thirds)
    assert len(set(shape[:60])) >= 3
    place = np.argsort(np.concatenate([run.rows.ravel() for run in first]))
    again = np.argsort(np.concatenate([run.rows.ravel() for run in second]))
    for other in (again, np.arange(len(place))):
        assert abs(np.corrcoef(place, other)[0, 1]) < 0.1


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 5), st.integers(1, 4), st.integers(0, 30))
def test_a_run_resumes_in_the_middle_of_an_epoch(lengths, b, together, done):
    tokens = split_of(lengths)
    plan = Plan.of_epoch(tokens, b, 0, 0, together=together)
    whole = list(plan.batches(tokens))
    rest = list(plan.after(done).batches(tokens))
    assert len(rest) == max(0, len(whole) - done)
    assert all(same(a, b) for a, b in zip(rest, whole[done:], strict=True))


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9))
def test_evaluation_is_exact(lengths, b):
    tokens = split_of(lengths)
    plan = Plan.of_all(tokens, b)
    assert len(plan) == len({run.n for run in plan})
    assert sum(run.rows.size for run in plan) < len(lengths) + b
    found = np.full(len(lengths), -2)
    steps = (rows for run in plan for rows in run.rows)
    for rows, batch in zip(steps, plan.batches(tokens), strict=True):
        found[rows[rows >= 0]] = batch.labels[rows >= 0]
        assert (batch.labels[rows < 0] == -1).all()
    assert found.tolist() == tokens.labels.tolist()


def test_buckets_may_come_in_any_order():
    tokens = split_of([3, 9, 5])
    plans = [Plan.of_all(tokens, 2, shapes) for shapes in ([16, 8], (8, 16))]
    assert plans[0][0].n == plans[1][0].n == 8
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(*plans, strict=True))
    assert Plan.of_all(split_of([]), 2, [8]) == ()


def test_batches_have_rows():
    for b, together in ((0, 1), (4, 0)):
        with pytest.raises(
            ValueError, match=f"at least one row and a block one step, got {b} and {together}"
        ):
            Plan.of_epoch(split_of([3]), b, 0, 0, together=together)
    with pytest.raises(ValueError, match="at least one row"):
        Plan.of_all(split_of([3]), 0)


def test_runs_that_are_done_are_left_out():
    plan = Plan([Block(8, np.zeros((2, 1), np.int32)), Block(16, np.ones((3, 1), np.int32))])
    assert [(run.n, len(run.rows)) for run in plan.after(2)] == [(16, 3)]
    assert plan.after(5) == ()


@given(st.lists(st.lists(st.integers(0, 20)), min_size=1, max_size=6), st.integers(1, 3), st.randoms())
@settings(deadline=None, max_examples=50)
def test_distinct_tokens_are_those_of_the_richest_batch(texts, steps, random):
    ids = np.array([id for text in texts for id in text], np.uint16)
    tokens = TokenArrays(ids, np.cumsum([0, *map(len, texts)]), np.zeros(len(texts)))
    rows = np.array([[random.randrange(-1, len(texts)) for _ in range(4)] for _ in range(steps)])
    met = [{id for row in batch if row >= 0 for id in texts[row]} for batch in rows]
    assert distinct(tokens, rows) == max(map(len, met)) + 2
