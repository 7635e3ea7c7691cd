"""Pairs of neighbouring tokens that count as tokens: word order for a network that sees a bag of tokens.

Flat arrays of integers are used throughout: text i is ids[offsets[i] : offsets[i + 1]], pairs are (p, 2).
[CLS] and [SEP] make pairs too, with the first and the last word. The rows of pairs follow those of the
vocabulary, and a text's pairs follow its [SEP].
"""

import numpy as np

__all__ = ["PairIndex", "behind", "choose"]

_BITS = 32  # of a key, for each of its two ids
_SLOT_BITS, _ODD = 18, np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: a megabyte of numbers


def choose(
    ids: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    most: int,
    min_texts: int = 2,
    besides: np.ndarray | None = None,
) -> np.ndarray:
    """Choose the pairs that say most about the label, by χ² between label and presence in a text.

    χ² = Σ (observed - expected)² / expected over labels, pair present or not. Equal pairs come in the order
    of their ids; the choice is the same on every run.

    Args:
      ids: tokens of all texts.
      offsets: where each text begins.
      labels: number of each text's class, -1 if unknown.
      most: maximum number of pairs.
      min_texts: number of texts that a pair must occur in.
      besides: pairs (p, 2) that are not to be chosen.

    >>> ids, offsets = np.array([2, 7, 8, 3, 2, 8, 7, 3] * 2), np.arange(0, 17, 4)
    >>> choose(ids, offsets, np.array([0, 1, 0, 1]), most=2).tolist()
    [[2, 7], [2, 8]]
    """
    keys, texts = _in_order(*_keys(ids, offsets), v=int(ids.max(initial=0)) + 1, count=len(offsets) - 1)
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    once = first.copy()  # a pair counts once in a text
    once[1:] |= texts[1:] != texts[:-1]
    keys, pair = keys[first], (np.cumsum(first) - 1)[once]
    known = (of_text := labels[texts[once]]) >= 0
    c = int(labels.max(initial=0)) + 1
    present = np.bincount(pair[known] * c + of_text[known], minlength=len(keys) * c).reshape(-1, c)
    enough = present.sum(1) >= min_texts
    if besides is not None:
        enough &= ~np.isin(keys, _key(besides[:, 0], besides[:, 1]))
    keys, score = keys[enough], _chi_square(present[enough], np.bincount(labels[labels >= 0], minlength=c))
    best = np.sort(np.argsort(-score, kind="stable")[:most])
    return _pairs(keys[best])


def _chi_square(present: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Compute χ² of pairs: N²/(p·(N - p)) · Σ (present - p·share)² / (N·share).

    N texts are there, p of them with the pair. This is χ² over both rows of the table, in float64 and
    rounded, so that ties stay ties.
    """
    N, p = texts.sum(), present.sum(1)
    share = texts / max(N, 1)
    real = share > 0
    off = (present[:, real] - p[:, None] * share[real]) ** 2 / share[real]
    score = off.sum(1) * N / np.maximum(p * (N - p), 1)
    return np.round(score * 2**16).astype(np.int64)


def behind(
    values: np.ndarray,
    offsets: np.ndarray,
    more: np.ndarray,
    texts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Insert values behind those of each text.

    Args:
      values: one value per token.
      offsets: where each text begins.
      more: the values to insert.
      texts: the text that each belongs to, in rising order.

    >>> ids, offsets = np.array([2, 7, 3, 2, 3]), np.array([0, 3, 5])
    >>> behind(ids, offsets, np.array([10, 11]), np.array([0, 0]))
    (array([ 2,  7,  3, 10, 11,  2,  3]), array([0, 5, 7]))
    """
    counts = np.bincount(texts, minlength=len(offsets) - 1)
    longer = offsets + np.concatenate([[0], np.cumsum(counts)])
    both, new = np.empty(longer[-1], values.dtype), np.ones(longer[-1], bool)
    old = np.arange(len(values)) + np.repeat(longer[:-1] - offsets[:-1], np.diff(offsets))
    new[old] = False
    both[old], both[new] = values, more
    return both, longer


class PairIndex:
    """An index of pairs (p, 2): where they occur in texts.

    Each slot of a hash knows one pair. Most neighbours find an empty slot; only where pairs share a slot, and
    it knows another one, is there a search.

    >>> ids, offsets = np.array([2, 5, 6, 3, 2, 7, 8, 3]), np.array([0, 4, 8])
    >>> [found.tolist() for found in PairIndex(np.array([[7, 8], [5, 6]]))(ids, offsets)]
    [[1, 0], [0, 1], [1, 5]]
    """

    def __init__(self, pairs: np.ndarray):
        self._keys = _key(pairs[:, 0], pairs[:, 1])
        self._order = np.argsort(self._keys, kind="stable")
        slots = _slots(self._keys)
        self._numbers = np.full(2**_SLOT_BITS, -1, np.int32)
        self._numbers[slots] = np.arange(len(pairs))
        self._shared = np.bincount(slots, minlength=1) > 1

    def __call__(self, ids: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find each pair: which one, in which text, and the position of its first token in `ids`."""
        keys = _key(ids[:-1], ids[1:])
        slots = _slots(keys)
        numbers = self._numbers.take(slots)
        places = np.flatnonzero(numbers >= 0)
        texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[places]
        places, texts = (x[places + 1 < offsets[texts + 1]] for x in (places, texts))
        numbers = numbers[places]
        other = np.flatnonzero((self._keys[numbers] != keys[places]) & self._shared[slots[places]])
        at = np.searchsorted(self._keys, keys[places[other]], "right", sorter=self._order)
        numbers[other] = self._order[at - 1]
        hit = self._keys[numbers] == keys[places]
        return numbers[hit], texts[hit], places[hit]


def _keys(ids, offsets):
    """Return a number for every two neighbours, and the text they are in."""
    within = _within(len(ids), offsets)
    texts = np.repeat(np.arange(len(offsets) - 1), np.maximum(np.diff(offsets) - 1, 0))
    return _key(ids[:-1], ids[1:])[within], texts


def _in_order(keys: np.ndarray, texts: np.ndarray, v: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort pairs, and those that are equal by their text.

    Args:
      keys: the pairs.
      texts: the text that each is in, in rising order.
      v: a number above all ids.
      count: number of texts.
    """
    if v**2 * count >= 2**63:
        order = np.argsort(keys, kind="stable")
        return keys[order], texts[order]
    ids = keys >> _BITS, keys & (2**_BITS - 1)
    both = np.sort((ids[0] * v + ids[1]) * count + texts)  # numbers alone are sorted several times as fast
    pair, texts = np.divmod(both, count)
    return _key(*np.divmod(pair, v)), texts


def _within(total: int, offsets) -> np.ndarray:
    """Mark the tokens that have a neighbour behind them in the same text."""
    within = np.ones(max(total - 1, 0), bool)
    ends = offsets[1:-1] - 1
    within[ends[(ends >= 0) & (ends < len(within))]] = False
    return within


def _key(a, b) -> np.ndarray:
    return (a.astype(np.int64) << _BITS) | b.astype(np.int64)


def _slots(keys: np.ndarray) -> np.ndarray:
    return ((keys.view(np.uint64) * _ODD) >> np.uint64(64 - _SLOT_BITS)).view(np.int64)


def _pairs(keys) -> np.ndarray:
    return np.stack([keys >> _BITS, keys & (2**_BITS - 1)], axis=1)
