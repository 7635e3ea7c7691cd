"""Labelled texts of one split, made of rows, and a share of them held out."""

import hashlib
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from jaxtyping import Int32

from wave_jax.data import planted
from wave_jax.data import targets as target_kinds
from wave_jax.data.rows import Rows, is_number, one_each
from wave_jax.errors import DataError

__all__ = ["Split", "hold_out", "infer_classes", "split_of"]


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Texts with their labels, which are numbers of classes.

    `weights` says how much each text counts in the loss. With `targets` a text has more than one label: they
    are the probability of each class, (texts, c) float32, or bool where several labels hold, and `labels`
    names the class that stands for the text (`targets.standing`). A planted split also knows `topics`, the
    labels before its label noise, and `evidence`: for every text the (start, end) character spans of the
    words that carry the topic.

    >>> Split(("good", "bad"), np.array([1, 0], np.int32))
    Split(2 texts)
    """

    texts: tuple[str, ...]
    labels: Int32[np.ndarray, " n"]
    topics: Int32[np.ndarray, " n"] | None = None
    evidence: planted.Spans | None = None
    weights: np.ndarray | None = None
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Split({len(self):,} texts)"

    @cached_property
    def digest(self) -> str:
        """SHA-256 over labels, texts, weights and targets, in their order."""
        sha = hashlib.sha256(self.labels.astype("<i4").tobytes())
        for text in self.texts:
            raw = text.encode()
            sha.update(len(raw).to_bytes(8, "little") + raw)
        if self.weights is not None:
            sha.update(self.weights.astype("<f8").tobytes())
        if self.targets is not None:
            sha.update(self.targets.astype("?" if target_kinds.is_several(self.targets) else "<f4").tobytes())
        return sha.hexdigest()

    @property
    def asked(self) -> np.ndarray:
        """Return the answers that are asked for: the targets, or the labels where there are none."""
        return self.labels if self.targets is None else self.targets

    def take(self, rows: Sequence[int] | np.ndarray) -> "Split":
        """Return the split of these rows, in this order.

        >>> Split(("good", "bad"), np.array([1, 0], np.int32)).take([1]).texts
        ('bad',)
        """
        at = np.asarray(rows, int)
        return Split(
            tuple(self.texts[i] for i in at),
            self.labels[at],
            None if self.topics is None else self.topics[at],
            None if self.evidence is None else tuple(self.evidence[i] for i in at),
            None if self.weights is None else self.weights[at],
            None if self.targets is None else self.targets[at],
        )

    def under(self, numbers: np.ndarray, c: int) -> "Split":
        """Return the same texts under other numbers of classes.

        Args:
          numbers: the new number of each class.
          c: how many classes there are then.

        >>> Split(("good", "bad"), np.array([1, 0], np.int32)).under(np.array([2, 0], np.int32), 3).labels
        array([0, 2], dtype=int32)
        """
        targets = self.targets
        if targets is not None:
            targets = np.zeros((len(self), c), targets.dtype)
            targets[:, numbers] = self.targets
        topics = None if self.topics is None else numbers[self.topics]
        return replace(self, labels=numbers[self.labels], topics=topics, targets=targets)

    @classmethod
    def of_matrix(
        cls, texts: Sequence[str], matrix: np.ndarray, weights: np.ndarray | None = None
    ) -> "Split":
        """Return texts with a matrix as targets (`targets.checked`).

        >>> Split.of_matrix(["x", "y"], np.array([[False, True], [True, True]])).labels.tolist()
        [1, 0]
        """
        return cls(tuple(texts), target_kinds.standing(matrix), weights=weights, targets=matrix)


def hold_out(split: Split, share: float = 0.2, seed: int = 0) -> tuple[Split, Split]:
    """Train and validation: of every class the `share` whose texts hash lowest, the rest to train.

    The hash is BLAKE2b of the text, keyed by the seed: the hold_out hangs neither on the order of the rows
    nor on the machine or a library's random numbers. A class of two texts or more has at least one on
    either side; a single one stays in train. A share of 0 holds nothing out.

    >>> train, valid = hold_out(Split(tuple("abcde"), np.zeros(5, np.int32)))
    >>> len(train), len(valid)
    (4, 1)
    """
    if not 0 <= share < 1:
        raise DataError(f"The share of validation texts must be 0 or lie between 0 and 1, not be {share}.")
    if share == 0:
        return split, split.take([])
    keyed = partial(hashlib.blake2b, digest_size=8, key=f"valid {seed}".encode())
    numbers = [int.from_bytes(keyed(text.encode()).digest(), "big") for text in split.texts]
    order = np.argsort(np.array(numbers, np.uint64), kind="stable")
    held = np.zeros(len(split), bool)
    for label in np.unique(split.labels):
        rows = order[split.labels[order] == label]
        held[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    if not held.any():
        raise DataError(
            "No class has two texts, so none can go to validation: give more texts, or train on all of"
            " them (valid=0)."
        )
    return split.take(np.flatnonzero(~held)), split.take(np.flatnonzero(held))


def infer_classes(rows: Rows) -> tuple[str, ...]:
    """Return the classes that the labels name: themselves, sorted; integers by their size.

    Without a header they are all integers from 1 up to the largest.
    """
    rows = one_each(rows)[0] if rows.columns.several else rows
    numbers = [is_number(value) for value in rows.values]
    if any(numbers) != all(numbers):
        odd = numbers.index(not numbers[0])
        raise DataError(
            f"{rows.where(odd)}: label {rows.values[odd]!r:.60} beside {rows.values[0]!r:.60}: use integers"
            " or names throughout, or list all names in labels.txt (classes= in memory)."
        )
    if not all(numbers):
        return tuple(sorted(set(rows.values)))
    found = sorted({int(value) for value in rows.values})
    if not rows.first:
        return tuple(map(str, found))
    gap = next(k for k in itertools.count(rows.first) if k not in found)
    if gap <= found[-1]:
        raise DataError(
            f"{rows.source}: no row has label {gap} but one has {found[-1]}: without a header, labels count"
            f" from {rows.first} without gaps; renumber them, or begin with the header `label,text`."
        )
    return tuple(str(k) for k in range(rows.first, gap))


def split_of(rows: Rows, classes: tuple[str, ...], needed: Collection[str] = ()) -> Split:
    """Turn rows into a split; a label outside the classes is an error, as is a needed one without a row."""
    if not rows.columns.several:
        return Split(tuple(rows.texts), _numbers(rows, classes, needed), weights=rows.weights)
    labels, places = one_each(rows)
    matrix = np.zeros((len(rows.texts), len(classes)), bool)
    matrix[places, _numbers(labels, classes, needed)] = True
    return Split.of_matrix(rows.texts, matrix, rows.weights)


def _numbers(rows: Rows, classes: tuple[str, ...], needed: Collection[str]) -> np.ndarray:
    """Return the number of each row's label."""
    numbers = {str(i + rows.first): i for i in range(len(classes))}
    names = {name: i for i, name in enumerate(classes)}
    # Without a header labels are integers; where a name looks like an integer, labels are names.
    lookup = numbers if rows.first else names if any(map(is_number, classes)) else numbers | names
    labels = np.array([lookup.get(value, -1) for value in rows.values], np.int32)
    if (labels < 0).any():
        row = int(np.argmax(labels < 0))
        known = ", ".join(list(numbers if rows.first else names)[:20])
        raise DataError(
            f"{rows.where(row)}: label {rows.values[row]!r:.60} is outside the {len(classes)} classes"
            f" ({known}): correct it, or add its class to labels.txt and to train."
        )
    present = {*labels.tolist()}
    absent = [name for i, name in enumerate(classes) if i not in present and name in needed]
    if absent:
        raise DataError(
            f"{rows.source}: no row of class {absent[0]!r}: add rows of it, or make the classes of"
            " all splits and of labels.txt (classes= in memory) equal."
        )
    return labels
