"""Answers of a trained Wave Network from one small file, with NumPy and `tokenizers` alone: no JAX is loaded.

    network = predictor.load("news.wave")
    network.predict(["Stocks fell again on Monday"])        # ['Business']

`export` writes the file, docs/export.md says what is in it. Embedding and both linear maps are folded into
one row per token, so that a text costs a gather and a sum of squares. Symbols as in `wave`.
"""

import hashlib
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wave_jax.data.tokenizer import Tokenizer, Tokens
from wave_jax.errors import PredictorError

__all__ = [
    "Content",
    "Formula",
    "Predictor",
    "fold_places",
    "fold_tokens",
    "load",
    "pack",
    "restored",
    "unpack",
]

_FORMAT = 1
_MAGIC = b"WaveJAX\n"
_START = struct.Struct("<8sIIQ32s")  # magic, format, bytes of the header and of the body, SHA-256
_DTYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
_LARGEST = 2**28  # bytes of a tokenizer
_BLOCK = 2**19  # numbers worked on at a time: they stay in the cache
_EPS = 1e-6  # of the norm
_HEAD = ("feed_forward", "feed_forward_bias", "norm_scale", "norm_bias", "classifier", "classifier_bias")

_ACTIVATIONS = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2,
    "tanh": np.tanh,
}


class Formula(NamedTuple):
    """The settings of a network that its answers depend on; `model.WaveConfig` explains them."""

    combine: str
    read_out: str
    pool: str
    activation: str
    voices: int


_KNOWN = {
    "combine": ("interfere", "modulate"),
    "read_out": ("real", "magnitude", "real_imag"),
    "pool": ("cls", "mean"),
    "activation": tuple(_ACTIVATIONS),
    "voices": range(1, 2**16),
}


class Content(NamedTuple):
    """What a file holds. The names of its arrays stand in docs/export.md."""

    formula: Formula
    arrays: Mapping[str, np.ndarray]
    tokenizer: str  # its JSON
    classes: Sequence[str]
    max_length: int  # tokens of a text that are read
    digest: str  # of the network's parameters, before they were folded or rounded


# --- the file -----------------------------------------------------------------------------------------------


def pack(content: Content) -> bytes:
    """The bytes of a file."""
    little = {name: x.astype(x.dtype.newbyteorder("<"), "C") for name, x in content.arrays.items()}
    header = content._asdict() | {
        "formula": content.formula._asdict(),
        "arrays": [(name, x.dtype.name, x.shape) for name, x in little.items()],
    }
    del header["tokenizer"]  # it ends the body
    raw = json.dumps(header).encode()
    body = b"".join([*(x.tobytes() for x in little.values()), zlib.compress(content.tokenizer.encode(), 9)])
    return _START.pack(_MAGIC, _FORMAT, len(raw), len(body), _checksum(raw, body)) + raw + body


def unpack(raw: bytes) -> Content:
    """What `pack` made bytes of; an error for all else. Nothing is parsed before the checksum holds."""
    if not raw.startswith(_MAGIC[: len(raw)]):
        raise ValueError("no export of wave_jax wrote it.")
    if len(raw) < _START.size:
        raise ValueError(f"it ends after {len(raw)} bytes: copy or export it again.")
    _, version, header, body, checksum = _START.unpack_from(raw)
    if version != _FORMAT:
        raise ValueError(f"it is of format {version}, not {_FORMAT}: take the wave_jax that wrote it.")
    whole = _START.size + header + body
    if len(raw) != whole:
        raise ValueError(f"it has {len(raw):,} bytes, not {whole:,}: copy or export it again.")
    head, rest = raw[_START.size : _START.size + header], memoryview(raw)[_START.size + header :]
    if checksum != _checksum(head, rest):
        raise ValueError("it is damaged, as its SHA-256 shows: copy or export it again.")
    return _parsed(json.loads(head), rest)


def _checksum(header: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(header)
    digest.update(body)
    return digest.digest()


def _parsed(header: dict[str, Any], body: memoryview) -> Content:
    arrays = {}
    for name, dtype, shape in header["arrays"]:
        size = math.prod(shape) * _DTYPES[dtype]().itemsize
        part, body = body[:size], body[size:]
        arrays[name] = np.frombuffer(part, np.dtype(_DTYPES[dtype]).newbyteorder("<")).reshape(shape)
    formula = Formula(**header["formula"])
    for name, value in formula._asdict().items():
        if value not in _KNOWN[name]:
            raise ValueError(f"{name} {value!r}")
    tokenizer = zlib.decompressobj().decompress(body, _LARGEST).decode()
    return Content(**header | {"formula": formula, "arrays": arrays, "tokenizer": tokenizer})


# --- from its arrays to rows of both variants, side by side -------------------------------------------------


def restored(arrays: Mapping[str, np.ndarray], name: str, rows: Any = slice(None)) -> np.ndarray:
    """Rows of an array in float32; one of int8 has a scale per row beside it.

    >>> restored({"A": np.int8([[127], [-2]]), "A.scale": np.float32([[2], [0.5]])}, "A").tolist()
    [[254.0], [-1.0]]
    """
    x = arrays[name][rows].astype(np.float32)
    return x * arrays[f"{name}.scale"][rows] if f"{name}.scale" in arrays else x


def fold_tokens(arrays: Mapping[str, np.ndarray], ids: Any = slice(None)) -> np.ndarray:
    """w·[A A'] + [b b'] of tokens: with `fold_places`, (w + p)·[A A'] + [b b']."""
    if "tokens" in arrays:
        return restored(arrays, "tokens", ids)
    return restored(arrays, "embedding", ids) @ restored(arrays, "variants") + arrays["variants_bias"]


def fold_places(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """p·[A A'] of places; None where there are no positions."""
    if "places" in arrays:
        return restored(arrays, "places")
    if "positions" in arrays:
        return restored(arrays, "positions") @ restored(arrays, "variants")
    return None


# --- the answer ---------------------------------------------------------------------------------------------


class Predictor:
    """Labels, probabilities and logits of texts, faster for hundreds at a time than one by one."""

    def __init__(self, content: Content):
        self.formula, self.digest = content.formula, content.digest
        self.classes, self.max_length = tuple(content.classes), content.max_length
        self.tokenizer = Tokenizer.from_json(content.tokenizer)
        arrays = self._arrays = content.arrays
        self._head = {name: restored(arrays, name) for name in _HEAD}
        self._places = fold_places(arrays)
        v, c = len(arrays.get("tokens", arrays.get("embedding", ()))), len(self._head["classifier_bias"])
        if (self.tokenizer.v, len(self.classes)) != (v, c):
            raise ValueError(f"{self.tokenizer.v} tokens and {len(self.classes)} classes, not {v} and {c}.")
        d = len(self._head["norm_bias"])
        if d % self.formula.voices:
            raise ValueError(f"{self.formula.voices} voices do not share {d} dimensions evenly.")
        self._width = 2 * d
        self._tokens = np.zeros((v + 1, self._width), np.float32)  # the last row fills short texts up
        self._known = np.zeros(v, bool)

    def __repr__(self) -> str:
        return f"Predictor(classes={list(self.classes)}, {self.formula}, max_length={self.max_length})"

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The label of each text."""
        return [self.classes[k] for k in self.logits(texts).argmax(axis=-1)]

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """The probability of each class, (texts, c) float32: softmax of the logits."""
        logits = self.logits(texts)
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return shares / shares.sum(axis=-1, keepdims=True)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """The score of each class, (texts, c) float32."""
        return self.answer(self.tokenizer.encode(texts, self.max_length))

    def answer(self, tokens: Tokens) -> np.ndarray:
        """The logits of texts that are tokens already, [CLS] first."""
        v = self.tokenizer.v
        if tokens.ids.max(initial=0) >= v:
            raise ValueError(f"ids must lie in 0..{v - 1}, got {tokens.ids.max()}: use the file's tokenizer.")
        self._learn(tokens.ids)
        h = self._of_cls(tokens) if self.formula.pool == "cls" else self._of_all(tokens)
        return h @ self._head["classifier"] + self._head["classifier_bias"]

    def _learn(self, ids: np.ndarray) -> None:
        """Make the rows of tokens never met before. Those of all tokens would be most of the start."""
        new = np.unique(ids[~self._known[ids]])
        if len(new):
            self._tokens[new] = fold_tokens(self._arrays, new)
            self._known[new] = True

    def _of_cls(self, tokens: Tokens) -> np.ndarray:
        """h (texts, d) from w and s² of [CLS] alone, s² a plain sum over the others."""
        w, s2 = np.empty((2, len(tokens.offsets) - 1, self._width), np.float32)
        for rows, ids, mask in self._blocks(tokens):
            each = self._variants(ids, mask)
            w[rows] = each[:, 0]
            s2[rows] = np.einsum("bnk,bnk->bk", each[:, 1:], each[:, 1:])
        return _features(w, s2, self.formula, self._head)

    def _of_all(self, tokens: Tokens) -> np.ndarray:
        """h (texts, d), the mean over all tokens."""
        h = np.empty((len(tokens.offsets) - 1, self._width // 2), np.float32)
        for rows, ids, mask in self._blocks(tokens):
            w = self._variants(ids, mask)
            each = _features(w, _others(w * w), self.formula, self._head)
            total = np.where(mask[..., None], each, 0).sum(axis=1)
            h[rows] = total / mask.sum(axis=1, keepdims=True, dtype=np.float32)
        return h

    def _blocks(self, tokens: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows of texts, their ids (b, n) filled up to one length, and a mask (b, n), True at tokens."""
        lengths = np.diff(tokens.offsets)
        for rows in _alike(lengths, _BLOCK // self._width):
            places = np.arange(int(lengths[rows[0]]))
            mask = places < lengths[rows, None]
            ids = tokens.ids.take(tokens.offsets[rows, None] + places, mode="clip")
            yield rows, np.where(mask, ids, np.int64(self.tokenizer.v)), mask

    def _variants(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """w and w' side by side, (b, n, 2d); 0 where there is no token."""
        w = self._tokens.take(ids, axis=0, mode="clip")
        if self._places is not None:
            n, most = ids.shape[1], len(self._places)
            if n > most:
                raise ValueError(f"A text has {n} tokens, where {most} are read: cut it.")
            w += self._places[:n]
            w[~mask] = 0
        return w


def _alike(lengths: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Texts of like length, the longest first, at most so many tokens at a time.

    >>> [rows.tolist() for rows in _alike(np.array([2, 9, 3, 2]), 6)]
    [[1], [2, 0], [3]]
    """
    left = np.argsort(-lengths, kind="stable")
    while len(left):
        count = max(1, most // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def _others(w2: np.ndarray) -> np.ndarray:
    """Σ_{m≠j} w_m² for every j, as `wave.encode` forms it: where a token dominates, the others are added."""
    total = w2.sum(axis=1, keepdims=True)
    dominates = w2 + w2 > total
    return np.where(dominates, np.where(dominates, 0, w2).sum(axis=1, keepdims=True), total - w2)


def _features(w: np.ndarray, s2: np.ndarray, formula: Formula, head: Mapping[str, np.ndarray]) -> np.ndarray:
    """From w and s² of both waves, (..., 2d), to the output of the layer, (..., d)."""
    x = _read_out(*_combined(w, np.sqrt(s2), formula.combine), formula.read_out)
    x = _ACTIVATIONS[formula.activation](x @ head["feed_forward"] + head["feed_forward_bias"])
    voices = x.reshape(*x.shape[:-1], formula.voices, x.shape[-1] // formula.voices)
    voices = voices - voices.mean(axis=-1, keepdims=True)
    voices /= np.sqrt(np.square(voices).mean(axis=-1, keepdims=True) + np.float32(_EPS))
    return voices.reshape(x.shape) * head["norm_scale"] + head["norm_bias"]


def _combined(w: np.ndarray, s: np.ndarray, combine: str) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of Z + Z' or Z·Z'."""
    (w1, w2), (s1, s2) = np.split(w, 2, axis=-1), np.split(s, 2, axis=-1)
    return (w1 + w2, s1 + s2) if combine == "interfere" else (w1 * w2 - s1 * s2, w1 * s2 + w2 * s1)


def _read_out(real: np.ndarray, imag: np.ndarray, kind: str) -> np.ndarray:
    if kind == "real":
        return real
    if kind == "magnitude":
        return np.sqrt(real * real + imag * imag)
    return np.concatenate([real, imag], axis=-1)


def load(path: str | os.PathLike[str]) -> Predictor:
    """The predictor in a file. PredictorError where it is missing, damaged, foreign, or of another format."""
    try:
        predictor = Predictor(unpack(Path(path).read_bytes()))
        predictor.predict([""])  # shapes that do not fit show here
    except OSError as error:
        raise PredictorError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise PredictorError(f"{path} cannot be read as a predictor: {error}") from None
    except Exception as error:  # whole, and yet not as `pack` writes it
        found = f"{type(error).__name__}: {error}"
        raise PredictorError(
            f"{path} holds what is unknown ({found}): take the wave_jax that wrote it."
        ) from None
    return predictor
