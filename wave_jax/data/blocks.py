"""The words of many plain texts at once, by NumPy: where they are, and which of them are the same.

Python takes a microsecond for a word, NumPy a tenth of it for one of thousands.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["KEY", "LONGEST", "Block", "Index", "Table", "beginning", "cut", "keys", "of_letters"]

LONGEST = 40  # letters of a word; texts with a longer one are odd
_SPACE, _LETTER, _MARK, _ODD = range(4)
_KIND = np.full(256, _ODD, np.uint8)
_KIND[32:127] = _MARK
_KIND[[ord(char) for char in " \t\n\r"]] = _SPACE
_KIND[[code for code in range(128) if chr(code).isalnum()]] = _LETTER

KEY = 16  # letters that a key holds: two numbers of 64 bits
_BITS = 19  # of a slot's number, in an index
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
# The letters of a word of each length, of the 16 that begin where it does.
_OWN = np.tril(np.full((KEY + 1, KEY), 255, np.uint8), -1).view(np.uint64)


class Block(NamedTuple):
    """Plain texts side by side and their words: word i is raw[start[i] : end[i]], of text `text[i]`."""

    raw: bytes
    start: np.ndarray
    end: np.ndarray
    text: np.ndarray
    """In rising order."""


def cut(texts: Sequence[str], lowercase: bool) -> tuple[Block, np.ndarray]:
    """Cut plain texts at BERT's words; return the block, and the numbers of odd texts, which it leaves out.

    A text is plain if it is ASCII without control characters, and no word of it is longer than `LONGEST`.

    >>> block, odd = cut(["It's 9", "naïve"], lowercase=True)
    >>> [block.raw[a:b].decode() for a, b in zip(block.start, block.end)], odd.tolist()
    (['it', "'", 's', '9'], [1])
    """
    ascii = [text if text.isascii() else "" for text in texts]
    joined = " ".join([*ascii, " " * KEY])
    raw = (joined.lower() if lowercase else joined).encode()
    begin = np.cumsum([0, *(len(text) + 1 for text in ascii)])
    kind = _KIND.take(np.frombuffer(raw, np.uint8))
    inside = kind == _LETTER
    start, last = kind == _MARK, kind == _MARK
    start[0] |= inside[0]
    start[1:] |= inside[1:] & ~inside[:-1]
    last[:-1] |= inside[:-1] & ~inside[1:]
    block = _block(raw, np.flatnonzero(start), np.flatnonzero(last) + 1, begin)
    controls = np.searchsorted(begin, np.flatnonzero(kind == _ODD), side="right") - 1
    long = block.text[block.end - block.start > LONGEST]
    foreign = [i for i, text in enumerate(texts) if ascii[i] is not text]
    odd = np.unique(np.concatenate([controls, long, np.array(foreign, np.int64)]))
    if not len(odd):
        return block, odd
    plain = ~np.isin(block.text, odd)
    return Block(raw, block.start[plain], block.end[plain], block.text[plain]), odd


def _block(raw: bytes, start: np.ndarray, end: np.ndarray, begin: np.ndarray) -> Block:
    counts = np.diff(np.searchsorted(start, begin))
    return Block(raw, start, end, np.repeat(np.arange(len(counts)), counts))


def keys(raw: bytes, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the key of each word raw[start : end], (2, words): its first 16 letters as two numbers.

    A word of up to 16 letters is its own key, so that equal keys are equal words.
    """
    letters = sliding_window_view(np.frombuffer(raw, np.uint8), KEY)[start]
    return (letters.view(np.uint64) & _OWN.take(np.minimum(end - start, KEY), axis=0)).T


def beginning(key: np.ndarray, k: int, behind: str) -> np.ndarray:
    """Return the keys of the first k letters of words, with other letters behind them."""
    more = np.frombuffer((b"\0" * k + behind.encode()).ljust(KEY, b"\0"), np.uint64)
    return (key & _OWN[k][:, None]) | more[:, None]


def of_letters(key: np.ndarray) -> np.ndarray:
    """Return which keys hold letters alone."""
    chars = np.ascontiguousarray(key.T).view(np.uint8)
    return ((chars == 0) | ((chars | 32) - np.uint8(97) < 26)).all(axis=1)


def _slots(key: np.ndarray, bits: int) -> np.ndarray:
    mixed = key[0] * _FACTORS[0] ^ key[1] * _FACTORS[1]
    return ((mixed ^ mixed >> np.uint64(32)) * _FACTORS[0] >> np.uint64(64 - bits)).astype(np.int64)


class Table:
    """The rows of plain tokens of up to 16 letters: a hash that looks up thousands of words at once.

    A token that finds its slot taken is in the next free one.

    >>> block, _ = cut(["a cat"], lowercase=True)
    >>> Table({"cat": 7})(keys(block.raw, block.start, block.end)).tolist()
    [-1, 7]
    """

    def __init__(self, rows: Mapping[str, int]):
        short = [token for token in rows if len(token) <= KEY and token.isascii() and token.isprintable()]
        letters = np.array([token.encode() for token in short], f"S{KEY}").view(np.uint64)
        # The last, of the number -1, is no token's: it is empty.
        self._keys = np.append(letters, np.zeros(2, np.uint64)).reshape(-1, 2).T.copy()
        self._rows = np.array([*(rows[token] for token in short), -1], np.int32)
        self._bits = 2 + len(short).bit_length()
        self._numbers = np.full(2**self._bits, -1, np.int32)  # of slots
        left, slot = np.arange(len(short)), _slots(self._keys[:, :-1], self._bits)
        while len(left):
            free = self._numbers[slot] < 0
            self._numbers[slot[free]] = left[free]
            other = self._numbers[slot] != left
            left, slot = left[other], self._next(slot[other])

    def __call__(self, key: np.ndarray) -> np.ndarray:
        """Return the row of each key, -1 for one of no token."""
        slot = _slots(key, self._bits)
        numbers = self._numbers.take(slot)
        other = np.flatnonzero(self._differ(numbers, key))
        while len(other):
            slot[other] = self._next(slot[other])
            numbers[other] = found = self._numbers.take(slot[other])
            other = other[self._differ(found, key[:, other])]
        return self._rows.take(numbers)

    def _next(self, slot: np.ndarray) -> np.ndarray:
        return (slot + 1) & (2**self._bits - 1)

    def _differ(self, numbers: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Return which slots hold another token."""
        same = (self._keys[0].take(numbers) == key[0]) & (self._keys[1].take(numbers) == key[1])
        return ~same & (numbers >= 0)


class Index:
    """Numbers of distinct words, counted from 0 as words are met; threads may share it.

    Each slot knows one word and its number; words that find another one there, and those longer than a key,
    are looked up in a dict.

    >>> index = Index()
    >>> index(cut(["a b a", "c b"], lowercase=True)[0]).tolist(), list(index.words)
    ([0, 1, 0, 2, 1], [b'a', b'b', b'c'])
    """

    def __init__(self):
        self.words: dict[bytes, int] = {}
        self._numbers = np.full(2**_BITS, -1, np.int32)  # of slots
        self._keys = np.zeros((2, 2**_BITS), np.uint64)  # of numbers; that of -1, the last, stays empty
        self._lock = Lock()

    def __call__(self, block: Block) -> np.ndarray:
        """Return the number of each word of a block."""
        length = block.end - block.start
        key = keys(block.raw, block.start, block.end)
        slot = _slots(key, _BITS)
        numbers = self._numbers.take(slot)
        known = (self._keys[0].take(numbers) == key[0]) & (self._keys[1].take(numbers) == key[1])
        numbers[~known | (length > KEY)] = -1
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            with self._lock:
                numbers[missing] = self._meet(block, missing, slot, key)
        return numbers

    def _meet(self, block: Block, missing: np.ndarray, slot: np.ndarray, key: np.ndarray) -> list[int]:
        """Return the numbers of these words; a new one takes its slot if that is free."""
        found = []
        for i in missing.tolist():
            word = block.raw[block.start[i] : block.end[i]]
            number = self.words.get(word)
            if number is None:
                number = self.words[word] = len(self.words)
                if len(word) <= KEY and number < 2**_BITS - 1 and self._numbers[slot[i]] < 0:
                    self._keys[:, number] = key[:, i]
                    self._numbers[slot[i]] = number  # last: a thread that reads now sees none, or all of it
            found.append(number)
        return found
