"""The tokens appended to a text after its [SEP]: the stems of its words, then the pairs of its neighbours."""

from typing import NamedTuple

import numpy as np

from wave_jax.data.pairs import PairIndex
from wave_jax.data.tokens import numbers_within
from wave_jax.data.vocabulary import STEM, Rules

__all__ = ["Appended", "Appender"]


class Appended(NamedTuple):
    """Appended tokens, each for one word or for the two neighbours of a pair."""

    ids: np.ndarray
    texts: np.ndarray
    """The text that each belongs to, in rising order."""
    first: np.ndarray
    """Position of the word, or of the first word of a pair."""
    last: np.ndarray


class Appender:
    """What a vocabulary and its pairs append to texts."""

    def __init__(self, vocabulary: dict[str, int], rules: Rules, pairs: np.ndarray, dtype: np.dtype):
        self.first_pair = max(vocabulary.values()) + 1
        self._stems = (
            _stems(vocabulary, self.first_pair) if rules.looks else np.zeros((0, len(STEM)), np.int32)
        )
        self._counts = (self._stems >= 0).sum(axis=1)
        self._pairs, self._has_pairs = PairIndex(pairs), len(pairs) > 0
        self._dtype = dtype

    def __call__(self, ids: np.ndarray, offsets: np.ndarray) -> list[Appended]:
        """Return what is appended to texts that end with [SEP]: first their stems, then their pairs."""
        both = self._stems_in(ids, offsets), self._pairs_in(ids, offsets)
        return [appended for appended in both if len(appended.ids)]

    def longest(self, max_length: int) -> int:
        """Return the maximum number of tokens of a text cut to `max_length`, appended ones included.

        Every word may have stems, every two neighbours may make a pair.
        """
        stems = (max_length - 2) * self._counts.max(initial=0)
        return max_length + int(stems) + (max_length - 1 if self._has_pairs else 0)

    def _stems_in(self, ids: np.ndarray, offsets: np.ndarray) -> Appended:
        if not len(self._stems):
            return Appended(*np.zeros((4, 0), np.int64))
        counts = self._counts.take(ids)
        positions = np.repeat(np.arange(len(ids)), counts)
        stems = self._stems[ids.take(positions), numbers_within(counts)].astype(self._dtype)
        texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)).take(positions)
        return Appended(stems, texts, positions, positions)

    def _pairs_in(self, ids: np.ndarray, offsets: np.ndarray) -> Appended:
        rows, texts, first = self._pairs(ids, offsets)
        return Appended((self.first_pair + rows).astype(self._dtype), texts, first, first + 1)


def _stems(vocabulary: dict[str, int], rows: int) -> np.ndarray:
    """Return the rows of each token's stems (`vocabulary.beginnings`), (rows, 3): the longest first, then -1.

    If no token has any, there are no rows.
    """
    stems = np.full((rows, len(STEM)), -1, np.int32)
    known = {token[:-2]: row for token, row in vocabulary.items() if token.endswith("##")}
    words = [token.removesuffix("##") for token in vocabulary]
    found = [[known.get(word[:k], -1) if len(word) > k else -1 for word in words] for k in STEM]
    of_token = np.array(found, np.int32).T
    of_token[[not word.isalpha() for word in words]] = -1
    order = np.argsort(of_token < 0, axis=1, kind="stable")
    stems[[*vocabulary.values()]] = np.take_along_axis(of_token, order, axis=1)
    return stems if (stems >= 0).any() else stems[:0]
