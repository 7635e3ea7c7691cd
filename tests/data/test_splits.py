"""Rows become splits; a held-out share is the same whatever the order of the texts."""

import numpy as np
import pytest

from wave_jax.data.rows import Rows
from wave_jax.data.splits import Split, hold_out, infer_classes, split_of
from wave_jax.errors import DataError


def rows_of(values):
    return Rows([f"text {i}" for i in range(len(values))], values, lambda row: f"row {row}", "rows")


def test_classes_are_the_sorted_names_and_integers_by_their_size():
    assert infer_classes(rows_of(["b", "a", "b"])) == ("a", "b")
    assert infer_classes(rows_of(["1", "0", "2"])) == ("0", "1", "2")
    assert infer_classes(rows_of(["10", "2", "-1"])) == ("-1", "2", "10")
    assert split_of(rows_of(["10", "-1"]), ("-1", "10"), {"-1", "10"}).labels.tolist() == [1, 0]
    assert infer_classes(rows_of(["2", "1"])._replace(first=1)) == ("1", "2")
    with pytest.raises(DataError, match="rows: no row has label 2 but one has 3: without a header"):
        infer_classes(rows_of(["1", "3"])._replace(first=1))
    with pytest.raises(DataError, match="row 1: label 'a' beside '1'"):
        infer_classes(rows_of(["1", "a"]))


def test_a_label_outside_the_classes_is_named():
    assert split_of(rows_of(["b", "a"]), ("a", "b"), {"a", "b"}).labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="row 1: label 'c' is outside the 2 classes"):
        split_of(rows_of(["b", "c"]), ("a", "b"))


def test_the_held_out_share_does_not_depend_on_the_order():
    texts, labels = [f"text {i}" for i in range(50)], np.arange(50, dtype=np.int32) % 2
    order = np.random.default_rng(0).permutation(50)
    splits = Split(tuple(texts), labels), Split(tuple(texts[i] for i in order), labels[order])
    first, second = (hold_out(split, 0.2, seed=3) for split in splits)
    for one, other in zip(first, second, strict=True):
        assert sorted(one.texts) == sorted(other.texts)
    assert len(first[1]) == 10


def test_a_share_of_every_class_is_held_out_by_the_seed_with_all_that_is_known_of_a_text():
    labels, texts = np.array([0] * 40 + [1] * 10, np.int32), tuple(f"text {i}" for i in range(50))
    spans = tuple(((i, i + 1),) for i in range(50))
    whole = Split(texts, labels, 1 - labels, spans, np.arange(50.0))
    parts = train, valid = hold_out(whole, 0.2, seed=3)
    assert np.bincount(train.labels).tolist() == [32, 8]
    assert np.bincount(valid.labels).tolist() == [8, 2]
    assert sorted(train.texts + valid.texts) == sorted(texts)
    for part in parts:
        rows = [texts.index(text) for text in part.texts]
        assert part.digest == Split(part.texts, labels[rows], weights=whole.weights[rows]).digest
        assert part.topics.tolist() == (1 - labels[rows]).tolist()
        assert part.evidence == tuple(spans[row] for row in rows)
    assert hold_out(whole, 0.2, seed=3)[1].texts == valid.texts
    assert hold_out(whole, 0.2, seed=4)[1].texts != valid.texts


def test_a_share_of_0_holds_nothing_out():
    split = Split(("a", "b"), np.array([0, 1], np.int32))
    train, valid = hold_out(split, 0.0)
    assert (train.digest, len(valid)) == (split.digest, 0)
