"""Tokenized splits as flat arrays, cached on disk, and the batches cut from them.

A split is tokenized once and stays flat, without padding, in memory or as a whole on the device. `plan` says
which texts make which batch; `gather` cuts the batch out, by NumPy or inside of jit.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.tokens import rounded_up
from wave_jax.disk import cached, key_of

__all__ = [
    "Batch",
    "TokenArrays",
    "gather",
    "grow_tokenizer",
    "of_texts",
    "to_device",
    "tokenize",
    "train_tokenizer",
]

Array = np.ndarray | jax.Array


class TokenArrays(NamedTuple):
    """A tokenized split: text i is ids[offsets[i] : offsets[i + 1]]. NumPy's arrays or the device's."""

    ids: Array  # (total,) uint16, or int32 for more than 65,536 rows
    offsets: Array  # (texts + 1,) int64, on the device int32
    labels: Array  # (texts,) int32; -1 for a text without a label
    pad_id: int | Array = 0
    segments: Array | None = None  # (total,) uint16: the sentence of each token
    weights: Array | None = None  # (texts,) or (texts, c) float32: how much each text, or label, counts
    targets: Array | None = None  # (texts, c): probabilities, float32; or several labels, bool

    @property
    def lengths(self) -> Int[np.ndarray, " texts"]:
        """Tokens of each text, [CLS] and [SEP] included."""
        return np.diff(np.asarray(self.offsets))

    @property
    def asked(self) -> np.ndarray:
        """Return the answers that are asked for: the targets, or the labels where there are none."""
        return np.asarray(self.labels if self.targets is None else self.targets)


class Batch(NamedTuple):
    """What a network reads. A row of label -1 counts nothing; filler is [CLS] alone with that label."""

    ids: Any  # (b, n) int32, NumPy's or the device's, as all of these
    mask: Any  # (b, n) bool: True at tokens, False at padding
    labels: Any  # (b,) int32
    segments: Any = None  # (b, n) int32: the sentence of each token, from 0; or None
    weights: Any = None  # (b,) or (b, c) float32: how much each text, or label, counts in the loss; or None
    targets: Any = None  # (b, c): probabilities of the classes, float32; or several labels, bool; or None


# --- from texts to arrays -----------------------------------------------------------------------------------


def tokenize(
    texts: Sequence[str],
    labels: Sequence[int] | np.ndarray | None,
    tokenizer: Tokenizer,
    max_length: int,
    cache: str | os.PathLike[str] | None = None,
    segments: bool = False,
) -> TokenArrays:
    """Tokenize a split to flat arrays, or take them from the cache if these texts were tokenized before.

    Args:
      texts: the texts.
      labels: number of each text's class, if known.
      tokenizer: the tokenizer.
      max_length: tokens of a text that are kept, [CLS] and [SEP] included.
      cache: folder of the cache; none if not given.
      segments: whether to number the sentences.

    >>> tokenizer = Tokenizer.train(["a cat", "a dog"] * 2, v=40)
    >>> tokenize(["a cat", "a"], [1, 0], tokenizer, max_length=16).lengths.tolist()
    [4, 3]
    """
    if labels is not None and len(labels) != len(texts):
        raise ValueError(f"There are {len(texts)} texts but {len(labels)} labels.")

    def make() -> dict[str, np.ndarray]:
        tokens = tokenizer.encode(texts, max_length, segments)._asdict()
        return {name: array for name, array in tokens.items() if array is not None}

    if cache is None:
        arrays = make()
    else:
        key = key_of(texts, "tokens", tokenizer.digest, max_length, segments)
        arrays = cached(cache, key, make)
    known = np.full(len(texts), -1) if labels is None else labels
    return TokenArrays(labels=np.asarray(known, np.int32), pad_id=tokenizer.pad_id, **arrays)


def train_tokenizer(
    texts: Sequence[str],
    v: int,
    cache: str | os.PathLike[str] | None = None,
    *,
    labels: Sequence[int] | np.ndarray = (),
    pairs: int = 0,
    stems: int = 0,
    **settings: bool,
) -> Tokenizer:
    """Train a tokenizer on texts, or take it from the cache if it was trained on them before.

    Args:
      texts: the texts.
      v: maximum number of rows without pairs.
      cache: folder of the cache; none if not given.
      labels: number of each text's class, by which pairs are chosen.
      pairs: maximum number of rows for pairs of neighbours.
      stems: maximum number of rows for stems.
      **settings: other settings of `Tokenizer.train`.
    """
    numbers = np.asarray(labels, np.int32)

    def make() -> Tokenizer:
        tokenizer = Tokenizer.train(texts, v, stems=stems, **settings)
        return tokenizer.with_pairs(texts, numbers, pairs) if pairs else tokenizer

    said = (pairs, hashlib.sha256(numbers.tobytes()).hexdigest()) if pairs else ()
    return _kept(texts, cache, (v, stems, sorted(settings.items()), *said), make)


def grow_tokenizer(
    start: Tokenizer,
    texts: Sequence[str],
    v: int,
    cache: str | os.PathLike[str] | None = None,
    *,
    labels: Sequence[int] | np.ndarray,
    pairs: int,
    stems: int,
    rows: int,
) -> Tokenizer:
    """Add rows for more texts to a tokenizer, or take the result from the cache: words, stems, then pairs.

    Args:
      start: the tokenizer.
      texts: the texts.
      v: maximum number of rows without pairs, those that are there included, as in all of these.
      cache: folder of the cache; none if not given.
      labels: number of each text's class, by which pairs are chosen.
      pairs: maximum number of rows for pairs of neighbours.
      stems: maximum number of rows for stems.
      rows: maximum number of rows in all.
    """
    numbers = np.asarray(labels, np.int32)

    def make() -> Tokenizer:
        stemmed = sum(token.endswith("##") for token in start.vocabulary)
        room = min(v - start.first_pair, rows - start.v)
        tokenizer = start.with_words(texts, max(0, room), stems=max(0, stems - stemmed))
        room = min(pairs - len(start.pairs), rows - tokenizer.v)
        return tokenizer.with_pairs(texts, numbers, room) if room > 0 else tokenizer

    said = (start.digest, v, stems, pairs, rows, hashlib.sha256(numbers.tobytes()).hexdigest())
    return _kept(texts, cache, said, make)


def _kept(
    texts: Sequence[str],
    cache: str | os.PathLike[str] | None,
    said: Sequence[Any],
    make: Callable[[], Tokenizer],
) -> Tokenizer:
    """Return the tokenizer that was made of these texts before, or make it and keep it in the cache."""
    if cache is None:
        return make()

    def made() -> dict[str, np.ndarray]:
        return {"json": np.frombuffer(make().to_json().encode(), np.uint8)}

    arrays = cached(cache, key_of(texts, "tokenizer", *said), made)
    return Tokenizer.from_json(arrays["json"].tobytes().decode())


# --- from arrays to batches ---------------------------------------------------------------------------------


def to_device(tokens: TokenArrays, room: int = 0) -> TokenArrays:
    """Put a whole split on the device, flat: `gather` then cuts batches there, inside of jit or a scan.

    Its arrays are rounded up, so that similar splits share compiled programs; with `room` for so many tokens,
    all splits of fewer have one shape.
    """
    if len(tokens.ids) >= 2**31:
        raise ValueError(
            f"{len(tokens.ids):,} tokens are more than 32-bit offsets reach on the device:"
            " use shorter texts, or gather on the host."
        )
    size, texts = len(tokens.ids), len(tokens.labels)
    empty, without = rounded_up(max(size, room)) - size, rounded_up(texts) - texts
    roomy = TokenArrays(
        ids=np.pad(tokens.ids, (0, empty)),
        offsets=np.pad(np.asarray(tokens.offsets, np.int32), (0, without), "edge"),
        labels=np.pad(tokens.labels, (0, without), constant_values=-1),
        pad_id=np.asarray(tokens.pad_id, np.int32),
        segments=None if tokens.segments is None else np.pad(tokens.segments, (0, empty)),
        weights=_padded(tokens.weights, without),
        targets=_padded(tokens.targets, without),
    )
    return jax.device_put(roomy)


def _padded(rows: Array | None, without: int) -> np.ndarray | None:
    """Return an array with so many rows of zeros added; None of None."""
    return None if rows is None else np.pad(rows, [(0, without), *[(0, 0)] * (rows.ndim - 1)])


def gather(tokens: TokenArrays, rows: Int[Array, " b"], n: int) -> Batch:
    """Cut out the batch of these texts, (b,), padded to n tokens; row -1 is filler.

    It works in NumPy and inside of jit.

    >>> tokens = TokenArrays(np.array([2, 7, 3, 2, 3]), np.array([0, 3, 5]), np.array([1, 0]))
    >>> gather(tokens, np.array([1, -1]), 4)[:3]
    (array([[2, 3, 0, 0], [2, 0, 0, 0]], dtype=int32),
     array([[ True,  True, False, False], [ True, False, False, False]]),
     array([ 0, -1], dtype=int32))
    """
    xp = np if isinstance(tokens.ids, np.ndarray) else jnp
    row, place = xp.maximum(rows, 0), xp.arange(n)
    start = tokens.offsets[row]
    length = xp.where(rows < 0, 1, tokens.offsets[row + 1] - start)
    mask = place < length[:, None]
    at = start[:, None] + xp.where(mask, place, 0)
    labels = xp.where(rows < 0, -1, tokens.labels[row]).astype(xp.int32)
    ids = xp.where(mask, tokens.ids[at], tokens.pad_id).astype(xp.int32)
    numbers = tokens.segments
    segments = None if numbers is None else xp.where(mask, numbers[at], 0).astype(xp.int32)

    def of_rows(values: Array | None) -> Any:
        """Return the values of these texts; 0 of filler."""
        if values is None:
            return None
        filler = (rows < 0).reshape(-1, *[1] * (values.ndim - 1))
        return xp.where(filler, xp.zeros((), values.dtype), values[row])

    return Batch(ids, mask, labels, segments, of_rows(tokens.weights), of_rows(tokens.targets))


def of_texts(
    texts: Sequence[str],
    labels: Sequence[int] | np.ndarray | None,
    tokenizer: Tokenizer,
    max_length: int = 128,
    segments: bool = False,
) -> Batch:
    """Make one batch of a few texts, on the device, as long as the longest of them.

    Args:
      texts: the texts.
      labels: number of each text's class; None where it is not known.
      tokenizer: the tokenizer of the network.
      max_length: tokens of a text that are kept, [CLS] and [SEP] included.
      segments: whether to number the sentences.

    >>> tokenizer = Tokenizer.train(["a cat", "a dog"] * 2, v=40)
    >>> of_texts(["a cat", "a"], [1, 0], tokenizer).mask.astype(int)
    Array([[1, 1, 1, 1],
           [1, 1, 1, 0]], dtype=int32)
    """
    if not len(texts):
        raise ValueError("A batch needs one text at least.")
    tokens = tokenize(texts, labels, tokenizer, max_length, segments=segments)
    return jax.device_put(gather(tokens, np.arange(len(texts)), int(tokens.lengths.max())))
