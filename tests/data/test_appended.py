"""What is appended to texts: first the stems of their words, then the pairs of their neighbours."""

import numpy as np

from wave_jax.data.appended import Appender, _stems
from wave_jax.data.vocabulary import LOOKS, SPECIAL, Rules, beginnings

WORDS = ["cats", "planet", "not", "good", "plan##", "pla##"]
ROW = {token: i for i, token in enumerate([*SPECIAL, *LOOKS, *WORDS])}
PAIRS = np.array([[ROW["not"], ROW["good"]], [ROW["[CLS]"], ROW["not"]]])


def ids_of(*texts):
    rows = [[ROW[token] for token in f"[CLS] {text} [SEP]".split()] for text in texts]
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)])


def test_stems_come_before_pairs_and_each_knows_its_words():
    appender = Appender(ROW, Rules(looks=True), PAIRS, np.dtype(np.uint16))
    stems, pairs = appender(*ids_of("cats planet", "not good"))
    assert stems.ids.tolist() == [ROW["plan##"], ROW["pla##"]]
    assert (stems.texts.tolist(), stems.first.tolist(), stems.last.tolist()) == ([0, 0], [2, 2], [2, 2])
    assert pairs.ids.tolist() == [appender.first_pair + 1, appender.first_pair]
    assert (pairs.texts.tolist(), pairs.first.tolist(), pairs.last.tolist()) == ([1, 1], [4, 5], [5, 6])


def test_a_vocabulary_without_stems_and_pairs_appends_nothing():
    appender = Appender(ROW, Rules(), np.zeros((0, 2), np.int64), np.dtype(np.uint16))
    assert appender(*ids_of("cats planet")) == []
    assert appender.longest(16) == 16


def test_the_longest_text_has_stems_and_pairs_everywhere():
    assert Appender(ROW, Rules(looks=True), PAIRS, np.dtype(np.uint16)).longest(10) == 10 + 8 * 2 + 9


def test_stems_are_the_beginnings_that_have_rows():
    words = [
        "planets",
        "planet##",
        "plane##",
        "plan##",
        "pla##",
        "naïve",
        "naï##",
        "pla9nets",
        "cat",
        "[UNK]",
        "#",
    ]
    vocabulary = {word: 2 * i for i, word in enumerate(words)}
    found = _stems(vocabulary, 2 * len(words))
    for word, row in vocabulary.items():
        expected = [vocabulary[stem] for stem in beginnings(word) if stem in vocabulary]
        assert found[row].tolist() == (expected + [-1] * 3)[:3]
    assert (found[1::2] == -1).all()
