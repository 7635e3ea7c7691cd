"""Answers of a trained Wave Network from one small file, by NumPy and `tokenizers` alone: no JAX is loaded.

    network = predictor.load("news.wave")
    network.predict(["Stocks fell again on Monday"])        # ['Business']

`export` writes the file. Embedding and both linear maps are folded into one row per token, so that a text
costs a gather and a sum of squares. Symbols are those of `wave`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.tokens import Tokens
from wave_jax.errors import PredictorError, check_setting
from wave_jax.serving.file import ACTIVATIONS, Content, Formula, fold_places, fold_tokens, read, restored

__all__ = ["Predictor", "load"]

_TEXTS = 1024  # of a thread at a time
_BLOCK = 2**19  # numbers worked on at a time: they stay in the cache
_EPS = 1e-6  # of the norm
_HEAD = ("feed_forward", "feed_forward_bias", "norm_scale", "norm_bias", "classifier", "classifier_bias")


# --- the answer ---------------------------------------------------------------------------------------------


class Predictor:
    """The labels, probabilities and logits of texts, faster for hundreds at a time than one by one."""

    def __init__(self, content: Content, threads: int = 1):
        self.threads = threads
        self.formula, self.digest = content.formula, content.digest
        self.classes, self.max_length = tuple(content.classes), content.max_length
        self.threshold = content.threshold
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
        several = "" if self.threshold is None else f", threshold={self.threshold}"
        labels = f"classes={list(self.classes)}{several}"
        return f"Predictor({labels}, {self.formula}, max_length={self.max_length})"

    def predict(self, texts: Sequence[str]) -> list[str] | list[set[str]]:
        """Return the label of each text; of a network with several labels a text, a set for each."""
        if self.threshold is None:
            return [self.classes[k] for k in self.logits(texts).argmax(axis=-1)]
        found = self.predict_proba(texts) >= self.threshold
        return [{self.classes[k] for k in np.flatnonzero(row)} for row in found]

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probability of each class, (texts, c) float32: softmax of the logits.

        With several labels a text it is 1 / (1 + exp(-logit)), for each class by itself.
        """
        logits = self.logits(texts)
        if self.threshold is not None:
            small = np.exp(-np.abs(logits))  # never beyond float32
            return np.where(logits >= 0, 1, small) / (1 + small)
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return shares / shares.sum(axis=-1, keepdims=True)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logit of each class, (texts, c) float32; several threads take a block of texts each."""
        if self.threads == 1 or len(texts) <= _TEXTS:
            return self._logits(texts)
        blocks = [texts[i : i + _TEXTS] for i in range(0, len(texts), _TEXTS)]
        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate([*pool.map(self._logits, blocks)])

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        return self.answer(self.tokenizer.encode(texts, self.max_length))

    def answer(self, tokens: Tokens) -> np.ndarray:
        """Return the logits of texts that are tokens already, [CLS] first."""
        v = self.tokenizer.v
        if tokens.ids.max(initial=0) >= v:
            raise ValueError(f"ids must lie in 0..{v - 1}, got {tokens.ids.max()}: use the file's tokenizer.")
        self._learn(tokens.ids)
        with np.errstate(over="ignore", invalid="ignore"):
            h = self._of_cls(tokens) if self.formula.pool == "cls" else self._of_all(tokens)
            logits = h @ self._head["classifier"] + self._head["classifier_bias"]
        if not np.isfinite(logits).all():
            raise ValueError("The file's numbers lead beyond float32: export an earlier step.")
        return logits

    def _learn(self, ids: np.ndarray) -> None:
        """Make the rows of tokens never met before. Those of all tokens would be most of the start."""
        met = np.zeros(len(self._known), bool)
        met[ids] = True
        new = np.flatnonzero(met & ~self._known)
        if len(new):
            self._tokens[new] = fold_tokens(self._arrays, new)
            self._known[new] = True

    def _of_cls(self, tokens: Tokens) -> np.ndarray:
        """Compute h (texts, d) from w and s² of [CLS] alone, s² a plain sum over the others."""
        w, s2 = np.empty((2, len(tokens.offsets) - 1, self._width), np.float32)
        for rows, ids, mask in self._blocks(tokens):
            each = self._variants(ids, mask)
            w[rows] = each[:, 0]
            s2[rows] = np.einsum("bnk,bnk->bk", each[:, 1:], each[:, 1:])
        return _features(w, s2, self.formula, self._head)

    def _of_all(self, tokens: Tokens) -> np.ndarray:
        """Compute h (texts, d), the mean over all tokens."""
        h = np.empty((len(tokens.offsets) - 1, self._width // 2), np.float32)
        for rows, ids, mask in self._blocks(tokens):
            w = self._variants(ids, mask)
            each = _features(w, _others(w * w), self.formula, self._head)
            total = np.where(mask[..., None], each, 0).sum(axis=1)
            h[rows] = total / mask.sum(axis=1, keepdims=True, dtype=np.float32)
        return h

    def _blocks(self, tokens: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield rows of texts, their ids (b, n) filled up to one length, and a mask (b, n)."""
        lengths = np.diff(tokens.offsets)
        for rows in _alike(lengths, _BLOCK // self._width):
            places = np.arange(int(lengths[rows[0]]))
            mask = places < lengths[rows, None]
            ids = tokens.ids.take(tokens.offsets[rows, None] + places, mode="clip")
            yield rows, np.where(mask, ids, np.int64(self.tokenizer.v)), mask

    def _variants(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return w and w' side by side, (b, n, 2d); 0 where there is no token."""
        w = self._tokens.take(ids, axis=0, mode="clip")
        if self._places is not None:
            n, most = ids.shape[1], len(self._places)
            if n > most:
                raise ValueError(f"A text has {n} tokens, where {most} are read: cut it.")
            w += self._places[:n]
            w[~mask] = 0
        return w


def _alike(lengths: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Group texts of similar length, the longest first, at most so many tokens at a time.

    >>> [rows.tolist() for rows in _alike(np.array([2, 9, 3, 2]), 6)]
    [[1], [2, 0], [3]]
    """
    left = np.argsort(-lengths, kind="stable")
    while len(left):
        count = max(1, most // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def _others(w2: np.ndarray) -> np.ndarray:
    """Compute Σ_{m≠j} w_m² for every j, as `wave.encode` does: if a token dominates, the others are added."""
    total = w2.sum(axis=1, keepdims=True)
    dominates = w2 + w2 > total
    return np.where(dominates, np.where(dominates, 0, w2).sum(axis=1, keepdims=True), total - w2)


def _features(w: np.ndarray, s2: np.ndarray, formula: Formula, head: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute the output of the layer, (..., d), from w and s² of both waves, (..., 2d)."""
    x = _read_out(*_combined(w, np.sqrt(s2), formula.combine), formula.read_out)
    x = ACTIVATIONS[formula.activation](x @ head["feed_forward"] + head["feed_forward_bias"])
    voices = x.reshape(*x.shape[:-1], formula.voices, x.shape[-1] // formula.voices)
    voices = voices - voices.mean(axis=-1, keepdims=True)
    voices /= np.sqrt(np.square(voices).mean(axis=-1, keepdims=True) + np.float32(_EPS))
    return voices.reshape(x.shape) * head["norm_scale"] + head["norm_bias"]


def _combined(w: np.ndarray, s: np.ndarray, combine: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute real and imaginary part of Z + Z' or Z·Z'."""
    (w1, w2), (s1, s2) = np.split(w, 2, axis=-1), np.split(s, 2, axis=-1)
    return (w1 + w2, s1 + s2) if combine == "interfere" else (w1 * w2 - s1 * s2, w1 * s2 + w2 * s1)


def _read_out(real: np.ndarray, imag: np.ndarray, kind: str) -> np.ndarray:
    if kind == "real":
        return real
    if kind == "magnitude":
        return np.sqrt(real * real + imag * imag)
    return np.concatenate([real, imag], axis=-1)


def load(path: str | os.PathLike[str], threads: int = 1) -> Predictor:
    """Load the predictor in a file; raise a PredictorError if it is missing, damaged or foreign.

    With several `threads` that many blocks of a thousand texts are answered side by side. The answers are
    those of one thread up to the rounding of float32.
    """
    check_setting("threads", threads, threads >= 1, "at least 1")
    try:
        predictor = Predictor(read(path), threads)
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
