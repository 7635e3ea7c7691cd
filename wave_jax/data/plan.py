"""Which text is in which batch: a plan of index arrays that depends on the seed and the epoch alone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from wave_jax.data.batches import Batch, TokenArrays, gather
from wave_jax.data.tokens import rounded_up

__all__ = ["Block", "Plan", "buckets", "coarse", "distinct"]


class Block(NamedTuple):
    """Batches of one shape that follow each other."""

    n: int
    """Length that the texts are padded to."""
    rows: np.ndarray
    """(steps, b) int32: the texts of each batch, -1 for filler."""


class Plan(tuple[Block, ...]):
    """The batches of an epoch, or of a whole split, as blocks in their order."""

    @classmethod
    def of_epoch(
        cls,
        tokens: TokenArrays,
        b: int,
        seed: int,
        epoch: int,
        shapes: Sequence[int] | None = None,
        together: int = 1,
    ) -> "Plan":
        """Plan one epoch of training: every text once, in an order that is a function of (seed, epoch) alone.

        All texts are shuffled, dealt to their buckets, the longest first, and cut into batches. Batches are
        joined to blocks, and the blocks are shuffled. The last batch of a bucket is filled up with texts of
        the next shorter one, so only one batch of an epoch has filler, the shortest. The one bias is that the
        texts of a batch, and of a block, are of similar length.

        Args:
          tokens: the texts.
          b: texts of a batch.
          seed: seed of the order.
          epoch: number of the epoch; each has another order.
          shapes: lengths that texts are padded to; `buckets` of these texts if not given.
          together: maximum number of batches of a block.

        >>> tokens = TokenArrays(np.zeros(27), np.cumsum([0, 3, 9, 3, 3, 9]), np.zeros(5))
        >>> [(block.n, block.rows.tolist()) for block in Plan.of_epoch(tokens, 2, seed=0, epoch=1)]
        [(12, [[4, 1]]), (4, [[3, -1]]), (4, [[2, 0]])]
        """
        _check_batch(b, together)
        order = _shuffled(len(tokens.lengths), seed, epoch, 0)
        blocks = _blocks(tokens.lengths, order, b, shapes, together)
        return cls(blocks[i] for i in _shuffled(len(blocks), seed, epoch, 1))

    @classmethod
    def of_all(cls, tokens: TokenArrays, b: int, shapes: Sequence[int] | None = None) -> "Plan":
        """Plan every text once, in a fixed order and one block per shape; only one batch has filler.

        `block.rows` says which text each prediction belongs to, -1 none.

        >>> tokens = TokenArrays(np.zeros(18), np.cumsum([0, 3, 9, 3, 3]), np.zeros(4))
        >>> [(block.n, block.rows.tolist()) for block in Plan.of_all(tokens, 2)]
        [(4, [[2, 3]]), (12, [[1, 0]])]
        """
        _check_batch(b, 1)
        count = len(tokens.lengths)
        return cls(_blocks(tokens.lengths, np.arange(count), b, shapes, together=max(1, count)))

    def after(self, done: int) -> "Plan":
        """Return what is left of the plan after `done` steps.

        >>> Plan([Block(8, np.zeros((4, 2))), Block(16, np.zeros((4, 2)))]).after(6)[0].rows.shape
        (2, 2)
        """
        left = []
        for n, rows in self:
            if done < len(rows):
                left.append(Block(n, rows[done:]))
            done = max(0, done - len(rows))
        return Plan(left)

    def pieces(self, start: int, end: int, every: int, most: int) -> Iterator[Block]:
        """Yield the blocks up to a step, cut after every `every` steps of the whole run.

        Args:
          start: step of the run at which the plan begins.
          end: step of the run to stop at.
          every: steps between two cuts.
          most: maximum number of steps of a piece.

        >>> plan = Plan([Block(8, np.zeros((5, 2)))])
        >>> [len(piece.rows) for piece in plan.pieces(2, 6, every=3, most=4)]
        [1, 3]
        """
        for n, rows in self:
            while len(rows) and start < end:
                count = min(len(rows), most, every - start % every, end - start)
                yield Block(n, rows[:count])
                rows, start = rows[count:], start + count

    def batches(self, tokens: TokenArrays) -> Iterator[Batch]:
        """Yield the batches one by one."""
        for n, rows in self:
            for row in rows:
                yield gather(tokens, row, n)

    def padding(self, tokens: TokenArrays) -> float:
        """Return the share of the plan's positions that hold padding or filler.

        >>> tokens = TokenArrays(np.zeros(12), np.array([0, 4, 12]), np.zeros(2))
        >>> Plan([Block(8, np.array([[0, 1]]))]).padding(tokens)
        0.25
        """
        lengths, positions, full = tokens.lengths, 0, 0
        for n, rows in self:
            positions += n * rows.size
            full += int(lengths[rows[rows >= 0]].sum())
        return 1 - full / positions if positions else 0.0


def buckets(
    lengths: Int[np.ndarray, " texts"], most: int = 6, multiple: int = 4, worth: float = 0.0
) -> tuple[int, ...]:
    """Choose the lengths to pad to: those that leave the least padding over all texts of these lengths.

    Args:
      lengths: tokens of each text.
      most: maximum number of lengths to choose.
      multiple: each chosen length is a multiple of this; the last covers the longest text.
      worth: share of all positions that one more length must save. A program takes time to compile.

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


def coarse(lengths: Sequence[int], most: int | None = None, steps: int = 8) -> tuple[int, ...]:
    """Round lengths up (`tokens.rounded_up`), but not beyond `most`, the positions that a network has.

    >>> coarse((44, 93, 189)), coarse((44, 93, 189), most=190, steps=4)
    ((44, 96, 192), (48, 96, 190))
    """
    rounded = (rounded_up(n, steps) for n in lengths)
    return tuple(sorted({n if most is None else min(n, most) for n in rounded}))


def distinct(tokens: TokenArrays, rows: Int[np.ndarray, "steps b"]) -> int:
    """Count the distinct tokens of the richest of these batches; padding and filler count as two.

    >>> tokens = TokenArrays(np.array([2, 7, 3, 2, 7, 7, 3]), np.array([0, 3, 7]), np.array([1, 0]))
    >>> distinct(tokens, np.array([[0, 1]]))
    5
    """
    texts, offsets = rows.reshape(-1), np.asarray(tokens.offsets)
    begin = offsets.take(texts)
    sizes = np.where(texts < 0, 0, offsets.take(texts + 1) - begin)
    before = np.cumsum(sizes) - sizes
    places = np.repeat(begin - before, sizes) + np.arange(sizes.sum())
    ids = np.asarray(tokens.ids).take(places)
    met = np.zeros((len(rows), int(ids.max(initial=0)) + 1), bool)
    first = np.arange(len(rows)) * met.shape[1]  # of each step, in all of `met`
    met.reshape(-1)[np.repeat(first, sizes.reshape(rows.shape).sum(axis=1)) + ids] = True
    return max((int(np.count_nonzero(row)) for row in met), default=0) + 2


def _shuffled(count: int, *key: int) -> np.ndarray:
    """Return 0..count-1 in an order that depends on the key alone.

    NumPy promises raw bits for all versions, but not the order that `Generator.permutation` makes of them.
    """
    return np.argsort(np.random.PCG64(list(key)).random_raw(count), kind="stable")


def _blocks(
    lengths: Int[np.ndarray, " texts"],
    order: Int[np.ndarray, " texts"],
    b: int,
    shapes: Sequence[int] | None,
    together: int,
) -> list[Block]:
    """Cut texts in this order, but the longest bucket first, into batches, and these into blocks."""
    shapes = sorted(buckets(lengths) if shapes is None else shapes)
    if len(lengths) and lengths.max() > shapes[-1]:
        raise ValueError(
            f"A text of {lengths.max()} tokens fits in none of the buckets {tuple(shapes)}:"
            " choose them from the lengths of all splits."
        )
    bucket = np.searchsorted(np.asarray(shapes), lengths)
    rows = np.full(-(-len(order) // b) * b, -1, np.int32)
    rows[: len(order)] = order[np.argsort(-bucket[order], kind="stable")]
    rows = rows.reshape(-1, b)
    blocks = []
    for k, n in enumerate(shapes):
        in_bucket = rows[bucket[rows[:, 0]] == k]
        blocks += [Block(n, in_bucket[i : i + together]) for i in range(0, len(in_bucket), together)]
    return blocks


def _check_batch(b: int, together: int) -> None:
    """Raise a ValueError unless a batch and a block can hold something."""
    if b < 1 or together < 1:
        raise ValueError(f"A batch needs at least one row and a block one step, got {b} and {together}.")
