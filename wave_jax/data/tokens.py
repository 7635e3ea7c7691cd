"""Tokens of many texts as flat arrays, and of one text with their spans."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Piece", "Tokens", "check_length", "check_texts", "with_ends"]


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
