"""Text to ids and back, by a WordPiece vocabulary that is trained on a corpus or read from a file.

Nothing here needs JAX.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from wave_jax.data import pairs, scripts
from wave_jax.data.appended import Appender
from wave_jax.data.cleaning import clean_with_spans, sentences
from wave_jax.data.tokenizer_json import dump_json, parse_json, parse_lines, read_text
from wave_jax.data.tokens import (
    Piece,
    Tokens,
    check_length,
    check_texts,
    framed,
    joined,
    numbered,
    with_ends,
)
from wave_jax.data.vocabulary import SPECIAL, Rules, checked_rows, more_words, train_vocabulary, train_words
from wave_jax.data.words import Words, without_lone_surrogates
from wave_jax.disk import write_whole

__all__ = ["Rules", "Tokenizer"]

_TOGETHER = 1024  # texts encoded at once: what is made on the way stays in the cache
_VERSION = 1  # of cleaning and sentences: another version may make other ids of the same text

_log = logging.getLogger(__name__)


class Tokenizer:
    """A WordPiece tokenizer with BERT's rules: `train` it on a corpus or `read` it from a file.

    Rows are the vocabulary's, and from `first_pair` on those of pairs of neighbours (`with_pairs`).

    >>> tokenizer = Tokenizer.train(["the cat sat", "the cats sat down"] * 2, v=40)
    >>> tokens = tokenizer.encode(["the cat", "sat [SEP] sat"], max_length=8)
    >>> tokens.offsets.tolist(), tokenizer.decode(tokens.ids[:4])
    ([0, 4, 11], 'the cat')
    """

    def __init__(self, vocabulary: dict[str, int], rules: Rules, pairs: np.ndarray | None = None):
        rows = checked_rows(vocabulary, rules)
        self.vocabulary, self.rules, self.first_pair = vocabulary, rules, max(rows) + 1
        self.pairs = np.zeros((0, 2), np.int64) if pairs is None else pairs
        if not np.isin(self.pairs, list(rows)).all():
            raise ValueError("A pair is made of two rows of the vocabulary.")
        self.v = self.first_pair + len(self.pairs)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (vocabulary[token] for token in SPECIAL[:4])
        self._dtype = np.dtype(np.uint16 if self.v <= 2**16 else np.int32)
        self.words = Words(vocabulary, rules, self._dtype)
        self.appended = Appender(vocabulary, rules, self.pairs, self._dtype)

    def __repr__(self) -> str:
        pairs = f"{len(self.pairs):,} pairs, " if len(self.pairs) else ""
        return f"Tokenizer(v={self.v:,}, {pairs}{self.rules})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self):
        return Tokenizer, (self.vocabulary, self.rules, self.pairs)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of vocabulary, rules and pairs: two tokenizers of one digest give the same ids."""
        rules = asdict(self.rules)
        for name in ("looks", "apart"):
            if not rules[name]:
                del rules[name]  # as if there were no such rule: digests are older than it
        content: list[Any] = [_VERSION, rules, sorted(self.vocabulary.items())]
        content += [self.pairs.tolist()] if len(self.pairs) else []
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @classmethod
    def train(
        cls,
        texts: Sequence[str],
        v: int = 30_000,
        *,
        lowercase: bool = True,
        clean: bool = False,
        whole_words: bool = False,
        stems: int = 0,
        min_frequency: int = 2,
    ) -> "Tokenizer":
        """Train a vocabulary on these texts, the same on every run and machine; [PAD] is row 0.

        If the texts yield fewer rows than asked for, `v` of the tokenizer says how many, and a warning is
        logged. Rules follow the scripts of the texts (`scripts`): marks that are parts of letters, as in
        Hindi, stay, and where a script has no spaces, as Thai, each character is a word.

        Args:
          texts: the texts.
          v: maximum number of rows, special tokens included.
          lowercase: whether texts become lower case.
          clean: whether HTML and feed debris is removed.
          whole_words: rows for the most frequent words instead of pieces. Another word is known by its look:
            [UNK-A] with a capital, [UNK-1] with a digit in front, else [UNK].
          stems: maximum number of these rows, and at most half of them, for the first three, four or five
            letters of words. A word's stems follow the text, and the longest replaces a word that has no row.
          min_frequency: number of times that a piece or word must occur.

        >>> texts = ["planned cats", "planning cats", "planets"]
        >>> tokenizer = Tokenizer.train(texts, v=40, whole_words=True, stems=2)
        >>> [piece.token for piece in tokenizer.explain("cats planes", 9)]
        ['[CLS]', 'cats', 'plan##', '[SEP]', 'pla##']
        """
        if v < 10:
            raise ValueError(f"v must be at least 10 rows, of which five are special tokens, got {v}.")
        if stems < 0 or (stems and not whole_words):
            cure = "give whole_words=True, or stems=0" if stems > 0 else "give 0 or more"
            raise ValueError(f"stems={stems} cannot be: they are rows for beginnings of whole words; {cure}.")
        check_texts(texts)
        rules = Rules(clean=clean, looks=whole_words, lowercase=lowercase)
        texts = [without_lone_surrogates(rules.prepare(text)) for text in texts]
        marks = False if scripts.are_letters(texts) else None
        rules = replace(rules, apart=scripts.is_unspaced(texts), strip_accents=marks)
        if whole_words:
            vocabulary = train_words(texts, rules, v, min_frequency, stems)
        else:
            vocabulary = train_vocabulary(texts, rules, v, min_frequency)
        tokenizer = cls(vocabulary, rules)
        if tokenizer.v < v:
            _log.info("The texts yield a vocabulary of %d rows, where %d may be.", tokenizer.v, v)
        return tokenizer

    def with_pairs(
        self, texts: Sequence[str], labels: Sequence[int] | np.ndarray, most: int, max_length: int = 2**16
    ) -> "Tokenizer":
        """Return the same tokenizer with more rows: for the neighbours that say most about the label.

        Args:
          texts: the texts.
          labels: number of each text's class.
          most: maximum number of new pairs (`pairs.choose`); each must occur in two texts.
          max_length: tokens of a text that are read.

        >>> texts = ["not good", "good not", "not good", "good not"]
        >>> tokenizer = Tokenizer.train(texts, v=40).with_pairs(texts, [0, 1, 0, 1], most=2)
        >>> [piece.token for piece in tokenizer.explain("not good", 9)]
        ['[CLS]', 'not', 'good', '[SEP]', '[CLS] not']
        """
        check_texts(texts)
        check_length(max_length)
        ids, offsets, _ = joined(self._words(some, max_length, segments=False) for some in _some(texts))
        new = pairs.choose(ids, offsets, np.asarray(labels, np.int64), most, besides=self.pairs)
        return Tokenizer(self.vocabulary, self.rules, np.concatenate([self.pairs, new]))

    def with_words(
        self, texts: Sequence[str], most: int, *, stems: int = 0, min_frequency: int = 2
    ) -> "Tokenizer":
        """Return the same tokenizer with more rows: for frequent words of these texts, and for their stems.

        Rules stay, and every word and stem keeps its row; the rows of pairs move behind the new ones. A
        tokenizer of pieces gets whole words too.

        Args:
          texts: the texts.
          most: maximum number of new rows.
          stems: maximum number of these, and at most half of them, for stems; none for a tokenizer of pieces.
          min_frequency: number of times that a word must occur.

        >>> tokenizer = Tokenizer.train(["a cat", "a cat"], v=40, whole_words=True)
        >>> more = tokenizer.with_words(["a dog", "a dog"], most=9)
        >>> more.vocabulary["cat"] == tokenizer.vocabulary["cat"], more.vocabulary["dog"] == tokenizer.v
        (True, True)
        """
        check_texts(texts)
        plain = [without_lone_surrogates(self.rules.prepare(text)) for text in texts]
        new = more_words(plain, self.rules, self.vocabulary, most, min_frequency, stems * self.rules.looks)
        rows = {token: row for row, token in enumerate(new, self.first_pair)}
        return Tokenizer(self.vocabulary | rows, self.rules, self.pairs)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Tokenizer":
        """Read a tokenizer from a `tokenizer.json` (ours, or Hugging Face's for BERT) or a `vocab.txt`.

        A `vocab.txt` has no rules: texts become lower case if no token has an upper-case letter.
        """
        content = read_text(path)
        try:
            if Path(path).suffix == ".json":
                return cls.from_json(content)
            return cls(*parse_lines(content))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a tokenizer: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `tokenizer.json`; without cleaning, Hugging Face's library reads it too."""
        write_whole(path, self.to_json().encode())

    def to_json(self) -> str:
        """Return what `save` writes."""
        return dump_json(self.vocabulary, self.rules, self.pairs)

    @classmethod
    def from_json(cls, content: str) -> "Tokenizer":
        """Return the tokenizer that `to_json` wrote."""
        return cls(*parse_json(content))

    def longest(self, max_length: int) -> int:
        """Return the maximum number of tokens of a text cut to `max_length`, stems and pairs included."""
        return self.appended.longest(max_length)

    def encode(self, texts: Sequence[str], max_length: int, segments: bool = False) -> Tokens:
        """Encode each text: [CLS], its words, [SEP], at most `max_length` together, then its stems and pairs.

        With `segments`, also the sentence of each token; [CLS] belongs to the first, [SEP] to the last.
        """
        check_texts(texts)
        check_length(max_length)
        return joined(self._whole(some, max_length, segments) for some in _some(texts))

    def _whole(self, texts: Sequence[str], max_length: int, segments: bool) -> Tokens:
        """Encode some texts, with what is appended to them."""
        ids, offsets, numbers = words = self._words(texts, max_length, segments)
        for rows, of_text, first, _ in self.appended(words.ids, words.offsets):
            if words.segments is not None and numbers is not None:
                numbers, _ = pairs.behind(numbers, offsets, words.segments[first], of_text)
            ids, offsets = pairs.behind(ids, offsets, rows, of_text)
        return Tokens(ids, offsets, numbers)

    def _words(self, texts: Sequence[str], max_length: int, segments: bool) -> Tokens:
        """Encode some texts up to their [SEP]."""
        prepared = [self.rules.prepare(text) for text in texts]
        if not segments:
            return framed(*self.words.rows(prepared), max_length, self.cls_id, self.sep_id)
        parts = [sentences(text) for text in prepared]
        ids, offsets = self.words.rows([part for some in parts for part in some])
        sizes = np.diff(offsets).tolist()
        ends = np.cumsum([0, *map(len, parts)])
        counts = [[n for n in sizes[a:b] if n] for a, b in pairwise(ends.tolist())]
        return framed(ids, offsets[ends], max_length, self.cls_id, self.sep_id)._replace(
            segments=numbered([with_ends(sizes, max_length - 2) for sizes in counts])
        )

    def explain(self, text: str, max_length: int) -> list[Piece]:
        """List the tokens of one text, [CLS] and [SEP] included, each with its span in the text.

        >>> tokenizer = Tokenizer.train(["cats <b>sat</b> &amp; ate"] * 2, v=99, clean=True)
        >>> text = "cats<br />&amp;"
        >>> [(piece.token, text[piece.start : piece.end]) for piece in tokenizer.explain(text, 9)]
        [('[CLS]', ''), ('cats', 'cats'), ('&', '&amp;'), ('[SEP]', '')]
        """
        check_length(max_length)
        cleaned, begin, end = clean_with_spans(text) if self.rules.clean else (text, (), ())
        pieces = [
            Piece(self.vocabulary[token], token, *((begin[a], end[b - 1]) if begin else (a, b)))
            for token, (a, b) in self.words.pieces(cleaned)
        ]
        first, last = Piece(self.cls_id, "[CLS]", 0, 0), Piece(self.sep_id, "[SEP]", len(text), len(text))
        pieces = [first, *pieces[: max_length - 2], last]
        ids = np.array([piece.id for piece in pieces])
        for found in self.appended(ids, np.array([0, len(ids)])):
            pieces += [
                Piece(id, self.tokens[id], pieces[first].start, pieces[last].end)
                for id, _, first, last in zip(*(array.tolist() for array in found), strict=True)
            ]
        return pieces

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Turn ids into readable text, without [PAD] and [CLS], up to [SEP]: what follows repeats words."""
        row = [int(id) for id in ids]
        words = row[: row.index(self.sep_id)] if self.sep_id in row else row
        hidden = {self.pad_id, self.cls_id}
        return " ".join(self.tokens[id] for id in words if id not in hidden).replace(" ##", "")

    @cached_property
    def tokens(self) -> list[str]:
        """The token of each row; '' for a row that no token has."""
        tokens = [""] * self.v
        for token, row in self.vocabulary.items():
            tokens[row] = token
        for row, (a, b) in enumerate(self.pairs, self.first_pair):
            tokens[row] = f"{tokens[a]} {tokens[b]}"
        return tokens


def _some(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cut many texts into blocks; no texts are one block."""
    every = list(texts)
    return (every[i : i + _TOGETHER] for i in range(0, max(1, len(every)), _TOGETHER))
