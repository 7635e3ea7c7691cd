"""Tokenized splits as flat arrays, cached on disk, and the batches cut from them.

A split is tokenized once and stays flat, without padding, in memory or as a whole on the device. A plan says
which rows make which batch, as index arrays that depend on the seed and the epoch alone; `gather` cuts the
batch out, by NumPy or inside of jit.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.disk import cached, key_of

__all__ = [
    "Batch",
    "Run",
    "TokenArrays",
    "after",
    "buckets",
    "epoch",
    "evaluation",
    "gather",
    "padding",
    "steps",
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

    @property
    def lengths(self) -> Int[np.ndarray, " texts"]:
        """Tokens of each text, [CLS] and [SEP] included."""
        return np.diff(np.asarray(self.offsets))


class Batch(NamedTuple):
    """What a network reads. A row of label -1 counts nothing; filler is [CLS] alone with that label."""

    ids: Any  # (b, n) int32, NumPy's or the device's, as all of these
    mask: Any  # (b, n) bool: True at tokens, False at padding
    labels: Any  # (b,) int32
    segments: Any = None  # (b, n) int32: the sentence of each token, from 0; or None


class Run(NamedTuple):
    """Batches of one shape that follow each other: `rows` of texts per step, -1 for filler."""

    n: int
    rows: np.ndarray  # (steps, b) int32


# --- from texts to arrays -----------------------------------------------------------------------------------


def tokenize(
    texts: Sequence[str],
    labels: Sequence[int] | np.ndarray | None,
    tokenizer: Tokenizer,
    max_length: int,
    cache: str | os.PathLike[str] | None = None,
    segments: bool = False,
) -> TokenArrays:
    """A split as flat arrays, from the folder `cache` where these texts have been tokenized before.

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
    """`Tokenizer.train`, from the folder `cache` where it has been trained on these texts before; with the
    `pairs` that say most about the labels (`Tokenizer.with_pairs`)."""
    numbers = np.asarray(labels, np.int32)

    def make() -> Tokenizer:
        tokenizer = Tokenizer.train(texts, v, stems=stems, **settings)
        return tokenizer.with_pairs(texts, numbers, pairs) if pairs else tokenizer

    def made() -> dict[str, np.ndarray]:
        return {"json": np.frombuffer(make().to_json().encode(), np.uint8)}

    if cache is None:
        return make()
    said = (pairs, hashlib.sha256(numbers.tobytes()).hexdigest()) if pairs else ()
    arrays = cached(cache, key_of(texts, "tokenizer", v, stems, sorted(settings.items()), *said), made)
    return Tokenizer.from_json(arrays["json"].tobytes().decode())


# --- from arrays to batches ---------------------------------------------------------------------------------


def to_device(tokens: TokenArrays, room: int = 0) -> TokenArrays:
    """The whole split on the device, flat: `gather` then cuts batches there, inside of jit or a scan.

    With `room` for so many tokens, splits of fewer have one shape, and a program compiled for one of them
    serves them all.
    """
    if len(tokens.ids) >= 2**31:
        raise ValueError(
            f"{len(tokens.ids):,} tokens are more than 32-bit offsets reach on the device:"
            " use shorter texts, or gather on the host."
        )
    empty = max(0, room - len(tokens.ids))
    ids = np.pad(tokens.ids, (0, empty))
    segments = None if tokens.segments is None else np.pad(tokens.segments, (0, empty))
    offsets, pad_id = np.asarray(tokens.offsets, np.int32), np.int32(tokens.pad_id)
    roomy = tokens._replace(ids=ids, offsets=offsets, pad_id=pad_id, segments=segments)
    return jax.tree.map(jnp.asarray, roomy)


def gather(tokens: TokenArrays, rows: Int[Array, " b"], n: int) -> Batch:
    """The batch of these rows, (b,), padded to n tokens; row -1 is filler. Works in NumPy and inside of jit.

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
    if tokens.segments is None:
        return Batch(ids, mask, labels)
    return Batch(ids, mask, labels, xp.where(mask, tokens.segments[at], 0).astype(xp.int32))


def steps(tokens: TokenArrays, plan: Iterable[Run]) -> Iterator[Batch]:
    """The batches of a plan, one by one."""
    for n, rows in plan:
        for row in rows:
            yield gather(tokens, row, n)


def buckets(
    lengths: Int[np.ndarray, " texts"], most: int = 6, multiple: int = 4, worth: float = 0.0
) -> tuple[int, ...]:
    """At most `most` lengths to pad to: those that leave the least padding over all texts of these lengths.

    Each is a multiple of `multiple`, the last covers the longest text. There are fewer where one more would
    spare no more than the share `worth` of all places: less than its program takes to compile.

    >>> buckets(np.array([3, 5, 8, 30, 31, 64]), most=3)
    (8, 32, 64)
    """
    if not len(lengths):
        return ()
    size = -(-np.asarray(lengths) // multiple)
    count = np.concatenate([[0], np.cumsum(np.bincount(size))])  # texts of fewer than i units
    cover = np.arange(len(count) - 1)
    # cost[j]: least padded area of all texts of at most j units, j itself being a bucket
    cost, cuts = cover * count[1:].astype(float), []
    for _ in range(most - 1):
        table = cost[:, None] + cover * (count[1:] - count[1:, None])
        table[cover[:, None] >= cover] = np.inf
        best = np.argmin(table, axis=0)
        if table[best[-1], -1] >= (1 - worth) * cost[-1]:
            break
        cuts.append(np.where(table[best, cover] < cost, best, -1))
        cost = np.minimum(cost, table[best, cover])
    ends = [len(cover) - 1]
    for cut in reversed(cuts):
        if cut[ends[-1]] >= 0:
            ends.append(int(cut[ends[-1]]))
    return tuple(multiple * end for end in reversed(ends))


def _shuffled(count: int, *key: int) -> np.ndarray:
    """0..count-1 in an order that depends on the key alone: NumPy promises raw bits for all versions, but
    not the order that `Generator.permutation` makes of them."""
    return np.argsort(np.random.PCG64(list(key)).random_raw(count), kind="stable")


def epoch(
    tokens: TokenArrays,
    b: int,
    seed: int,
    epoch: int,
    shapes: Sequence[int] | None = None,
    together: int = 1,
) -> list[Run]:
    """One epoch of training: every text once, in an order that is a function of (seed, epoch) alone.

    All texts are shuffled, dealt to their buckets, the longest first, and cut into batches, these into runs
    of at most `together`, and the runs are shuffled. A bucket's last batch is filled up with texts of the
    next shorter one, so that only one batch of an epoch has filler, the shortest. The one bias is that texts
    of a batch, and of a run, are about as long as each other.

    >>> tokens = TokenArrays(np.zeros(27), np.cumsum([0, 3, 9, 3, 3, 9]), np.zeros(5))
    >>> [(run.n, run.rows.tolist()) for run in epoch(tokens, 2, seed=0, epoch=1)]
    [(12, [[4, 1]]), (4, [[3, -1]]), (4, [[2, 0]])]
    """
    _check_batch(b, together)
    lengths = tokens.lengths
    shapes = buckets(lengths) if shapes is None else shapes
    runs = _runs(lengths, _shuffled(len(lengths), seed, epoch, 0), b, shapes, together)
    return [runs[i] for i in _shuffled(len(runs), seed, epoch, 1)]


def after(plan: Sequence[Run], done: int) -> list[Run]:
    """What is left of a plan after `done` steps.

    >>> after([Run(8, np.zeros((4, 2))), Run(16, np.zeros((4, 2)))], 6)[0].rows.shape
    (2, 2)
    """
    left = []
    for n, rows in plan:
        if done < len(rows):
            left.append(Run(n, rows[done:]))
        done = max(0, done - len(rows))
    return left


def evaluation(tokens: TokenArrays, b: int, shapes: Sequence[int] | None = None) -> list[Run]:
    """Every text once, in a fixed order and one run per shape; only one batch has filler.

    `run.rows` says which text each prediction belongs to, -1 none.

    >>> tokens = TokenArrays(np.zeros(18), np.cumsum([0, 3, 9, 3, 3]), np.zeros(4))
    >>> [(run.n, run.rows.tolist()) for run in evaluation(tokens, 2)]
    [(4, [[2, 3]]), (12, [[1, 0]])]
    """
    _check_batch(b, 1)
    lengths = tokens.lengths
    shapes = buckets(lengths) if shapes is None else shapes
    return _runs(lengths, np.arange(len(lengths)), b, shapes, together=max(1, len(lengths)))


def _runs(
    lengths: Int[np.ndarray, " texts"],
    order: Int[np.ndarray, " texts"],
    b: int,
    shapes: Sequence[int],
    together: int,
) -> list[Run]:
    """Texts in this order, but the longest bucket first, cut into batches, and these into runs."""
    shapes = sorted(shapes)
    if len(lengths) and lengths.max() > shapes[-1]:
        raise ValueError(
            f"A text of {lengths.max()} tokens fits in none of the buckets {tuple(shapes)}:"
            " choose them from the lengths of all splits."
        )
    bucket = np.searchsorted(np.asarray(shapes), lengths)
    rows = np.full(-(-len(order) // b) * b, -1, np.int32)
    rows[: len(order)] = order[np.argsort(-bucket[order], kind="stable")]
    rows = rows.reshape(-1, b)
    runs = []
    for k, n in enumerate(shapes):
        of_bucket = rows[bucket[rows[:, 0]] == k]
        runs += [Run(n, of_bucket[i : i + together]) for i in range(0, len(of_bucket), together)]
    return runs


def padding(tokens: TokenArrays, plan: Iterable[Run]) -> float:
    """The share of a plan's places that hold padding or filler.

    >>> padding(TokenArrays(np.zeros(12), np.array([0, 4, 12]), np.zeros(2)), [Run(8, np.array([[0, 1]]))])
    0.25
    """
    lengths, places, full = tokens.lengths, 0, 0
    for n, rows in plan:
        places += n * rows.size
        full += int(lengths[rows[rows >= 0]].sum())
    return 1 - full / places if places else 0.0


def _check_batch(b: int, together: int) -> None:
    if b < 1 or together < 1:
        raise ValueError(f"A batch needs at least one row and a run one step, got {b} and {together}.")
