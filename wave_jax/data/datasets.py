"""Texts and labels from a name, a file, a folder of files or memory, as one `Dataset`.

A `Dataset` has its train and validation splits at hand; the test split is read, checked and hashed
by nobody until somebody asks for `dataset.test`.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wave_jax.data import folders, planted, published
from wave_jax.data.columns import read
from wave_jax.data.labels import as_list
from wave_jax.data.rows import FIND, Columns, Rows, class_names
from wave_jax.data.splits import Split, hold_out, infer_classes, split_of
from wave_jax.data.targets import Targets
from wave_jax.errors import DataError

__all__ = ["NAMES", "Dataset", "labelled", "load", "origin_of"]

NAMES = (*published.CORPORA, "planted")

Column = Any  # of texts or labels in memory: a list, an array, a column of a table; checked one by one


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A corpus of labelled texts in three splits; the test split is read when first asked for.

    >>> Dataset.from_texts(["up", "rise", "down", "fall"], ["+", "+", "-", "-"])
    Dataset('texts', 2 classes, train 2, valid 2)
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    valid: Split
    read_test: Callable[[], Split] | None = None

    def __repr__(self) -> str:
        sizes = f"{len(self.classes)} classes, train {len(self.train):,}, valid {len(self.valid):,}"
        return f"Dataset({self.name!r}, {sizes})"

    @property
    def has_test(self) -> bool:
        """Return whether there is a test split."""
        return self.read_test is not None

    @cached_property
    def test(self) -> Split:
        """Return the test split; it is read when first asked for."""
        if self.read_test is None:
            raise DataError(f"{self.name} has no test split: put test.csv into its folder, or give test=.")
        return self.read_test()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over class names, train and validation; the test split stays untouched."""
        parts = (*self.classes, "", self.train.digest, self.valid.digest)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def under(self, known: Sequence[str]) -> "Dataset":
        """Return the same texts with the known classes first, also those without texts, then the others.

        >>> Dataset.from_texts(["up", "flat"], ["+", "="], valid=(["up"], ["+"])).under(["-", "="]).classes
        ('-', '=', '+')
        """
        classes = (*known, *(name for name in self.classes if name not in known))
        if classes == self.classes:
            return self
        numbers = np.array([classes.index(name) for name in self.classes], np.int32)

        def renumbered(split: Split) -> Split:
            return split.under(numbers, len(classes))

        read = self.read_test
        test = None if read is None else lambda: renumbered(read())
        return Dataset(self.name, classes, renumbered(self.train), renumbered(self.valid), test)

    @classmethod
    def from_texts(
        cls,
        texts: Column,
        labels: Column,
        *,
        test: tuple[Column, Column] | None = None,
        valid: tuple[Column, Column] | None = None,
        classes: Sequence[str] | None = None,
        known: Sequence[str] = (),
        weights: np.ndarray | None = None,
        seed: int = 0,
        share: float = 0.2,
    ) -> "Dataset":
        """Make a data set of texts in memory; a label is an integer from 0 or the name of a class.

        All labels together may be a matrix with a column a class: bool for several labels a text, float32 for
        probabilities (`targets.checked`).

        Args:
          texts: training texts.
          labels: their labels.
          test: (texts, labels) of the test split.
          valid: (texts, labels) for validation; without them `hold_out` takes a share of the training texts.
          classes: names of the classes; the labels' own if not given.
          known: classes of a network that is trained on: they come first, and need no text.
          weights: how much each training text counts in the loss (`weights.checked`); all alike if not given.
          seed: seed of the held-out share.
          share: share of the training texts that is held out; 0 trains on all of them.

        >>> Dataset.from_texts(["a", "b"], [1, 0], valid=(["c"], [0]), classes=["no", "yes"]).classes
        ('no', 'yes')
        """
        if isinstance(labels, np.ndarray) and labels.ndim == 2:
            names = class_names([str(c) for c in classes or range(labels.shape[1])], "classes")
            return _of_matrices(names, (texts, labels), valid, test, known, weights, share, seed)
        train = _in_memory("train", texts, labels)._replace(weights=weights)
        dev = valid and _in_memory("valid", *valid)
        read_test = test and partial(_in_memory, "test", *test)
        names = None if classes is None else class_names([str(c) for c in classes], "classes")
        return _dataset("texts", names, train, dev, read_test, share, seed, known)


def origin_of(data: str) -> dict[str, Any]:
    """Return the arguments of `load` for a name, a file or a folder, from wherever they are used.

    >>> origin_of("planted")
    {'name_or_folder': 'planted'}
    """
    return {"name_or_folder": data if data in NAMES else str(Path(data).absolute())}


def load(
    name_or_folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    valid: float | str | os.PathLike[str] = 0.2,
    text_column: str | None = None,
    label_column: str | None = None,
    labels: Literal["several"] | None = None,
    known: Sequence[str] = (),
    data_dir: str | os.PathLike[str] | None = None,
    size: int | None = None,
) -> Dataset:
    """Load a data set by its name (one of `NAMES`), from a file, or from a folder of files.

    Args:
      name_or_folder: the name, the file or the folder.
      seed: seed of the planted corpus, and of the held-out share.
      valid: share of the training texts that is held out for validation if the source has no texts for it,
        or a file of validation texts; 0 trains on all texts.
      text_column: name of the column of texts; found by its usual names if not given.
      label_column: name of the column of labels; found by its usual names if not given.
      labels: several if a text has any number of labels, as a|b or as a list; the planted corpus then has two
        topics a text.
      known: classes of a network that is trained on: they come first, and need no text.
      data_dir: folder of downloads; $WAVE_JAX_DATA or a cache folder if not given.
      size: number of planted training texts.

    >>> load("planted", size=100)
    Dataset('planted', 4 classes, train 100, valid 20)
    """
    named = Columns(text_column, label_column, labels == "several")
    name = os.fspath(name_or_folder)
    if name == "planted":
        return _planted(seed, planted.SIZE if size is None else size, named.several).under(known)
    if size is not None:
        raise DataError(f"size={size} is for the planted corpus only: leave it out for {name!r}.")
    dev = None if isinstance(valid, int | float) else read(Path(valid), named)
    share = valid if isinstance(valid, int | float) else 0.0
    if name in published.CORPORA and named.several:
        raise DataError(f"Texts of {name} have one label each: leave several labels out, or name a file.")
    if name in published.CORPORA:
        corpus = published.prepare(name, published.data_folder(data_dir))
        train, read_test = corpus.read("train"), partial(corpus.read, "test")
        return _dataset(name, corpus.classes, train, dev, read_test, share, seed, known)
    path = Path(name)
    if name and path.is_file():
        return _dataset(path.name, None, read(path, named), dev, None, share, seed, known)
    if not name or not path.is_dir():
        raise DataError(f"{name!r} is neither a file or a folder of texts nor one of {', '.join(NAMES)}.")
    return _from_folder(path, dev, named, share, seed, known)


def labelled(
    path: str | os.PathLike[str],
    classes: Sequence[str],
    *,
    columns: Columns = FIND,
) -> Split:
    """Read the labelled texts of one file, whose labels are among these classes.

    Args:
      path: the file.
      classes: names of the classes, in the order of their numbers.
      columns: names of its columns, found by their usual names if not given; and whether a text has several
        labels.
    """
    return split_of(read(Path(path), columns), tuple(classes))


def _planted(seed: int, size: int, several: bool) -> Dataset:
    """Draw the planted corpus: its splits are drawn apart, the test split when it is asked for."""
    if size < 1:
        raise DataError(f"The planted corpus needs at least 1 training text, not size={size}.")

    def draw(part: planted.Part) -> Split:
        count = size if part == "train" else max(1, size // 5)
        if several:
            pairs = planted.pairs(seed, part, count)
            return Split.of_matrix(pairs.texts, pairs.labels)
        drawn = planted.generate(seed, part, count)
        return Split(drawn.texts, drawn.labels, drawn.topics, drawn.evidence)

    return Dataset("planted", planted.CLASSES, draw("train"), draw("valid"), partial(draw, "test"))


def _from_folder(
    folder: Path, dev: Rows | None, named: Columns, share: float, seed: int, known: Sequence[str]
) -> Dataset:
    """Read the data set of a folder: its training texts and, if they exist, the others and class names."""
    files = {part: folders.split_files(folder, part) for part in folders.NAMES}
    if not files["train"]:
        raise DataError(
            f"{folder} holds no training texts: put them there as train.csv (or .tsv, .jsonl, .parquet,"
            " .txt), or name their file."
        )
    train = folders.read_split(files["train"], named)
    if dev is None and files["valid"]:
        dev = folders.read_split(files["valid"], named)
    read_test = partial(folders.read_split, files["test"], named) if files["test"] else None
    name, names = folder.resolve().name, folders.folder_classes(folder)
    return _dataset(name, names, train, dev, read_test, share, seed, known)


def _in_memory(part: str, texts: Column, labels: Column) -> Rows:
    """Check texts and labels of a caller one by one, and return them as rows."""
    if isinstance(texts, str) or len(texts) != len(labels) or len(texts) == 0:
        raise DataError(f"{part}: {len(texts)} texts and {len(labels)} labels; give lists of equal length.")
    plain, values = as_list(texts), as_list(labels)
    for row, (text, label) in enumerate(zip(plain, values, strict=True)):
        if not isinstance(text, str) or text.encode(errors="ignore").decode() != text:
            raise DataError(f"{part}, text {row} is no text that UTF-8 can hold: give decoded strings.")
        if label == "" or isinstance(label, bool) or not isinstance(label, int | str | np.integer):
            raise DataError(
                f"{part}, label {row} is {label!r:.60}: give integers from 0 or names of classes."
            )
    return Rows(plain, [str(label) for label in values], lambda row: f"{part}, row {row}", f"{part} split")


def _of_matrices(
    classes: tuple[str, ...],
    train: tuple[Column, np.ndarray],
    valid: tuple[Column, np.ndarray] | None,
    test: tuple[Column, np.ndarray] | None,
    known: Sequence[str],
    weights: np.ndarray | None,
    share: float,
    seed: int,
) -> Dataset:
    """Make a data set whose labels are matrices."""

    def split(part: str, texts: Column, matrix: np.ndarray, weights: np.ndarray | None = None) -> Split:
        return Split.of_matrix(_in_memory(part, texts, [0] * len(matrix)).texts, matrix, weights)

    whole = split("train", *train, weights)
    Targets(list(classes), train[1]).check_complete(known)
    parts = hold_out(whole, share, seed) if valid is None else (whole, split("valid", *valid))
    return Dataset("texts", classes, *parts, test and partial(split, "test", *test)).under(known)


def _dataset(
    name: str,
    names: tuple[str, ...] | None,
    train: Rows,
    dev: Rows | None,
    read_test: Callable[[], Rows] | None,
    share: float,
    seed: int,
    known: Sequence[str] = (),
) -> Dataset:
    """Turn rows into splits; without given names the training labels say what classes there are."""
    classes = infer_classes(train) if names is None else names
    needed = {*classes} - {*known}
    classes = (*classes, *(name for name in known if name not in classes))

    def test() -> Split:
        assert read_test is not None
        return split_of(read_test(), classes)

    whole = split_of(train, classes, needed)
    parts = hold_out(whole, share, seed) if dev is None else (whole, split_of(dev, classes))
    return Dataset(name, classes, *parts, test if read_test else None).under(known)
