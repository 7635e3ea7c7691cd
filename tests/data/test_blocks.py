"""Words by the block are those of BERT's rules, and equal words have equal numbers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data import blocks
from wave_jax.data.blocks import Index, Table, beginning, cut, keys, of_letters
from wave_jax.data.vocabulary import is_plain, plain_words

# Words that share what a key holds, or a part of it, and words beside its edges.
WORDS = ["a", "A", "ab", "b", "abcdefgh", "abcdefghi", "a" * 15, "a" * 16, "a" * 17, "a" * 16 + "b", "a" * 40]
ODD = ["é", "\x00", "a\x7f", "a" * 41, "\x0b"]
PARTS = st.sampled_from([*WORDS, *" \t\n\r.,'[-0", "9th", " "])
TEXTS = st.lists(st.lists(PARTS | st.sampled_from(ODD), max_size=8).map("".join), max_size=6)


def words_of(block):
    return [block.raw[a:b].decode() for a, b in zip(block.start, block.end, strict=True)]


@pytest.mark.parametrize("lowercase", [True, False])
@settings(deadline=None)
@given(texts=TEXTS)
def test_words_are_those_of_each_text_by_itself(lowercase, texts):
    block, odd = cut(texts, lowercase)
    expected = []
    for i, text in enumerate(texts):
        spaced = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
        words = plain_words(spaced, lowercase) if is_plain(spaced) else ["x" * 99]
        assert (i in odd) == (max(map(len, words), default=0) > blocks.LONGEST)
        expected += [] if i in odd else [(i, word) for word in words]
    assert list(zip(block.text.tolist(), words_of(block), strict=True)) == expected


def keys_of(block):
    return keys(block.raw, block.start, block.end)


@settings(deadline=None)
@given(texts=TEXTS, tokens=st.sets(st.sampled_from([*WORDS, "ab##", "é", "a\x00", "", ".", "9th"])))
def test_a_table_has_the_row_of_each_short_token(texts, tokens):
    rows = {token: 3 * i for i, token in enumerate(sorted(tokens))}
    block, _ = cut(texts, lowercase=False)
    found = Table(rows)(keys_of(block))
    for word, row in zip(words_of(block), found.tolist(), strict=True):
        if len(word) <= blocks.KEY:
            assert row == rows.get(word, -1)


@pytest.mark.parametrize("count", [0, 1, 3, 999])
def test_tokens_that_find_their_slot_taken_are_in_the_next_free_one(count, monkeypatch):
    monkeypatch.setattr(blocks, "_slots", lambda key, bits: np.full(key.shape[1], 2**bits - 2))
    table = Table({f"w{i}": i for i in range(count)})
    found = table(keys_of(cut([" ".join(f"w{i}" for i in range(999))], lowercase=True)[0]))
    assert found.tolist() == [*range(count), *[-1] * (999 - count)]


def test_beginnings_of_words_and_words_of_letters():
    block, _ = cut(["planned 42nd a abcdefgh naps9 Zoo"], lowercase=False)
    stems = Table({"plan##": 1, "abcde##": 2, "a##": 3})
    assert stems(beginning(keys_of(block), 4, "##")).tolist() == [1, -1, -1, -1, -1, -1]
    assert stems(beginning(keys_of(block), 5, "##")).tolist() == [-1, -1, -1, 2, -1, -1]
    assert of_letters(keys_of(block)).tolist() == [True, False, True, True, False, True]


@settings(deadline=None)
@given(several=st.lists(TEXTS, max_size=3))
def test_equal_words_have_equal_numbers(several):
    index, number = Index(), {}
    for texts in several:
        block, _ = cut(texts, lowercase=False)
        expected = [number.setdefault(word, len(number)) for word in words_of(block)]
        assert index(block).tolist() == expected
    assert [word.decode() for word in index.words] == list(number)


def test_words_that_find_their_slot_taken_are_told_apart(monkeypatch):
    monkeypatch.setattr(blocks, "_BITS", 1)
    index, texts = Index(), [" ".join(f"w{i}" for i in range(50))] * 2
    for _ in range(2):
        assert index(cut(texts, lowercase=True)[0]).tolist() == [*range(50)] * 2


def test_threads_share_an_index():
    texts = [" ".join(f"w{(i * k) % 999}" for i in range(300)) for k in range(1, 9)]
    index = Index()
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda text: index(cut([text], lowercase=True)[0]), texts * 4)]
    words = list(index.words)
    for text, numbers in zip(texts * 4, found, strict=True):
        assert [words[number].decode() for number in numbers] == text.split()
    assert np.array_equal(np.sort([*index.words.values()]), np.arange(len(words)))
