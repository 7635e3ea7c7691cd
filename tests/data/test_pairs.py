"""Pairs of neighbours: chosen by χ² from the whole table, found and appended as by plain loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data import pairs

TEXTS = st.lists(st.lists(st.integers(0, 3), min_size=0, max_size=6), min_size=1, max_size=6)


def flat(texts):
    ids = np.array([id for text in texts for id in text], np.uint16)
    return ids, np.cumsum([0, *map(len, texts)])


def neighbours(text):
    return list(itertools.pairwise(text))


def plain_chi_square(pair, texts, labels):
    """Σ (observed - expected)² / expected over the 2 × c table of present or not by label."""
    total = 0.0
    present = np.array([pair in neighbours(text) for text in texts])
    for here in (True, False):
        for label in set(labels):
            observed = np.sum((present == here) & (labels == label))
            expected = np.sum(present == here) * np.sum(labels == label) / len(labels)
            total += (observed - expected) ** 2 / expected if expected else 0.0
    return total


@settings(deadline=None)
@given(TEXTS, st.data())
def test_chosen_by_the_plain_formula(texts, data):
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(texts), max_size=len(texts))))
    most = data.draw(st.integers(1, 4))
    chosen = list(map(tuple, pairs.choose(*flat(texts), labels, most, min_texts=2).tolist()))
    counts = {
        pair: sum(pair in neighbours(text) for text in texts) for text in texts for pair in neighbours(text)
    }
    score = {pair: plain_chi_square(pair, texts, labels) for pair, count in counts.items() if count >= 2}
    assert len(chosen) == min(most, len(score))
    assert chosen == sorted(chosen)
    for pair in chosen:
        better = [other for other in score if score[other] > score[pair] + 1e-4]
        assert pair in score
        assert len(better) < most


def test_texts_without_a_label_do_not_count():
    ids, offsets = flat([[1, 2], [1, 2], [2, 1], [2, 1], [0, 0], [0, 0]])
    chosen = pairs.choose(ids, offsets, np.array([0, 0, 1, 1, -1, -1]), most=9)
    assert chosen.tolist() == [[1, 2], [2, 1]]


@settings(deadline=None)
@given(TEXTS, st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=5))
def test_found_and_appended_as_by_plain_loops(texts, table):
    table = sorted(table)
    expected = [
        [*text, *(10 + table.index(pair) for pair in neighbours(text) if pair in table)] for text in texts
    ]
    array = np.array(table, np.int64).reshape(-1, 2)
    row, text, place = pairs.PairIndex(array)(*flat(texts))
    ids, offsets = pairs.behind(*flat(texts), row + 10, text)
    assert [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)] == expected
    assert [tuple(array[r].tolist()) for r in row] == [
        pair for text in texts for pair in neighbours(text) if pair in table
    ]
    starts = flat(texts)[1]
    assert all(
        neighbours(texts[t])[p - starts[t]] == tuple(array[r])
        for r, t, p in zip(row, text, place, strict=True)
    )


@pytest.mark.parametrize("texts", [[], [[]], [[1]], [[1], [2]]], ids=str)
def test_no_pairs_anywhere(texts):
    ids, offsets = flat(texts)
    assert pairs.choose(ids, offsets, np.zeros(len(texts), int), most=5).shape == (0, 2)
    row, text, _ = pairs.PairIndex(np.array([[1, 2]]))(ids, offsets)
    same, ends = pairs.behind(ids, offsets, row, text)
    assert same.tolist() == ids.tolist()
    assert ends.tolist() == offsets.tolist()


def test_pairs_that_are_there_are_not_chosen_again():
    ids, offsets = flat([[1, 2], [1, 2], [2, 1], [2, 1]])
    labels = np.array([0, 0, 1, 1])
    assert pairs.choose(ids, offsets, labels, most=1, besides=np.array([[1, 2]])).tolist() == [[2, 1]]
    assert len(pairs.choose(ids, offsets, labels, most=9, besides=np.array([[2, 1], [1, 2]]))) == 0


@settings(deadline=None)
@given(TEXTS)
def test_occurrences_come_in_the_plain_order_whether_or_not_one_number_holds_them(texts):
    keys, places = pairs._keys(*flat(texts))
    order = np.lexsort([places, keys])
    for v in (4, 2**32):
        found = pairs._in_order(keys, places, v, len(texts))
        np.testing.assert_array_equal(found, (keys[order], places[order]))
