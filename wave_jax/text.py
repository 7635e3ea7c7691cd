"""Text to ids and back, by a WordPiece vocabulary that is trained on a corpus or read from a file.

Nothing here needs JAX. Texts are cut before anything else and each distinct piece is tokenized once: texts in
ASCII at BERT's words, others at spaces, across which its rules never look. So the ids are those of the whole
text, several times faster.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wave_jax import pairs, wordpiece
from wave_jax.cleaning import clean_with_spans, sentences
from wave_jax.disk import write_whole
from wave_jax.pairs import PairIndex
from wave_jax.wordpiece import LOOKS, SPECIAL, Rules

__all__ = ["Piece", "Rules", "Tokenizer", "Tokens"]

_NEEDED = SPECIAL[:4]
_VERSION = 1  # of cleaning and sentences: another version may make other ids of the same text
_KEPT_WORDS, _KEPT_LENGTH = 2**18, 40  # what is remembered between calls: at most about 60 MB

_log = logging.getLogger(__name__)

_WORDS = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9 ]")  # what BERT takes for words, in ASCII
_LONE = re.compile("[\ud800-\udfff]")  # half a surrogate pair is no character that UTF-8 can hold


class Tokens(NamedTuple):
    """Many texts as flat arrays: text i is ids[offsets[i] : offsets[i + 1]], [CLS] and [SEP] included."""

    ids: np.ndarray  # (total,) uint16, or int32 for more than 65,536 rows
    offsets: np.ndarray  # (texts + 1,) int64
    segments: np.ndarray | None = None  # (total,) uint16: the sentence of each token, from 0


class Piece(NamedTuple):
    """One token of one text; text[start:end] is what it stands for."""

    id: int
    token: str
    start: int
    end: int


class _Known(dict[str, bytes]):
    """The ids of words; those of a word met for the first time are asked for, and kept."""

    def __init__(self, ask: Callable[[str], bytes]):
        super().__init__()
        self.ask = ask

    def __missing__(self, word: str) -> bytes:
        ids = self.ask(word)
        if len(self) >= _KEPT_WORDS:
            self.clear()
        if len(word) <= _KEPT_LENGTH:
            self[word] = ids
        return ids


class Tokenizer:
    """WordPiece with BERT's rules: `train` it on a corpus or `read` it from a file.

    Rows are the vocabulary's, and from `first_pair` on those of pairs of neighbours (`with_pairs`).

    >>> tokenizer = Tokenizer.train(["the cat sat", "the cats sat down"] * 2, v=40)
    >>> tokens = tokenizer.encode(["the cat", "sat [SEP] sat"], max_length=8)
    >>> tokens.offsets.tolist(), tokenizer.decode(tokens.ids[:4])
    ([0, 4, 11], 'the cat')
    """

    def __init__(self, vocabulary: dict[str, int], rules: Rules, pairs: np.ndarray | None = None):
        needed = (*_NEEDED, *LOOKS) if rules.looks else _NEEDED
        missing = [token for token in needed if token not in vocabulary]
        if missing:
            raise ValueError(
                f"The vocabulary lacks {', '.join(missing)}; a tokenizer of BERT's kind has them."
            )
        rows = set(vocabulary.values())
        if len(rows) < len(vocabulary) or not all(isinstance(row, int) and row >= 0 for row in rows):
            raise ValueError("Each token of a vocabulary needs a row of its own, counted from 0.")
        self.vocabulary, self.rules, self.first_pair = vocabulary, rules, max(rows) + 1
        self.pairs = np.zeros((0, 2), np.int64) if pairs is None else pairs
        if not np.isin(self.pairs, list(rows)).all():
            raise ValueError("A pair is made of two rows of the vocabulary.")
        self.find_pairs = PairIndex(self.pairs)
        self.v = self.first_pair + len(self.pairs)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (vocabulary[token] for token in _NEEDED)
        self._dtype = np.dtype(np.uint16 if self.v <= 2**16 else np.int32)
        self._rust = wordpiece.model(vocabulary, rules)
        self._words = _Known(self._tokenize)
        self._bytes = {token: self._dtype.type(row).tobytes() for token, row in vocabulary.items()}
        self._cls, self._sep = self._bytes["[CLS]"], self._bytes["[SEP]"]

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
        """SHA-256 of vocabulary, rules and pairs: two tokenizers of one digest give the same ids."""
        rules = asdict(self.rules)
        if not self.rules.looks:
            del rules["looks"]  # as if there were no such rule: digests are older than it
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
        min_frequency: int = 2,
    ) -> "Tokenizer":
        """The WordPiece vocabulary of these texts: at most v rows, special tokens included, [PAD] in row 0.

        With `whole_words` there are no pieces: the most frequent words have rows, and of any other the look
        is told, [UNK-A] with a capital, [UNK-1] with a digit in front, else [UNK].

        The same on every run and machine. Where the texts yield fewer rows, `v` of the tokenizer says how
        many, and a warning is logged.
        """
        if v < 10:
            raise ValueError(f"v must be at least 10 rows, of which five are special tokens, got {v}.")
        _check(texts)
        rules = Rules(clean=clean, looks=whole_words, lowercase=lowercase)
        texts = [_LONE.sub("\ufffd", rules.prepare(text)) for text in texts]
        train = wordpiece.train_words if whole_words else wordpiece.train_vocabulary
        tokenizer = cls(train(texts, rules, v, min_frequency), rules)
        if tokenizer.v < v:
            _log.warning("The texts yield %d of the %d rows asked for.", tokenizer.v, v)
        return tokenizer

    def with_pairs(
        self, texts: Sequence[str], labels: Sequence[int] | np.ndarray, most: int, max_length: int = 2**16
    ) -> "Tokenizer":
        """The same with a row for each of the `most` pairs of neighbouring tokens that say most about the
        label in these texts (`pairs.choose`); fewer, where fewer stand in two texts.

        >>> texts = ["not good", "good not", "not good", "good not"]
        >>> tokenizer = Tokenizer.train(texts, v=40).with_pairs(texts, [0, 1, 0, 1], most=2)
        >>> [piece.token for piece in tokenizer.explain("not good", 9)]
        ['[CLS]', 'not', 'good', '[SEP]', '[CLS] not']
        """
        bare = Tokenizer(self.vocabulary, self.rules)
        ids, offsets, _ = bare.encode(texts, max_length)
        return Tokenizer(
            self.vocabulary, self.rules, pairs.choose(ids, offsets, np.asarray(labels, np.int64), most)
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Tokenizer":
        """The tokenizer in a `tokenizer.json` (of this library, or Hugging Face's for BERT) or a `vocab.txt`.

        A `vocab.txt` says nothing of its rules: texts become lower case if no token has an upper-case letter.
        """
        path = Path(path)
        try:
            content = path.read_text("utf-8")
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} does not exist: give a tokenizer.json or a vocab.txt.") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 (byte {error.start}): is it a tokenizer file?") from None
        try:
            if path.suffix == ".json":
                return cls.from_json(content)
            return cls(*wordpiece.parse_lines(content))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a tokenizer: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Everything in one `tokenizer.json`; without cleaning, Hugging Face's library reads it too."""
        write_whole(path, self.to_json().encode())

    def to_json(self) -> str:
        """What `save` writes."""
        return wordpiece.dump_json(self.vocabulary, self.rules, self.pairs)

    @classmethod
    def from_json(cls, content: str) -> "Tokenizer":
        """The tokenizer that `to_json` wrote."""
        return cls(*wordpiece.parse_json(content))

    def longest(self, max_length: int) -> int:
        """Tokens of a text cut to `max_length`, at most: every two neighbours may make a pair."""
        return 2 * max_length - 1 if len(self.pairs) else max_length

    def encode(self, texts: Sequence[str], max_length: int, segments: bool = False) -> Tokens:
        """The ids of each text between [CLS] and [SEP], at most `max_length` with them, and of its pairs.

        With `segments`, also the sentence of each token; [CLS] belongs to the first, [SEP] to the last.
        """
        _check(texts)
        _check_length(max_length)
        room, rows, counts = max_length - 2, [], []
        for text in texts:
            row, sizes = self._row(text, segments)
            rows += [self._cls, row[: room * self._dtype.itemsize], self._sep]
            counts.append(_with_ends(sizes, room))
        ids = np.frombuffer(b"".join(rows), self._dtype)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([sum(sizes) for sizes in counts], out=offsets[1:])
        numbers = None
        if segments:
            numbers = np.array([k for sizes in counts for k in range(len(sizes))], np.uint16)
            numbers = np.repeat(numbers, [size for sizes in counts for size in sizes])
        return self._with_pairs(Tokens(ids, offsets, numbers))

    def _with_pairs(self, tokens: Tokens) -> Tokens:
        """The texts with their pairs behind them; a pair belongs to the sentence of its first token."""
        if not len(self.pairs):
            return tokens
        rows, texts, places = self.find_pairs(tokens.ids, tokens.offsets)
        numbers = tokens.segments
        if numbers is not None:
            numbers, _ = pairs.behind(numbers, tokens.offsets, numbers[places], texts)
        rows = (self.first_pair + rows).astype(self._dtype)
        return Tokens(*pairs.behind(tokens.ids, tokens.offsets, rows, texts), numbers)

    def _row(self, text: str, segments: bool) -> tuple[bytes, list[int]]:
        """A text's ids as bytes, and how many tokens each of its sentences has."""
        text = self.rules.prepare(text)
        parts = sentences(text) if segments else [text]
        pieces = [b"".join(map(self._words.__getitem__, self._cut(part))) for part in parts]
        return b"".join(pieces), [len(piece) // self._dtype.itemsize for piece in pieces if piece]

    def _cut(self, text: str) -> list[str]:
        """The words of a text as BERT cuts it where it is in ASCII, elsewhere what lies between spaces."""
        text = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
        if not _is_plain(text):
            if " " not in text:
                return [text]
            return [part for word in text.split(" ") for part in self._cut(word)]
        return _WORDS.findall(text.lower() if self.rules.lowercase and not self.rules.looks else text)

    def _tokenize(self, word: str) -> bytes:
        """The ids of a word as bytes."""
        if _is_plain(word):
            ids = self._word_piece(word.lower() if self.rules.lowercase else word)
            return self._bytes[self._seen("[UNK]", word[0])] if ids == self._bytes["[UNK]"] else ids
        return b"".join(self._bytes[token] for token, _ in self._pieces(word))

    def _pieces(self, text: str) -> list[tuple[str, tuple[int, int]]]:
        """The tokens of a text by the Rust library, and their places."""
        found = self._rust.encode(_LONE.sub("\ufffd", text), add_special_tokens=False)
        return [
            (self._seen(t, text[a : a + 1]), (a, b))
            for t, (a, b) in zip(found.tokens, found.offsets, strict=True)
        ]

    def _seen(self, token: str, first: str) -> str:
        """The token, or what the word looks like by its first character where it is unknown."""
        if token != "[UNK]" or not self.rules.looks:
            return token
        return "[UNK-A]" if first.isupper() else "[UNK-1]" if first.isdigit() else token

    def _word_piece(self, word: str) -> bytes:
        """The longest token that the word begins with, then the longest of the rest, and so on; [UNK] where
        there is none. Faster than the way to `_rust` and back."""
        found, rest, inner = [], word, ""
        while rest and len(word) <= self.rules.max_input_chars_per_word:
            for end in range(len(rest), 0, -1):
                if token := self._bytes.get(inner + rest[:end]):
                    break
            else:
                return self._bytes["[UNK]"]
            found.append(token)
            rest, inner = rest[end:], "##"
        return b"".join(found) or self._bytes["[UNK]"]

    def explain(self, text: str, max_length: int) -> list[Piece]:
        """The tokens of one text, [CLS] and [SEP] included, each with its place in the text as given.

        >>> tokenizer = Tokenizer.train(["cats <b>sat</b> &amp; ate"] * 2, v=99, clean=True)
        >>> text = "cats<br />&amp;"
        >>> [(piece.token, text[piece.start : piece.end]) for piece in tokenizer.explain(text, 9)]
        [('[CLS]', ''), ('cats', 'cats'), ('&', '&amp;'), ('[SEP]', '')]
        """
        _check_length(max_length)
        cleaned, begin, end = clean_with_spans(text) if self.rules.clean else (text, (), ())
        pieces = [
            Piece(self.vocabulary[token], token, *((begin[a], end[b - 1]) if begin else (a, b)))
            for token, (a, b) in self._pieces(cleaned)
        ]
        first, last = Piece(self.cls_id, "[CLS]", 0, 0), Piece(self.sep_id, "[SEP]", len(text), len(text))
        pieces = [first, *pieces[: max_length - 2], last]
        ids = np.array([piece.id for piece in pieces])
        rows, _, places = self.find_pairs(ids, np.array([0, len(ids)]))
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            id = self.first_pair + row
            pieces.append(Piece(id, self.tokens[id], pieces[place].start, pieces[place + 1].end))
        return pieces

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Ids as readable text, without [PAD], [CLS], [SEP] and pairs, which repeat their words."""
        hidden = {self.pad_id, self.cls_id, self.sep_id}
        words = [self.tokens[i] for i in map(int, ids) if i not in hidden and i < self.first_pair]
        return " ".join(words).replace(" ##", "")

    @cached_property
    def tokens(self) -> list[str]:
        """The token of each row; '' for a row that no token has."""
        tokens = [""] * self.v
        for token, row in self.vocabulary.items():
            tokens[row] = token
        for row, (a, b) in enumerate(self.pairs, self.first_pair):
            tokens[row] = f"{tokens[a]} {tokens[b]}"
        return tokens


def _is_plain(text: str) -> bool:
    """In ASCII and without control characters: cutting words is all that BERT's rules do to it."""
    return text.isascii() and text.isprintable()


def _check(texts: Any) -> None:
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts must be a sequence of texts, got a single one: put it in a list.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}: {text!r:.60}.")


def _check_length(max_length: int) -> None:
    if not 3 <= max_length <= 2**16:
        raise ValueError(
            f"max_length must be 3 to 65,536 tokens, [CLS] and [SEP] included, got {max_length}."
        )


def _with_ends(sizes: list[int], room: int) -> list[int]:
    """Sentences cut to `room` tokens in all, [CLS] then counted to the first and [SEP] to the last.

    >>> _with_ends([3, 2, 5], 4)
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
