"""The ids of words: those of the Rust library, each distinct word tokenized once."""

import numpy as np
import pytest

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.words import Words, without_lone_surrogates

TEXTS = ["The cats sat on the mats, planning naps", "Élan of 北京 cats planned 42 naps"] * 3
PIECES = Tokenizer.train(TEXTS, v=90)
WHOLE = Tokenizer.train(TEXTS, v=90, whole_words=True, stems=9)


def words_of(tokenizer):
    return Words(tokenizer.vocabulary, tokenizer.rules, np.dtype(np.uint16))


@pytest.mark.parametrize("tokenizer", [PIECES, WHOLE], ids=["pieces", "whole words"])
@pytest.mark.parametrize("text", [*TEXTS, "", "  ", "catsmats!", "Zebra 7up zebra", "naps\ta\ud800b"])
def test_ids_are_those_of_the_pieces(tokenizer, text):
    words = words_of(tokenizer)
    expected = [tokenizer.vocabulary[token] for token, _ in words.pieces(text)]
    assert np.frombuffer(words.ids(text), np.uint16).tolist() == expected


def test_pieces_know_their_positions():
    text = "The cats, 北京"
    assert [text[a:b].lower() for _, (a, b) in words_of(WHOLE).pieces(text)] == [
        "the",
        "cats",
        ",",
        "北",
        "京",
    ]


def test_an_unknown_word_is_its_longest_stem_or_what_it_looks_like():
    words = words_of(WHOLE)
    tokens = [token for token, _ in words.pieces("planner Zoo 7up zoo")]
    assert tokens == ["plann##", "[UNK-A]", "[UNK-1]", "[UNK]"]


def test_each_distinct_word_is_tokenized_once(monkeypatch):
    words, met = words_of(PIECES), []
    ask = words.known.ask
    words.known.ask = lambda word: met.append(word) or ask(word)
    words.ids("cats sat cats")
    words.ids("sat mats")
    assert met == ["cats", "sat", "mats"]


def test_half_a_surrogate_pair_is_replaced():
    assert without_lone_surrogates("a\udfffb🌊") == "a\ufffdb🌊"
