"""Token arrays and their cache; buckets; the order of batches; batches cut out in NumPy and inside of jit."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import same, split_of

from wave_jax.data import batches
from wave_jax.data.batches import TokenArrays
from wave_jax.data.tokenizer import Rules, Tokenizer

TEXTS = ["the cats sat", "the dogs sat down. The cats slept!", "", "a cat & a dog", "cats"] * 4
LABELS = np.arange(len(TEXTS)) % 2
TOKENIZER = Tokenizer.train(TEXTS, v=60)


LENGTHS = st.lists(st.integers(2, 70), min_size=1, max_size=60)

# --- token arrays


def test_a_few_texts_are_one_batch():
    batch = batches.of_texts(TEXTS[:3], LABELS[:3], TOKENIZER, 8, segments=True)
    want = batches.gather(
        batches.tokenize(TEXTS[:3], LABELS[:3], TOKENIZER, 8, segments=True), np.arange(3), 8
    )
    assert batch.ids.shape[1] == max(batch.mask.sum(axis=1)) == 8
    assert same(jax.device_get(batch), want)
    assert batches.of_texts(["a cat"], None, TOKENIZER).labels.tolist() == [-1]
    with pytest.raises(ValueError, match="one text at least"):
        batches.of_texts([], [], TOKENIZER)


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
    of_first, of_second = ([int(i % 5 == k) for i in range(len(TEXTS))] for k in (0, 1))
    paired = [TOKENIZER.with_pairs(TEXTS, labels, 3) for labels in (of_first, of_second)]
    assert paired[0] != paired[1]
    for cache in (None, tmp_path, tmp_path):
        for labels, want in zip((of_first, of_second), paired, strict=True):
            assert batches.train_tokenizer(TEXTS, 60, cache, labels=labels, pairs=3) == want


def test_every_text_needs_its_label():
    with pytest.raises(ValueError, match="There are 20 texts but 19 labels"):
        batches.tokenize(TEXTS, LABELS[1:], TOKENIZER, 8)


# --- batches


@settings(deadline=None)
@given(LENGTHS, st.data())
def test_gather(lengths, data):
    weights = np.arange(len(lengths), dtype=np.float32) + 1
    targets = np.stack([weights > 1, weights < 3], 1)
    tokens = split_of(lengths, segments=True)._replace(weights=weights, targets=targets)
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
        assert batch.weights[k] == (0 if row < 0 else row + 1)
        assert batch.targets[k].tolist() == [row > 0, 0 <= row < 2]
    assert [array.dtype for array in batch] == [np.int32, bool, np.int32, np.int32, np.float32, bool]


@pytest.mark.parametrize("segments", [False, True])
def test_on_the_device_and_inside_of_a_scan(segments):
    by_label = np.arange(12, dtype=np.float32).reshape(4, 3)
    tokens = split_of([3, 9, 5, 12], segments)._replace(pad_id=7, weights=by_label, targets=by_label > 4)
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


# --- the order of batches


def test_room_on_the_device_changes_the_shape_and_no_batch():
    tokens = TokenArrays(
        np.array([2, 7, 3, 2, 3]), np.array([0, 3, 5]), np.array([1, 0]), 0, np.array([0, 0, 1, 0, 0])
    )
    roomy, rows = batches.to_device(tokens, room=9), np.array([1, 0])
    assert roomy.ids.shape == roomy.segments.shape == (9,)
    assert batches.to_device(split_of([9] * 100)).offsets.shape == (105,)
    for a, b in zip(batches.gather(roomy, rows, 4), batches.gather(tokens, rows, 4), strict=True):
        np.testing.assert_array_equal(a, b)
    assert batches.to_device(tokens, room=2).ids.shape == (5,)
