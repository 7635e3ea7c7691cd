"""Token arrays and their cache; buckets; the order of batches; batches cut out in NumPy and inside of jit."""

import itertools
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data import batches
from wave_jax.data.batches import TokenArrays
from wave_jax.data.plan import Block, Plan, buckets
from wave_jax.data.tokenizer import Rules, Tokenizer

TEXTS = ["the cats sat", "the dogs sat down. The cats slept!", "", "a cat & a dog", "cats"] * 4
LABELS = np.arange(len(TEXTS)) % 2
TOKENIZER = Tokenizer.train(TEXTS, v=60)


def split_of(lengths, segments=False):
    """A split of texts of these lengths; token j of text i is 100·i + j + 1."""
    rows = [100 * i + np.arange(length) + 1 for i, length in enumerate(lengths)]
    return TokenArrays(
        ids=np.concatenate([np.zeros(0, int), *rows]).astype(np.uint16),
        offsets=np.cumsum([0, *lengths]),
        labels=np.arange(len(lengths), dtype=np.int32) % 3,
        segments=np.concatenate([row % 100 // 4 for row in rows]).astype(np.uint16) if segments else None,
    )


def news_lengths(count, seed=0):
    """Lengths as those of AG News: median 50, a long tail, cut at 128."""
    draw = np.random.default_rng(seed)
    return np.clip(draw.lognormal(np.log(50), 0.3, count), 3, 128).astype(int)


def same(a, b):
    return all(
        np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True) if x is not None
    )


LENGTHS = st.lists(st.integers(2, 70), min_size=1, max_size=60)

# --- token arrays


def test_tokenize_is_the_tokenizer_with_labels():
    tokens = batches.tokenize(TEXTS, LABELS, TOKENIZER, 8, segments=True)
    plain = TOKENIZER.encode(TEXTS, 8, segments=True)
    assert same(tokens[:2], plain[:2])
    assert np.array_equal(tokens.segments, plain.segments)
    assert tokens.labels.dtype == np.int32
    assert np.array_equal(tokens.labels, LABELS)
    assert tokens.pad_id == TOKENIZER.pad_id
    assert tokens.lengths.max() == 8
    assert batches.tokenize(TEXTS, None, TOKENIZER, 8).labels.tolist() == [-1] * len(TEXTS)


def test_cached_tokens_are_the_same_and_not_made_again(tmp_path, monkeypatch):
    first = batches.tokenize(TEXTS, LABELS, TOKENIZER, 8, tmp_path, segments=True)
    monkeypatch.setattr(Tokenizer, "encode", None)
    again = batches.tokenize(TEXTS, 1 - LABELS, TOKENIZER, 8, tmp_path, segments=True)
    assert same(first._replace(labels=None, pad_id=None), again._replace(labels=None, pad_id=None))
    assert np.array_equal(again.labels, 1 - LABELS)  # labels are those given, never those of an earlier call


def test_whatever_changes_the_ids_is_never_served_stale(tmp_path):
    cleaning = Tokenizer(TOKENIZER.vocabulary, Rules(clean=True))
    batches.tokenize(TEXTS, None, TOKENIZER, 8, tmp_path)
    for texts, tokenizer, n, segments in [
        (["The cats sat", *TEXTS[1:]], TOKENIZER, 8, False),
        (TEXTS[:-1], TOKENIZER, 8, False),
        (TEXTS[::-1], TOKENIZER, 8, False),
        (TEXTS, cleaning, 8, False),
        (TEXTS, TOKENIZER, 7, False),
        (TEXTS, TOKENIZER, 8, True),
    ]:
        cached = batches.tokenize(texts, None, tokenizer, n, tmp_path, segments)
        assert same(cached[:3], batches.tokenize(texts, None, tokenizer, n, segments=segments)[:3])
        assert (cached.segments is not None) == segments
    assert len(list(tmp_path.iterdir())) == 7


def test_a_damaged_cache_is_rebuilt(tmp_path):
    first = batches.tokenize(TEXTS, None, TOKENIZER, 8, tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[content.index(b"ids.npy") + 140] ^= 16
    path.write_bytes(content)
    assert same(first[:3], batches.tokenize(TEXTS, None, TOKENIZER, 8, tmp_path)[:3])
    assert path.read_bytes() != content


def test_a_trained_tokenizer_is_cached(tmp_path, monkeypatch):
    assert batches.train_tokenizer(TEXTS, 60) == TOKENIZER
    assert batches.train_tokenizer(TEXTS, 60, tmp_path) == TOKENIZER
    cased = batches.train_tokenizer(TEXTS, 60, tmp_path, lowercase=False, clean=True)
    monkeypatch.setattr(Tokenizer, "train", None)
    assert batches.train_tokenizer(TEXTS, 60, tmp_path) == TOKENIZER
    assert batches.train_tokenizer(TEXTS, 60, tmp_path, clean=True, lowercase=False) == cased != TOKENIZER
    with pytest.raises(TypeError):  # another size is trained anew, here by None
        batches.train_tokenizer(TEXTS, 59, tmp_path)


def test_the_cache_of_tokenizers_knows_labels_and_pairs(tmp_path):
    labels = [i % 2 for i in range(len(TEXTS))]
    for labels_ in (labels, labels[::-1]):
        paired = batches.train_tokenizer(TEXTS, 60, labels=labels_, pairs=3)
        assert paired == TOKENIZER.with_pairs(TEXTS, labels_, 3)
        assert [batches.train_tokenizer(TEXTS, 60, tmp_path, labels=labels_, pairs=3) for _ in range(2)] == [
            paired,
            paired,
        ]


def test_every_text_needs_its_label():
    with pytest.raises(ValueError, match="There are 20 texts but 19 labels"):
        batches.tokenize(TEXTS, LABELS[1:], TOKENIZER, 8)


# --- batches


@settings(deadline=None)
@given(LENGTHS, st.data())
def test_gather(lengths, data):
    tokens = split_of(lengths, segments=True)
    rows = data.draw(st.lists(st.integers(-1, len(lengths) - 1), min_size=1, max_size=6))
    n = max(lengths) + data.draw(st.integers(0, 3))
    batch = batches.gather(tokens, np.array(rows), n)
    for k, row in enumerate(rows):
        length = 1 if row < 0 else lengths[row]
        assert batch.mask[k].tolist() == [j < length for j in range(n)]
        assert batch.ids[k, :length].tolist() == [100 * max(row, 0) + j + 1 for j in range(length)]
        assert not batch.ids[k, length:].any()
        assert not batch.segments[k, length:].any()
        assert batch.segments[k, :length].tolist() == [(j + 1) // 4 for j in range(length)]
        assert batch.labels[k] == (-1 if row < 0 else row % 3)
    assert [array.dtype for array in batch] == [np.int32, bool, np.int32, np.int32]


@pytest.mark.parametrize("segments", [False, True])
def test_on_the_device_and_inside_of_a_scan(segments):
    tokens = split_of([3, 9, 5, 12], segments)._replace(pad_id=7)
    device = batches.to_device(tokens)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(device))
    assert device.ids.dtype == np.uint16  # no padding and no wider than needed
    rows = np.array([[0, 3], [2, -1]], np.int32)

    @jax.jit
    def scan(tokens, rows):
        return jax.lax.scan(lambda _, row: (None, batches.gather(tokens, row, 16)), None, rows)[1]

    stacked = scan(device, rows)
    for k, row in enumerate(rows):
        expected = batches.gather(tokens, row, 16)
        assert same(jax.tree.map(lambda leaf, k=k: np.asarray(leaf[k]), stacked), expected)


def test_a_longer_text_than_the_batch_is_cut_in_place():
    batch = batches.gather(split_of([9, 2]), np.array([0, 1]), 4)
    assert batch.ids.tolist() == [[1, 2, 3, 4], [101, 102, 0, 0]]


def test_another_padding_id():
    batch = batches.gather(split_of([2])._replace(pad_id=9), np.array([0]), 4)
    assert batch.ids.tolist() == [[1, 2, 9, 9]]


def test_too_many_tokens_for_the_device():
    tokens = TokenArrays(np.broadcast_to(np.uint16(0), 2**31), np.array([0, 2**31]), np.zeros(1, np.int32))
    with pytest.raises(
        ValueError, match=r"2,147,483,648 tokens are more than 32-bit offsets reach.*gather on"
    ):
        batches.to_device(tokens)


# --- buckets


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


# --- the order of batches


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


def test_room_on_the_device_changes_the_shape_and_no_batch():
    tokens = TokenArrays(
        np.array([2, 7, 3, 2, 3]), np.array([0, 3, 5]), np.array([1, 0]), 0, np.array([0, 0, 1, 0, 0])
    )
    roomy, rows = batches.to_device(tokens, room=9), np.array([1, 0])
    assert roomy.ids.shape == roomy.segments.shape == (9,)
    for a, b in zip(batches.gather(roomy, rows, 4), batches.gather(tokens, rows, 4), strict=True):
        np.testing.assert_array_equal(a, b)
    assert batches.to_device(tokens, room=2).ids.shape == (5,)
