"""Text to ids and back: cleaning, sentences, and WordPiece that is trained on a corpus or read from a file.

Nothing here needs JAX. Words are cut at spaces before anything else and each distinct word is tokenized once:
BERT's rules never look across a space, so the ids are those of the whole text, several times faster.
"""

import hashlib
import html
import json
import logging
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

__all__ = ["Piece", "Rules", "Tokenizer", "Tokens", "clean", "sentences", "write_whole"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NEEDED = SPECIAL[:4]
_VERSION = 1  # of `clean` and `sentences`: a change of either makes other ids of the same text
_BLOCK = 512  # texts at a time, which bounds memory
_KEPT_WORDS, _KEPT_LENGTH = 2**18, 40  # what is remembered between calls: at most about 60 MB

_log = logging.getLogger(__name__)

# A tag only where the name is one of HTML's: <Bush> and the ticker <GOOG.O> are text. News feeds hold tags
# whose brackets are entities themselves, and entities that have lost their ampersand (#39;). Each branch
# starts with a character of its own, which lets `re` skip to the next candidate.
_TAG = (
    r"/?(?:abbr|a|big|blockquote|br|b|center|cite|code|div|em|font|h[1-6]|hr|img|i|li|nobr|ol|pre|p|small|span"
    r"|strike|strong|sub|sup|s|table|tbody|td|th|tr|tt|ul|u)(?=[\s/>&])(?:(?!&[lg]t;)[^<>])*(?:>|&gt;)"
)
_NUMBER = r"#(?:x[0-9a-f]{1,6}|[0-9]{1,7});"
_DEBRIS = re.compile(
    rf"<{_TAG}|&lt;{_TAG}|&(?:amp;)*({_NUMBER}|[a-z][a-z0-9]{{1,31}};)|({_NUMBER})|\\", re.IGNORECASE
)
_LONE = re.compile("[\ud800-\udfff]")  # half a surrogate pair is no character that UTF-8 can hold
_SENTENCE = re.compile(
    r"[.!?…。！？](?:(?<=[。！？])|(?<!\b[a-z].)(?<!\b(?:mr|ms|dr|st|vs|jr|sr|co).)"
    r"(?<!\b(?:mrs|inc|ltd|gen|sen|rep|gov|jan|feb|aug|sep|oct|nov|dec).)(?<!\b(?:corp|sept|prof).)"
    r"[.!?…]*[\"'”’)\]]*(?=\s))",
    re.IGNORECASE,
)


def _replacement(match: re.Match[str]) -> str:
    entity = match[1] or match[2]
    return html.unescape("&" + entity) if entity else " "


def clean(text: str) -> str:
    r"""HTML entities read, HTML tags and backslashes made a space.

    >>> clean(r"Wal-Mart#39;s next\month: &lt;b&gt;up&lt;/b&gt; 5 &amp;amp; rising<br />&lt;WMT.N&gt;")
    "Wal-Mart's next month:  up  5 & rising <WMT.N>"
    """
    return _DEBRIS.sub(_replacement, text)


def _clean_with_spans(text: str) -> tuple[str, list[int], list[int]]:
    """`clean(text)`, and for each of its characters where in the text it begins and ends."""
    parts, begin, end, at = [], [], [], 0
    for match in _DEBRIS.finditer(text):
        new = _replacement(match)
        parts += [text[at : match.start()], new]
        begin += [*range(at, match.start()), *[match.start()] * len(new)]
        end += [*range(at + 1, match.start() + 1), *[match.end()] * len(new)]
        at = match.end()
    rest = range(at, len(text))
    return "".join([*parts, text[at:]]), [*begin, *rest], [*end, *(i + 1 for i in rest)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, which joined give the text again.

    A sentence ends with . ! or ? before white space, except after a single letter or a common abbreviation,
    and with 。！？ anywhere.

    >>> sentences("Mr. Ho left the U.S. today. Why? He won't say.")
    ['Mr. Ho left the U.S. today.', ' Why?', " He won't say."]
    """
    cuts = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


def write_whole(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file beside its place, then rename: whoever reads it finds the old one or the new one."""
    path = Path(path)
    handle, beside = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(beside, 0o644)  # mkstemp's files are for the owner alone
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


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


@dataclass(frozen=True)
class Rules:
    """How a text becomes words; the names but the first are Hugging Face's."""

    clean: bool = False
    lowercase: bool = True
    strip_accents: bool | None = None  # None: where lowercase
    clean_text: bool = True
    handle_chinese_chars: bool = True
    max_input_chars_per_word: int = 100

    def normalizer(self) -> normalizers.BertNormalizer:
        return normalizers.BertNormalizer(
            clean_text=self.clean_text,
            handle_chinese_chars=self.handle_chinese_chars,
            strip_accents=self.strip_accents,
            lowercase=self.lowercase,
        )

    def prepare(self, text: str) -> str:
        return clean(text) if self.clean else text


class _Words(dict[str, bytes]):
    """The ids of words, as bytes. A word that another thread has just dropped is tokenized again."""

    def __init__(self, rust: tokenizers.Tokenizer, dtype: np.dtype):
        super().__init__()
        self.rust, self.dtype = rust, dtype

    def __missing__(self, word: str) -> bytes:
        return next(self._tokenize([word]))

    def learn(self, words: set[str]) -> list[str]:
        """Tokenizes the words that are not known yet, and returns those."""
        new = [word for word in words if word not in self]  # set.difference would walk through all of self
        self.update(zip(new, self._tokenize(new), strict=True))
        return new

    def forget(self, words: list[str]) -> None:
        """Drops what would take too much memory."""
        if len(self) > _KEPT_WORDS:
            self.clear()
        for word in words:
            if len(word) > _KEPT_LENGTH:
                self.pop(word, None)

    def _tokenize(self, words: list[str], together: int = 256) -> Iterator[bytes]:
        words = [_LONE.sub("\ufffd", word) for word in words]
        lists = [words[i : i + together] for i in range(0, len(words), together)]
        for part, encoding in zip(
            lists, self.rust.encode_batch(lists, is_pretokenized=True, add_special_tokens=False), strict=True
        ):
            raw = np.array(encoding.ids, self.dtype).tobytes()
            starts = np.searchsorted(np.array(encoding.word_ids, np.int64), np.arange(len(part) + 1))
            cuts = (starts * self.dtype.itemsize).tolist()
            yield from (raw[a:b] for a, b in pairwise(cuts))


class Tokenizer:
    """WordPiece with BERT's rules: `train` it on a corpus or `read` it from a file.

    >>> tokenizer = Tokenizer.train(["the cat sat", "the cats sat down"] * 2, v=40)
    >>> tokens = tokenizer.encode(["the cat", "sat [SEP] sat"], max_length=8)
    >>> tokens.offsets.tolist(), tokenizer.decode(tokens.ids[:4])
    ([0, 4, 11], 'the cat')
    """

    def __init__(self, vocabulary: dict[str, int], rules: Rules = Rules()):
        missing = [token for token in _NEEDED if token not in vocabulary]
        if missing:
            raise ValueError(
                f"The vocabulary lacks {', '.join(missing)}; a tokenizer of BERT's kind has them."
            )
        self.vocabulary, self.rules = vocabulary, rules
        self.v = max(vocabulary.values()) + 1
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (vocabulary[token] for token in _NEEDED)
        self._dtype = np.dtype(np.uint16 if self.v <= 2**16 else np.int32)
        # Special tokens are unknown to this one, so that a [SEP] written in a text stays text.
        self._rust = tokenizers.Tokenizer(
            models.WordPiece(
                vocabulary, unk_token="[UNK]", max_input_chars_per_word=rules.max_input_chars_per_word
            )
        )
        self._rust.normalizer = rules.normalizer()
        self._rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._words = _Words(self._rust, self._dtype)
        self._cls, self._sep = (np.array(id, self._dtype).tobytes() for id in (self.cls_id, self.sep_id))

    def __repr__(self) -> str:
        return f"Tokenizer(v={self.v:,}, {self.rules})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self):
        return Tokenizer, (self.vocabulary, self.rules)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the vocabulary and the rules: two tokenizers of one digest give the same ids."""
        content = [_VERSION, asdict(self.rules), sorted(self.vocabulary.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @classmethod
    def train(
        cls,
        texts: Sequence[str],
        v: int = 30_000,
        *,
        lowercase: bool = True,
        clean: bool = False,
        min_frequency: int = 2,
    ) -> "Tokenizer":
        """The WordPiece vocabulary of these texts: at most v rows, special tokens included, [PAD] in row 0.

        The same on every run and machine. Where the texts yield fewer rows, `v` of the tokenizer says how
        many, and a warning is logged.
        """
        if v < 10:
            raise ValueError(f"v must be at least 10 rows, of which five are special tokens, got {v}.")
        _check(texts)
        rules = Rules(clean=clean, lowercase=lowercase)
        texts = [_LONE.sub("\ufffd", rules.prepare(text)) for text in texts]
        alphabet = _alphabet(texts, rules, (v - len(SPECIAL)) // 4, min_frequency)
        if not alphabet:
            raise ValueError(f"No character occurs {min_frequency} times in the texts: nothing to train on.")
        tokenizer = cls(_vocabulary(texts, rules, alphabet, v, min_frequency), rules)
        if tokenizer.v < v:
            _log.warning("The texts yield %d of the %d rows asked for.", tokenizer.v, v)
        return tokenizer

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
            parse = _parse_json if path.suffix == ".json" else _parse_lines
            return cls(*parse(content))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a tokenizer: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Everything in one `tokenizer.json`; without cleaning, Hugging Face's library reads it too."""
        write_whole(path, self.to_json().encode())

    def to_json(self) -> str:
        """What `save` writes."""
        rust = tokenizers.Tokenizer.from_str(self._rust.to_str())
        rust.add_special_tokens([token for token in SPECIAL if token in self.vocabulary])
        rust.decoder = decoders.WordPiece()
        rust.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", self.cls_id), ("[SEP]", self.sep_id)],
        )
        content = json.loads(rust.to_str())
        if self.rules.clean:  # an entry that only we know, so that no one else reads texts uncleaned
            content["wave_jax"] = {"clean": True}
        return json.dumps(content, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, content: str) -> "Tokenizer":
        """The tokenizer that `to_json` wrote."""
        return cls(*_parse_json(content))

    def encode(self, texts: Sequence[str], max_length: int, segments: bool = False) -> Tokens:
        """The ids of each text between [CLS] and [SEP], at most `max_length` with them.

        With `segments`, also the sentence of each token; [CLS] belongs to the first, [SEP] to the last.
        """
        _check(texts)
        if max_length < 3:
            raise ValueError(f"max_length must be at least 3, [CLS] and [SEP] being two, got {max_length}.")
        room, rows, counts = max_length - 2, [], []
        for i in range(0, len(texts), _BLOCK):
            for row, sizes in self._rows(texts[i : i + _BLOCK], segments):
                rows += [self._cls, row[: room * self._dtype.itemsize], self._sep]
                counts.append(_with_ends(sizes, room))
        ids = np.frombuffer(b"".join(rows), self._dtype)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([sum(sizes) for sizes in counts], out=offsets[1:])
        if not segments:
            return Tokens(ids, offsets)
        numbers = np.array([k for sizes in counts for k in range(len(sizes))], np.uint16)
        return Tokens(ids, offsets, np.repeat(numbers, [size for sizes in counts for size in sizes]))

    def _rows(self, texts: Sequence[str], segments: bool) -> Iterator[tuple[bytes, list[int]]]:
        """Each text's ids as bytes, and how many tokens each of its sentences has."""
        prepared = map(self.rules.prepare, texts)
        parts = [[part.split(" ") for part in (sentences(text) if segments else [text])] for text in prepared]
        new = self._words.learn(set().union(*(words for text in parts for words in text)))
        for text in parts:
            pieces = [b"".join(map(self._words.__getitem__, words)) for words in text]
            yield b"".join(pieces), [len(piece) // self._dtype.itemsize for piece in pieces if piece]
        self._words.forget(new)

    def explain(self, text: str, max_length: int) -> list[Piece]:
        """The tokens of one text, [CLS] and [SEP] included, each with its place in the text as given.

        >>> tokenizer = Tokenizer.train(["cats <b>sat</b> &amp; ate"] * 2, v=99, clean=True)
        >>> text = "cats<br />&amp;"
        >>> [(piece.token, text[piece.start : piece.end]) for piece in tokenizer.explain(text, 9)]
        [('[CLS]', ''), ('cats', 'cats'), ('&', '&amp;'), ('[SEP]', '')]
        """
        cleaned, begin, end = _clean_with_spans(text) if self.rules.clean else (text, (), ())
        found = self._rust.encode(_LONE.sub("\ufffd", cleaned), add_special_tokens=False)
        spans = [(begin[a], end[b - 1]) if begin else (a, b) for a, b in found.offsets]
        pieces = [Piece(i, t, *span) for i, t, span in zip(found.ids, found.tokens, spans, strict=True)]
        first, last = Piece(self.cls_id, "[CLS]", 0, 0), Piece(self.sep_id, "[SEP]", len(text), len(text))
        return [first, *pieces[: max_length - 2], last]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Ids as readable text, without [PAD], [CLS] and [SEP]."""
        hidden = {self.pad_id, self.cls_id, self.sep_id}
        words = [self.tokens[i] for i in map(int, ids) if i not in hidden]
        return " ".join(words).replace(" ##", "")

    @cached_property
    def tokens(self) -> list[str]:
        """The token of each row; '' for a row that no token has."""
        tokens = [""] * self.v
        for token, row in self.vocabulary.items():
            tokens[row] = token
        return tokens


def _check(texts: Any) -> None:
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts must be a sequence of texts, got a single one: put it in a list.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}: {text!r:.60}.")


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


def _alphabet(texts: list[str], rules: Rules, room: int, min_frequency: int) -> list[str]:
    """The characters that get tokens of their own: the `room` most frequent as the normalizer leaves them."""
    counts = np.zeros(0x110000, np.int64)
    for i in range(0, len(texts), _BLOCK):
        codes = np.frombuffer("".join(texts[i : i + _BLOCK]).encode("utf-32-le"), np.uint32)
        counts += np.bincount(codes, minlength=len(counts))
    normalizer, normal = rules.normalizer(), Counter()
    for code in np.flatnonzero(counts).tolist():
        for char in normalizer.normalize_str(chr(code)):
            normal[char] += int(counts[code])
    frequent = [char for char in normal if normal[char] >= min_frequency and not char.isspace()]
    return sorted(sorted(frequent, key=lambda char: (-normal[char], char))[:room])


def _vocabulary(
    texts: list[str], rules: Rules, alphabet: list[str], v: int, min_frequency: int
) -> dict[str, int]:
    """The trainer breaks ties by the order in which it met the ##c, which is random: so they come first,
    those alone that stand inside of words (punctuation and Chinese characters are words of their own)."""
    normalizer, splitter = rules.normalizer(), pre_tokenizers.BertPreTokenizer()
    inner = [c for c in alphabet if len(splitter.pre_tokenize_str(normalizer.normalize_str(f"a{c}a"))) == 1]
    rust = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    rust.normalizer, rust.pre_tokenizer = normalizer, splitter
    trainer = trainers.WordPieceTrainer(
        vocab_size=v,
        min_frequency=min_frequency,
        show_progress=False,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[*SPECIAL, *("##" + char for char in inner)],
    )
    rust.train_from_iterator(texts, trainer, length=len(texts))
    return rust.get_vocab()


def _parse_lines(content: str) -> tuple[dict[str, int], Rules]:
    """A vocab.txt. Lines end with a line feed alone: other separators may be tokens."""
    lines = [line.removesuffix("\r") for line in content.removesuffix("\n").split("\n")]
    vocabulary = {}
    for row, token in enumerate(lines):
        if token in vocabulary:
            raise ValueError(f"line {row + 1} repeats {token!r} of line {vocabulary[token] + 1}.")
        vocabulary[token] = row
    cased = any(token != token.lower() for token in lines if not token.startswith("["))
    return vocabulary, Rules(lowercase=not cased)


def _parse_json(content: str) -> tuple[dict[str, int], Rules]:
    try:
        parts = json.loads(content)
        model, normalizer, splitter = (parts[name] for name in ("model", "normalizer", "pre_tokenizer"))
        kinds = tuple((part or {}).get("type") for part in (model, normalizer, splitter))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is damaged or no tokenizer.json ({type(error).__name__}: {error}).") from None
    if kinds != ("WordPiece", "BertNormalizer", "BertPreTokenizer"):
        raise ValueError(f"it is built of {kinds}, not of WordPiece, BertNormalizer and BertPreTokenizer.")
    if model["unk_token"] != "[UNK]" or model["continuing_subword_prefix"] != "##":
        raise ValueError("only [UNK] for unknown words and ## for their continuation are read.")
    added = [token["content"] for token in parts.get("added_tokens", ()) if not token["special"]]
    if added:
        raise ValueError(f"it adds tokens outside of WordPiece, which are not read: {', '.join(added[:4])}.")
    names = {field.name for field in fields(Rules)}
    rules = {**normalizer, **model, **parts.get("wave_jax", {})}
    return model["vocab"], Rules(**{name: value for name, value in rules.items() if name in names})
