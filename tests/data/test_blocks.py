"""Words by the block are those of BERT's rules, and equal words have equal numbers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data import blocks
from wave_jax.data.blocks import Index, cut
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
