"""Tokens of many texts as flat arrays, and of one text with their spans."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Piece",
    "Tokens",
    "check_length",
    "check_texts",
    "framed",
    "joined",
    "numbered",
    "numbers_within",
    "rounded_up",
    "with_ends",
]


class Tokens(NamedTuple):
    """Many texts as flat arrays: text i is ids[offsets[i] : offsets[i + 1]], [CLS] and [SEP] included."""

    ids: np.ndarray  # (total,) uint16, or int32 for more than 65,536 rows
    offsets: np.ndarray  # (texts + 1,) int64
    segments: np.ndarray | None = None  # (total,) uint16: the sentence of each token, from 0


class Piece(NamedTuple):
    """One token of one text; text[start:end] is its part of the text."""

    id: int
    token: str
    start: int
    end: int


def check_texts(texts: Any) -> None:
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts must be a sequence of texts, got a single one: put it in a list.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}: {text!r:.60}.")


def check_length(max_length: int) -> None:
    if not 3 <= max_length <= 2**16:
        raise ValueError(
            f"max_length must be 3 to 65,536 tokens, [CLS] and [SEP] included, got {max_length}."
        )


def framed(ids: np.ndarray, offsets: np.ndarray, max_length: int, cls_id: int, sep_id: int) -> Tokens:
    """Put each text's ids between [CLS] and [SEP], cut to `max_length` together.

    Args:
      ids: the words of all texts.
      offsets: where each text begins.
      max_length: tokens of a text that are kept.
      cls_id: the token in front.
      sep_id: the token behind.

    >>> framed(np.array([7, 8, 9, 7], np.uint16), np.array([0, 3, 4]), 4, 2, 3).ids
    array([2, 7, 8, 3, 2, 7, 3], dtype=uint16)
    """
    sizes, room = np.diff(offsets), max_length - 2
    ends = np.concatenate([[0], np.cumsum(np.minimum(sizes, room) + 2)])
    if sizes.max(initial=0) > room:
        ids = ids[numbers_within(sizes) < room]
    whole, inside = np.empty(ends[-1], ids.dtype), np.ones(ends[-1], bool)
    whole[ends[:-1]], whole[ends[1:] - 1] = cls_id, sep_id
    inside[ends[:-1]], inside[ends[1:] - 1] = False, False
    whole[inside] = ids
    return Tokens(whole, ends)


def joined(blocks: Iterable[Tokens]) -> Tokens:
    """Join blocks of texts, at least one, to one."""
    every = list(blocks)
    ids, segments = [block.ids for block in every], [block.segments for block in every]
    sizes = np.concatenate([np.diff(block.offsets) for block in every])
    numbers = np.concatenate([number for number in segments if number is not None] or [np.zeros(0)])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Tokens(np.concatenate(ids), offsets, None if segments[0] is None else numbers)


def numbers_within(counts: np.ndarray) -> np.ndarray:
    """Number the members of each group from 0, given how many each has.

    >>> numbers_within(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def rounded_up(size: int, steps: int = 8) -> int:
    """Round a size up by at most an eighth, so that arrays of similar sizes share compiled programs.

    There are `steps` such sizes from one power of two to the next.

    >>> [rounded_up(size) for size in (7, 100, 121, 49_000)], rounded_up(100, steps=4)
    ([7, 104, 128, 49152], 112)
    """
    step = 2 ** max(0, (size - 1).bit_length() - steps.bit_length())
    return -(-size // step) * step


def numbered(counts: Iterable[list[int]]) -> np.ndarray:
    """Number the sentences of each text, given how many tokens each has.

    >>> numbered([[2, 1], [3]])
    array([0, 0, 1, 0, 0, 0], dtype=uint16)
    """
    flat = [(k, size) for sizes in counts for k, size in enumerate(sizes)]
    numbers, sizes = np.array(flat, np.int64).reshape(-1, 2).T
    return np.repeat(numbers, sizes).astype(np.uint16)


def with_ends(sizes: list[int], room: int) -> list[int]:
    """Cut sentences to `room` tokens together, then count [CLS] to the first and [SEP] to the last.

    >>> with_ends([3, 2, 5], 4)
    [4, 2]
    """
    kept = []
    for size in sizes:
        if room:
            kept.append(min(size, room))
            room -= kept[-1]
    kept = kept or [0]
    kept[0] += 1
    kept[-1] += 1
    return kept
