"""From texts to the ids of their words: words with a row by the block, each other distinct word once."""

import itertools
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from weakref import WeakMethod

import numpy as np

from wave_jax.data import blocks, pairs
from wave_jax.data.tokens import numbers_within
from wave_jax.data.vocabulary import STEM, Rules, is_plain, model, plain_words

__all__ = ["Words", "without_lone_surrogates"]

_KEPT_WORDS = 2**18  # what is remembered between calls: at most about 60 MB
_LONE = re.compile("[\ud800-\udfff]")


def without_lone_surrogates(text: str) -> str:
    """Replace each half of a surrogate pair, which UTF-8 cannot hold, by the replacement character.

    >>> without_lone_surrogates("a\\ud800b")
    'a\ufffdb'
    """
    return text if text.isascii() else _LONE.sub("\ufffd", text)


class Words:
    """The words of a vocabulary: text in, ids as bytes out.

    Texts in ASCII are cut at BERT's words, others at spaces, across which its rules never look. So the ids
    are those of the whole text by the Rust library, several times faster.
    """

    def __init__(self, vocabulary: dict[str, int], rules: Rules, dtype: np.dtype):
        self.vocabulary, self.rules = vocabulary, rules
        rows, size = np.array([*vocabulary.values()], dtype).tobytes(), dtype.itemsize
        self.token_bytes = {token: rows[i * size : i * size + size] for i, token in enumerate(vocabulary)}
        self.known = _Known(self._tokenize)
        self._met, self._dtype = _Met(self._of_plain, dtype), dtype
        self._table, self._longest = blocks.Table(vocabulary), min(blocks.KEY, rules.max_input_chars_per_word)
        self._rust = model(vocabulary, rules)

    def rows(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of many texts, one behind the other, and where each text begins."""
        block, odd = blocks.cut(texts, self._in_lower_case)
        ids, counts = self._whole(block) if self.rules.looks else self._in_pieces(block)
        words = np.concatenate([[0], np.cumsum(counts)])  # the ids of fewer words than these
        offsets = words[np.searchsorted(block.text, np.arange(len(texts) + 1))]
        if not len(odd):
            return ids, offsets
        more = [np.frombuffer(self.ids(texts[i]), self._dtype) for i in map(int, odd)]
        return pairs.behind(ids, offsets, np.concatenate(more), np.repeat(odd, [len(row) for row in more]))

    def _in_pieces(self, block: blocks.Block) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of a block's words, and how many each word has: one, or those of its pieces."""
        if len(self._met.index.words) > _KEPT_WORDS:
            self._met = _Met(self._of_plain, self._dtype)
        rows, counts = self._own(block, blocks.keys(*block[:3])), np.ones(len(block.text), np.int64)
        known, rest = rows >= 0, np.flatnonzero(rows < 0)
        pieces, counts[rest] = self._met(blocks.Block(block.raw, *(x[rest] for x in block[1:])))
        ids, whole = np.empty(counts.sum(), self._dtype), np.repeat(known, counts)
        ids[whole], ids[~whole] = rows[known], pieces
        return ids, counts

    def _whole(self, block: blocks.Block) -> tuple[np.ndarray, np.ndarray]:
        """Return the id of each word of a block, as `_of_plain` does for one, and that each has one."""
        raw = block.raw.lower() if self.rules.lowercase else block.raw
        key, length = blocks.keys(raw, block.start, block.end), block.end - block.start
        rows = self._own(block, key)
        unknown = np.flatnonzero(rows < 0)
        of_letters = blocks.of_letters(key[:, unknown])
        rows[unknown] = self._looks.take(np.frombuffer(block.raw, np.uint8)[block.start[unknown]])
        for k in reversed(STEM):  # the longest last: it replaces the others
            stems = self._table(blocks.beginning(key[:, unknown], k, "##"))
            has = of_letters & (length[unknown] > k) & (stems >= 0)
            rows[unknown[has]] = stems[has]
        for i in np.flatnonzero(length > self._longest).tolist():
            word = block.raw[block.start[i] : block.end[i]].decode()
            rows[i] = np.frombuffer(self.known[word], self._dtype)[0]
        return rows.astype(self._dtype), np.ones(len(rows), np.int64)

    def _own(self, block: blocks.Block, key: np.ndarray) -> np.ndarray:
        """Return the row of each word of a block that is a token; -1 for others, and for longer ones."""
        rows = self._table(key)
        rows[block.end - block.start > self._longest] = -1
        return rows

    @cached_property
    def _looks(self) -> np.ndarray:
        """The row of an unknown word by its first character."""
        return np.array([self.vocabulary[_look(chr(code))] for code in range(128)], np.int32)

    def ids(self, text: str) -> bytes:
        """Return the ids of a text as bytes."""
        return b"".join(map(self.known.__getitem__, self._cut(text)))

    def pieces(self, text: str) -> list[tuple[str, tuple[int, int]]]:
        """Return the tokens of a text, by the Rust library, with their positions in it."""
        text = without_lone_surrogates(text)
        encoded = self._rust.encode(text, add_special_tokens=False)
        tokens = list(zip(encoded.tokens, encoded.offsets, strict=True))
        if not self.rules.looks:
            return tokens
        normal = self._rust.normalizer.normalize_str
        return [
            (self._unknown(text[a:b], normal(text[a:b])) if token == "[UNK]" else token, (a, b))
            for token, (a, b) in tokens
        ]

    def _cut(self, text: str) -> list[str]:
        """Split a text into words as BERT does if it is ASCII, else at its spaces."""
        text = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
        if not is_plain(text):
            if " " not in text:
                return [text]
            return [part for word in text.split(" ") for part in self._cut(word)]
        return plain_words(text, self._in_lower_case)

    @property
    def _in_lower_case(self) -> bool:
        """Whether words are lower case before they are looked up: a look hangs on the capital."""
        return self.rules.lowercase and not self.rules.looks

    def _tokenize(self, word: str) -> bytes:
        """Return the ids of a word that was not met before."""
        if not is_plain(word):
            return b"".join(self.token_bytes[token] for token, _ in self.pieces(word))
        return self._of_plain(word)

    def _of_plain(self, word: str) -> bytes:
        """Return the ids of a plain word."""
        normal = word.lower() if self.rules.lowercase else word
        if not self.rules.looks:
            return self._word_piece(normal)
        row = self.token_bytes.get(normal)
        if row is None or len(word) > self.rules.max_input_chars_per_word:
            return self.token_bytes[self._unknown(word, normal)]
        return row

    def _unknown(self, word: str, normal: str) -> str:
        """Return the token of a word without a row: its longest stem that has one, or what it looks like."""
        if normal.isalpha():
            for k in STEM:
                if len(normal) > k and (stem := f"{normal[:k]}##") in self.token_bytes:
                    return stem
        return _look(word)

    def _word_piece(self, word: str) -> bytes:
        """Take the longest token that the word begins with, then the longest of the rest, and so on.

        The word is [UNK] if a rest begins with none. Faster than the way to the Rust library and back.
        """
        ids, rest, inner = [], word, ""
        while rest and len(word) <= self.rules.max_input_chars_per_word:
            for end in range(len(rest), 0, -1):
                if token := self.token_bytes.get(inner + rest[:end]):
                    break
            else:
                return self.token_bytes["[UNK]"]
            ids.append(token)
            rest, inner = rest[end:], "##"
        return b"".join(ids) or self.token_bytes["[UNK]"]


def _look(word: str) -> str:
    """Return the token of what an unknown word looks like."""
    return "[UNK-A]" if word[:1].isupper() else "[UNK-1]" if word[:1].isdigit() else "[UNK]"


def _weakly(method: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Return a method that does not keep its object: what the object owns can ask it, and is no cycle."""
    of = WeakMethod(method)

    def ask(word: str) -> bytes:
        bound = of()
        assert bound is not None, "whoever asks belongs to the object"
        return bound(word)

    return ask


class _Known(dict[str, bytes]):
    """The ids of words; those of a word met for the first time are asked for, and kept."""

    def __init__(self, ask: Callable[[str], bytes]):
        super().__init__()
        self.ask = _weakly(ask)

    def __missing__(self, word: str) -> bytes:
        ids = self.ask(word)
        if len(self) >= _KEPT_WORDS:
            self.clear()
        if len(word) <= blocks.LONGEST:
            self[word] = ids
        return ids


class _Met:
    """The ids of the words met so far, side by side by their numbers in an index."""

    def __init__(self, ask: Callable[[str], bytes], dtype: np.dtype):
        self.index = blocks.Index()
        self._ask, self._lock = _weakly(ask), Lock()
        self._ids, self._ends = np.zeros(0, dtype), np.zeros(1, np.int64)

    def __call__(self, block: blocks.Block) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of a block's words, and how many each word has."""
        numbers = self.index(block)
        with self._lock:
            self._learn()
            ids, ends = self._ids, self._ends
        counts = ends[1:] - ends[:-1]
        if len(ids) == len(counts):  # every word has one
            return ids.take(numbers), np.ones(len(numbers), np.int64)
        counts = counts.take(numbers)
        return ids.take(np.repeat(ends.take(numbers), counts) + numbers_within(counts)), counts

    def _learn(self) -> None:
        """Ask for the ids of words that the index has met since the last time."""
        new = [*itertools.islice(self.index.words, len(self._ends) - 1, None)]
        if new:
            rows = [self._ask(word.decode()) for word in new]
            sizes = np.array([len(row) for row in rows]) // self._ids.itemsize
            self._ids = np.concatenate([self._ids, np.frombuffer(b"".join(rows), self._ids.dtype)])
            self._ends = np.concatenate([self._ends, self._ends[-1] + np.cumsum(sizes)])
