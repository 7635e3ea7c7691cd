"""WordPiece vocabularies, of pieces or of words and stems, trained so that every run finds the same one."""

import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from wave_jax.data import blocks
from wave_jax.data.cleaning import clean
from wave_jax.data.scripts import UNSPACED, count_characters

__all__ = [
    "LOOKS",
    "NEEDED",
    "SPECIAL",
    "STEM",
    "Rules",
    "beginnings",
    "checked_rows",
    "is_plain",
    "model",
    "more_words",
    "plain_words",
    "train_vocabulary",
    "train_words",
]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NEEDED = SPECIAL[:4]
LOOKS = ("[UNK-A]", "[UNK-1]")  # unknown words that begin with a capital, and with a digit
_WORDS = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9 ]")  # what BERT takes for words, in ASCII
_TOGETHER = 1024  # texts counted at once
_GAPS = 1024  # rows that no token has, besides as many as there are tokens
STEM = (5, 4, 3)  # letters of the beginnings of words that may have rows; ## follows them


@dataclass(frozen=True)
class Rules:
    """The rules by which a text becomes words; the names but the first three are Hugging Face's."""

    clean: bool = False
    looks: bool = False  # an unknown word is represented by its look (LOOKS), if it has one
    apart: bool = False  # a character of a script without spaces is a word of its own (scripts.UNSPACED)
    lowercase: bool = True
    strip_accents: bool | None = None  # None: if lowercase
    clean_text: bool = True
    handle_chinese_chars: bool = True
    max_input_chars_per_word: int = 100

    def normalizer(self) -> normalizers.BertNormalizer:
        """Return Hugging Face's normalizer for these rules."""
        return normalizers.BertNormalizer(
            clean_text=self.clean_text,
            handle_chinese_chars=self.handle_chinese_chars,
            strip_accents=self.strip_accents,
            lowercase=self.lowercase,
        )

    def splitter(self) -> pre_tokenizers.PreTokenizer:
        """Return what cuts a normalized text into words."""
        bert = pre_tokenizers.BertPreTokenizer()
        if not self.apart:
            return bert
        single = pre_tokenizers.Split(tokenizers.Regex(f"[{UNSPACED}]"), "isolated")
        return pre_tokenizers.Sequence([bert, single])

    def prepare(self, text: str) -> str:
        """Clean a text if the rules say so."""
        return clean(text) if self.clean else text


def checked_rows(vocabulary: dict[str, int], rules: Rules) -> set[int]:
    """Return the rows of a vocabulary, or raise a ValueError if it cannot be one of these rules."""
    missing = [token for token in (*NEEDED, *LOOKS * rules.looks) if token not in vocabulary]
    if missing:
        raise ValueError(f"The vocabulary lacks {', '.join(missing)}; a tokenizer of BERT's kind has them.")
    rows = set(vocabulary.values())
    if len(rows) < len(vocabulary) or not all(isinstance(row, int) and row >= 0 for row in rows):
        raise ValueError("Each token of a vocabulary needs a row of its own, counted from 0.")
    if max(rows) > 2 * len(rows) + _GAPS:
        raise ValueError(
            f"A vocabulary of {len(rows):,} tokens has no row {max(rows):,}: count its rows from 0."
        )
    return rows


def model(vocabulary: dict[str, int], rules: Rules) -> tokenizers.Tokenizer:
    """Make the Rust tokenizer of a vocabulary.

    It knows no special tokens: a [SEP] written in a text stays text.
    """
    longest = rules.max_input_chars_per_word
    word_piece = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=longest)
    rust = tokenizers.Tokenizer(word_piece)
    rust.normalizer, rust.pre_tokenizer = rules.normalizer(), rules.splitter()
    return rust


def train_vocabulary(texts: list[str], rules: Rules, v: int, min_frequency: int) -> dict[str, int]:
    """Train a vocabulary of pieces: special tokens, frequent characters, and what WordPiece joins of them.

    Args:
      texts: the texts.
      rules: how texts become words.
      v: maximum number of tokens.
      min_frequency: number of times that a piece must occur.
    """
    alphabet = _alphabet(texts, rules, (v - len(SPECIAL)) // 2, min_frequency)
    if not alphabet:
        raise ValueError(f"No character occurs {min_frequency} times in the texts: nothing to train on.")
    # The trainer breaks ties by the order in which it met the ##c, and that is random: so they go first. Only
    # those inside of words are needed: punctuation and Chinese characters are words of their own.
    normalizer, splitter = rules.normalizer(), rules.splitter()
    inner = [c for c in alphabet if len(splitter.pre_tokenize_str(normalizer.normalize_str(f"a{c}a"))) == 1]
    trainer = trainers.WordPieceTrainer(
        vocab_size=v,
        min_frequency=min_frequency,
        show_progress=False,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[*SPECIAL, *("##" + char for char in inner)],
    )
    rust = model({"[UNK]": 0}, rules)
    rust.train_from_iterator(texts, trainer, length=len(texts))
    return rust.get_vocab()


def train_words(texts: list[str], rules: Rules, v: int, min_frequency: int, stems: int) -> dict[str, int]:
    """Train a vocabulary of words: special tokens, frequent words, and the stems that most words share.

    Args:
      texts: the texts.
      rules: how texts become words.
      v: maximum number of tokens.
      min_frequency: number of times that a word must occur.
      stems: maximum number of stems, each shared by two words at least; they get half of the rows at most.
    """
    words, often = _words_and_stems(texts, rules, min_frequency)
    first = [*SPECIAL, *LOOKS]
    last = often[: min(stems, (v - len(first)) // 2)]
    return {token: row for row, token in enumerate([*(first + words)[: v - len(last)], *last])}


def more_words(
    texts: list[str], rules: Rules, known: Container[str], room: int, min_frequency: int, stems: int
) -> list[str]:
    """Return the words of more texts that have no row yet, the most frequent first, and then their stems.

    Args:
      texts: the texts.
      rules: how texts become words.
      known: tokens that have a row.
      room: maximum number of words and stems.
      min_frequency: number of times that a word must occur.
      stems: maximum number of stems; they get half of the room at most.
    """
    ranked = _words_and_stems(texts, rules, min_frequency)
    words, often = ([token for token in tokens if token not in known] for tokens in ranked)
    last = often[: max(0, min(stems, room // 2))]
    return [*words[: max(0, room - len(last))], *last]


def _words_and_stems(texts: list[str], rules: Rules, min_frequency: int) -> tuple[list[str], list[str]]:
    """Return the frequent words of texts, and the stems that two of their words share, the best first."""
    counts = _count_words(texts, rules)
    shared = Counter(stem for word in counts for stem in beginnings(word))
    often = sorted((stem for stem in shared if shared[stem] > 1), key=lambda stem: (-shared[stem], stem))
    words = sorted(
        (word for word in counts if counts[word] >= min_frequency), key=lambda word: (-counts[word], word)
    )
    return words, often


def _count_words(texts: list[str], rules: Rules) -> Counter[str]:
    """Count the words of plain texts by the block, those of odd texts by Hugging Face's rules."""
    normalizer, splitter = rules.normalizer(), rules.splitter()
    index, total, counts = blocks.Index(), np.zeros(0, np.int64), Counter[str]()
    for i in range(0, len(texts), _TOGETHER):
        some = texts[i : i + _TOGETHER]
        block, odd = blocks.cut(some, rules.lowercase)
        numbers = index(block)
        known, total = total, np.bincount(numbers, minlength=len(index.words))
        total[: len(known)] += known
        for k in odd:
            found = splitter.pre_tokenize_str(normalizer.normalize_str(some[k]))
            counts.update(word for word, _ in found)
    counts.update({word.decode(): int(n) for word, n in zip(index.words, total, strict=True)})
    return counts


def is_plain(text: str) -> bool:
    """Return whether a text is ASCII without control characters: BERT's rules then only cut it into words."""
    return text.isascii() and text.isprintable()


def plain_words(text: str, lowercase: bool) -> list[str]:
    """Split a plain text into words as BERT does. Faster than the way to the Rust library and back."""
    return _WORDS.findall(text.lower() if lowercase else text)


def beginnings(word: str) -> list[str]:
    """Return the stems of a word of letters, or of a longer stem: its first five, four and three letters.

    >>> beginnings("cats"), beginnings("begin##"), beginnings("42nd")
    (['cat##'], ['begi##', 'beg##'], [])
    """
    letters = word.removesuffix("##")
    return [f"{letters[:k]}##" for k in STEM if len(letters) > k] if letters.isalpha() else []


def _alphabet(texts: list[str], rules: Rules, room: int, min_frequency: int) -> list[str]:
    """Choose the characters that get tokens of their own: the most frequent after normalizing."""
    counts = count_characters(texts)
    normalizer, normal = rules.normalizer(), Counter()
    for code in np.flatnonzero(counts).tolist():
        for char in normalizer.normalize_str(chr(code)):
            normal[char] += int(counts[code])
    frequent = [char for char in normal if normal[char] >= min_frequency and not char.isspace()]
    return sorted(sorted(frequent, key=lambda char: (-normal[char], char))[:room])
