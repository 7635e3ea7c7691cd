"""What the scripts of a corpus ask of its tokenizer: marks that are no accents, and text without spaces."""

import unicodedata
from collections.abc import Sequence

import numpy as np

__all__ = ["UNSPACED", "are_letters", "count_characters", "is_unspaced"]

# Thai, Lao, Burmese, Khmer and Japanese have no spaces between words. Chinese has none either; BERT knows.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff"
# Up to Arabic, and among the additions to these scripts, a mark is an accent or a vowel that may be left out.
_ACCENTS = "\u0000-\u08ff\u1ab0-\u1aff\u1dc0-\u1fff\u20d0-\u20ff\ufe20-\ufe2f"


def count_characters(texts: Sequence[str]) -> np.ndarray:
    """Count each character of texts, by its code."""
    counts = np.zeros(0x110000, np.int64)
    for i in range(0, len(texts), 1024):
        codes = np.frombuffer("".join(texts[i : i + 1024]).encode("utf-32-le"), np.uint32)
        counts += np.bincount(codes, minlength=len(counts))
    return counts


def is_unspaced(texts: Sequence[str]) -> bool:
    """Return whether texts hold a script that puts no spaces between words, which Chinese here is not.

    >>> is_unspaced(["ตลาดหุ้น"]), is_unspaced(["股票市场"])
    (True, False)
    """
    return bool(count_characters(_foreign(texts))[_codes(UNSPACED)].any())


def are_letters(texts: Sequence[str]) -> bool:
    """Return whether most marks of texts are parts of letters, so that other words are left without them.

    >>> are_letters(["कुल"]), are_letters(["pörssi"])
    (True, False)
    """
    counts = count_characters(_foreign(texts))
    accents = np.zeros(len(counts), bool)
    accents[_codes(_ACCENTS)] = True
    marked = np.array([code for code in np.flatnonzero(counts).tolist() if _has_mark(chr(code))], int)
    return bool(counts[marked[~accents[marked]]].sum() > counts[marked[accents[marked]]].sum())


def _foreign(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if not text.isascii()]


def _has_mark(char: str) -> bool:
    return any(unicodedata.category(part) == "Mn" for part in unicodedata.normalize("NFD", char))


def _codes(ranges: str) -> np.ndarray:
    """Return the codes of ranges as a regular expression writes them."""
    ends = zip(ranges[::3], ranges[2::3], strict=True)
    return np.concatenate([np.arange(ord(first), ord(last) + 1) for first, last in ends])
