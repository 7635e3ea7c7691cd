"""From a piece of text to the ids of its words, each distinct word tokenized once."""

import re
from collections.abc import Callable

import numpy as np

from wave_jax.data.vocabulary import Rules, beginnings, is_plain, model, plain_words

__all__ = ["Words", "without_lone_surrogates"]

_KEPT_WORDS, _KEPT_LENGTH = 2**18, 40  # what is remembered between calls: at most about 60 MB
_LONE = re.compile("[\ud800-\udfff]")


def without_lone_surrogates(text: str) -> str:
    """Replace each half of a surrogate pair, which UTF-8 cannot hold, by the replacement character.

    >>> without_lone_surrogates("a\\ud800b")
    'a\ufffdb'
    """
    return _LONE.sub("\ufffd", text)


class Words:
    """The words of a vocabulary: text in, ids as bytes out.

    Texts in ASCII are cut at BERT's words, others at spaces, across which its rules never look. So the ids
    are those of the whole text by the Rust library, several times faster.
    """

    def __init__(self, vocabulary: dict[str, int], rules: Rules, dtype: np.dtype):
        self.rules = rules
        self.token_bytes = {token: dtype.type(row).tobytes() for token, row in vocabulary.items()}
        self.known = _Known(self._tokenize)
        self._rust = model(vocabulary, rules)

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
        return plain_words(text, self.rules.lowercase and not self.rules.looks)

    def _tokenize(self, word: str) -> bytes:
        """Return the ids of a word that was not met before."""
        if not is_plain(word):
            return b"".join(self.token_bytes[token] for token, _ in self.pieces(word))
        normal = word.lower() if self.rules.lowercase else word
        if not self.rules.looks:
            return self._word_piece(normal)
        has_row = len(word) <= self.rules.max_input_chars_per_word and normal in self.token_bytes
        return self.token_bytes[normal if has_row else self._unknown(word, normal)]

    def _unknown(self, word: str, normal: str) -> str:
        """Return the token of a word without a row: its longest stem that has one, or what it looks like."""
        for stem in beginnings(normal):
            if stem in self.token_bytes:
                return stem
        return "[UNK-A]" if word[:1].isupper() else "[UNK-1]" if word[:1].isdigit() else "[UNK]"

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
