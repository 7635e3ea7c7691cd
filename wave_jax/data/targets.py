"""What a network is to answer, as a caller has it: labels, sets of them, or a matrix with a column a class.

    read(["up", "down"])                            one label a text
    read([{"up", "new"}, set()])                    several labels a text, also none: sets or lists
    read(np.array([[1, 0], [1, 1]]))                the same as 0 and 1, integers or booleans
    read(np.array([[0.9, 0.1], [0.2, 0.8]]))        soft targets: floats, a row of probabilities a text

Underneath, a matrix of booleans is several labels, and one of float32 is probabilities.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wave_jax.data import labels as label_column
from wave_jax.errors import DataError

__all__ = [
    "Targets",
    "check_texts",
    "checked",
    "columns",
    "is_matrix",
    "is_several",
    "joined",
    "read",
    "rule_of",
    "standing",
]

_EXACT = 1e-3  # how far from one a row of probabilities may add up: float16 adds up no better


class Targets(NamedTuple):
    """Labels of texts, and the classes that they name."""

    classes: list[Any]
    given: Any
    """A list of one label a text, or the matrix: bool for several labels, float32 for probabilities."""
    matrix: bool = False
    """Whether a matrix was given, as which answers are given back."""

    @property
    def several(self) -> bool:
        """Return whether a text has any number of labels."""
        return is_several(self.given)

    @property
    def numbers(self) -> dict[Any, int]:
        """Return the number of each class."""
        return {label: i for i, label in enumerate(self.classes)}

    @property
    def numbered(self) -> Any:
        """Return the labels with numbers for classes: a list, or the matrix."""
        number = self.numbers
        return [number[label] for label in self.given] if isinstance(self.given, list) else self.given

    def check_complete(self, known: Sequence[Any] = ()) -> None:
        """Raise a DataError if a column of a matrix is of a class that no text has, and that is not known."""
        empty = [] if isinstance(self.given, list) else np.flatnonzero(~self.given.any(axis=0))
        if names := [self.classes[column] for column in empty if self.classes[column] not in known]:
            raise DataError(f"No training text has class {names[0]!r}: add one, or leave its column out.")

    def under(self, classes: Sequence[Any]) -> "Targets":
        """Return the same targets under other classes, which have all of these among them.

        >>> Targets(["a", "b"], np.array([[True, False]])).under(["b", "c", "a"]).given.tolist()
        [[False, False, True]]
        """
        wider = self._replace(classes=[*classes])
        if isinstance(self.given, list):
            return wider
        matrix = np.zeros((len(self.given), len(classes)), self.given.dtype)
        matrix[:, [wider.numbers[label] for label in self.classes]] = self.given
        return wider._replace(given=matrix)

    @property
    def each(self) -> list[Any]:
        """Return the label of each text, the likeliest of probabilities; of several labels a set."""
        if isinstance(self.given, list):
            return self.given
        if self.several:
            return [{self.classes[k] for k in np.flatnonzero(row)} for row in self.given]
        return [self.classes[k] for k in self.given.argmax(axis=-1)]


def is_several(targets: Any) -> bool:
    """Return whether these are several labels a text: a matrix of booleans."""
    return targets is not None and getattr(targets, "dtype", None) == np.bool_


def columns(
    texts: Iterable[Any], labels: Any, *, several: bool = False, classes: Any = None, known: Any = None
) -> tuple[list[str], Targets]:
    """Return texts and their targets, of one length.

    Args:
      texts: the texts.
      labels: one label each, several, or a matrix (`read`).
      several: whether a string holds several labels, as a|b.
      classes: names of the columns of a matrix; their numbers if not given.
      known: targets that these are to be like: of the same kind and classes.
    """
    plain = label_column.as_list(texts)
    found = read(labels, several=several, classes=classes)
    if len(plain) != len(found.given):
        raise ValueError(f"There are {len(plain)} texts but {len(found.given)} labels.")
    check_texts(plain)
    return plain, found if known is None else _like(found, known)


def read(labels: Any, *, several: bool = False, classes: Any = None) -> Targets:
    """Return labels of any kind as targets.

    Args:
      labels: one label each, several, or a matrix.
      several: whether a string holds several labels, as a|b.
      classes: names of the columns of a matrix; their numbers if not given.
    """
    if is_matrix(labels):
        return _of_matrix(labels, classes)
    given = label_column.as_list(labels)
    if classes is not None:
        raise ValueError("classes= names the columns of a matrix: leave it out, labels name themselves.")
    if several or any(isinstance(label, set | list) for label in given):
        return _of_sets([_split(label, several, i) for i, label in enumerate(given)])
    given = label_column.checked(given)
    return Targets(label_column.distinct(given), given)


def is_matrix(labels: Any) -> bool:
    """Return whether labels are a matrix: an array or a table of rows and columns."""
    return len(getattr(labels, "shape", ())) == 2 and not hasattr(labels, "column_names")


def _of_matrix(labels: Any, classes: Any) -> Targets:
    """Read a matrix, whose columns may have names."""
    if classes is None:
        classes = getattr(labels, "columns", None)
    for name in ("toarray", "to_numpy"):  # of SciPy's sparse matrices, of tables
        labels = getattr(labels, name)() if hasattr(labels, name) else labels
    matrix = checked(np.asarray(labels))
    names = list(range(matrix.shape[1])) if classes is None else label_column.checked(list(classes))
    if len({*names}) != matrix.shape[1]:
        raise DataError(
            f"There are {matrix.shape[1]} columns of labels but {len({*names})} different classes."
        )
    return Targets(names, matrix, True)


def checked(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as targets: bool for several labels, float32 for probabilities; or raise a DataError.

    >>> checked(np.array([[0, 1], [1, 1]])).dtype, checked(np.array([[0.25, 0.75]])).dtype
    (dtype('bool'), dtype('float32'))
    """
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise DataError(
            f"labels have the shape {matrix.shape}: give a matrix a row for each text and 2 columns or more."
        )
    if matrix.dtype.kind in "biu":
        _refuse(matrix, (matrix != 0) & (matrix != 1), "neither 0 nor 1: give 1 where a text has a label")
        return matrix.astype(bool)
    if matrix.dtype.kind != "f":
        raise DataError("A matrix of labels holds no numbers: give 0 and 1, or probabilities.")
    _refuse(matrix, ~np.isfinite(matrix) | (matrix < 0), "no probability: give finite numbers from 0 to 1")
    total = matrix.sum(axis=1, dtype=np.float64)
    wrong = np.abs(total - 1) > _EXACT
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"labels[{row}] adds up to {total[row]:.4g}: the probabilities of a text add up to 1; for several"
            " labels a text, give integers or booleans."
        )
    return (matrix / total[:, None]).astype(np.float32)


def _refuse(matrix: np.ndarray, wrong: np.ndarray, why: str) -> None:
    """Raise a DataError that names the first wrong entry."""
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        raise DataError(f"labels[{row}], column {column}, is {matrix[row, column]}, {why}.")


def _split(label: Any, several: bool, row: int) -> list[Any]:
    """Return the labels of one text."""
    if several and isinstance(label, str):
        return [part.strip() for part in label.split("|") if part.strip()]
    if not isinstance(label, set | frozenset | list | tuple):
        raise TypeError(
            f"labels[{row}] is {label!r:.60}, where others are sets or lists: give each text a set of labels."
        )
    return list(label)


def joined(labels: Iterable[str]) -> str:
    """Write the labels of one text as a|b, which `read` and the readers of files split again.

    >>> joined(["up", "new"]), joined([])
    ('up|new', '')
    """
    return "|".join(labels)


def _of_sets(given: Sequence[list[Any]]) -> Targets:
    """Turn the labels of each text into a matrix."""
    flat = label_column.checked([label for labels in given for label in labels])
    classes = label_column.distinct(flat)
    places = [row for row, labels in enumerate(given) for _ in labels]
    number, matrix = {label: i for i, label in enumerate(classes)}, np.zeros((len(given), len(classes)), bool)
    matrix[places, [number[label] for label in flat]] = True
    return Targets(classes, matrix)


def _like(found: Targets, known: Targets) -> Targets:
    """Return targets under the classes of others, or raise a ValueError if they are not of their kind."""
    kinds = [getattr(each.given, "dtype", "one label each") for each in (found, known)]
    if kinds[0] != kinds[1] and known.matrix | found.matrix | known.several | found.several:
        raise ValueError("valid has labels of another kind than the training texts: give them alike.")
    if found.matrix:
        if found.given.shape[1] != len(known.classes):
            raise ValueError(
                f"valid has {found.given.shape[1]} columns of labels, and the training texts have"
                f" {len(known.classes)}: give the same ones."
            )
        return known._replace(given=found.given)
    new = next((label for label in found.classes if label not in known.numbers), None)
    if new is not None:
        raise ValueError(f"valid has the label {new!r:.60}, which no training text has: leave its texts out.")
    return found.under(known.classes)


def standing(targets: np.ndarray) -> np.ndarray:
    """Return the one class that stands for each text where only one can: to hold texts out, to choose pairs.

    It is the likeliest one; of several labels the rarest, and the first class where there are none.

    >>> standing(np.array([[1, 1], [1, 0], [0, 0]], bool)).tolist()
    [1, 0, 0]
    """
    if is_several(targets):
        targets = targets / np.maximum(targets.sum(axis=0), 1)
    return targets.argmax(axis=1).astype(np.int32)


def rule_of(weights: Mapping[Any, Any], number: Mapping[Any, int]) -> str | None:
    """Return weights of labels as `TrainConfig.class_weight`, which knows classes by their numbers.

    >>> rule_of({"rare": 3}, {"common": 0, "rare": 1})
    '1=3.0'
    """
    new = next((label for label in weights if label not in number), None)
    if new is not None:
        raise ValueError(f"class_weight has {new!r:.60}, which is none of the labels {list(number)!r:.80}.")
    return ",".join(f"{number[label]}={float(weight)}" for label, weight in weights.items()) or None


def check_texts(texts: list[Any]) -> None:
    """Raise a TypeError unless all of them are strings."""
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}: {text!r:.60}.")
