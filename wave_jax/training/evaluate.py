"""Exact totals of a network over a split: loss, accuracy, confusion, precision and recall.

Nothing here chooses a split: the test split is read only where a caller hands it over.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from wave_jax.data import batches
from wave_jax.data.batches import Batch, TokenArrays
from wave_jax.data.plan import Plan, buckets, coarse
from wave_jax.data.targets import is_several
from wave_jax.data.tokens import rounded_up
from wave_jax.networks.trace import Network, positions_of
from wave_jax.training import devices
from wave_jax.training.compiled import few
from wave_jax.training.loss import Score, score_of_logits

__all__ = ["Evaluation", "Outputs", "counted", "evaluate", "outputs", "predict", "probabilities"]

_FEWEST = 16  # texts of a batch, so that few texts share compiled programs whatever their number


class Evaluation(NamedTuple):
    """The answers of a network to the labelled texts of a split, counted."""

    score: Score
    """Totals, added up in float64."""
    confusion: np.ndarray
    """(c, c) int64: texts by their label (row) and the class that was answered (column). With several labels
    a text, (c, 2, 2): for each class the texts by whether they have it (row) and got it (column)."""

    @property
    def accuracy(self) -> float:
        """Return the share of texts that were answered with their label; of several, with exactly these."""
        return float(self.score.accuracy)

    @property
    def right(self) -> np.ndarray:
        """Return, for each class, the texts that have it and got it."""
        return self.confusion[:, 1, 1] if self.confusion.ndim == 3 else self.confusion.diagonal()

    @property
    def texts(self) -> np.ndarray:
        """Return, for each class, the texts that have it."""
        return self.confusion[:, 1].sum(axis=1) if self.confusion.ndim == 3 else self.confusion.sum(axis=1)

    @property
    def answers(self) -> np.ndarray:
        """Return, for each class, the texts that got it."""
        return self.confusion[:, :, 1].sum(axis=1) if self.confusion.ndim == 3 else self.confusion.sum(axis=0)

    @property
    def precision(self) -> np.ndarray:
        """Return, for each class, the share of its answers that are right; NaN for a class never answered."""
        return _share(self.right, self.answers)

    @property
    def recall(self) -> np.ndarray:
        """Return, for each class, the share of its texts that are answered with it; NaN without texts.

        >>> Evaluation(Score(1.0, 3, 4), np.array([[1, 1], [0, 2]])).recall.tolist()
        [0.5, 1.0]
        """
        return _share(self.right, self.texts)

    @property
    def f1(self) -> np.ndarray:
        """Return F1 of each class, 2·right / (texts + answers); NaN for a class without both.

        >>> Evaluation(Score(1.0, 3, 4), np.array([[1, 1], [0, 2]])).f1.round(3).tolist()
        [0.667, 0.8]
        """
        return _share(2 * self.right, self.texts + self.answers)

    @property
    def macro_f1(self) -> float:
        """Return the mean F1 of all classes with texts or answers: rare ones count like frequent ones."""
        f1 = self.f1
        return float(f1[~np.isnan(f1)].mean()) if len(f1[~np.isnan(f1)]) else math.nan

    @property
    def micro_f1(self) -> float:
        """Return F1 of all classes together: every answer counts alike.

        >>> Evaluation(Score(1.0, 3, 4), np.array([[[2, 0], [1, 1]], [[1, 1], [0, 2]]])).micro_f1
        0.75
        """
        return float(_share(2 * self.right.sum(), self.texts.sum() + self.answers.sum()))


def _share(part: Any, whole: Any) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


class Outputs(NamedTuple):
    """What a network makes of each text of a split, in the order of the split, beside what is asked for."""

    logits: Float[np.ndarray, "texts c"]
    losses: Float[np.ndarray, " texts"]
    labels: Int[np.ndarray, " texts"]
    """Number of each text's class; -1 if unknown."""
    targets: np.ndarray | None = None
    """As those of `batches.TokenArrays`."""

    def evaluated(self, threshold: float | None = None) -> Evaluation:
        """Compute the totals over all texts with a label.

        Args:
          threshold: with several labels a text, the least probability of a label that is answered; 0.5 if not
            given.
        """
        logits, labels, c = self.logits, self.labels, self.logits.shape[-1]
        real = labels >= 0
        if len(labels) and labels.max() >= c:
            names = f"classes 0..{c - 1}"
            raise ValueError(f"A text has label {labels.max()}, but the network knows the {names}.")
        loss = float(self.losses[real].sum(dtype=np.float64))
        if self.targets is not None and is_several(self.targets):
            least = 0.5 if threshold is None else threshold
            answers = np.asarray(probabilities(logits, True)) >= least
            return counted(answers[real], self.targets[real], loss)
        confusion = np.zeros((c, c), np.int64)
        np.add.at(confusion, (labels[real], logits.argmax(axis=-1)[real]), 1)
        return Evaluation(Score(loss, int(confusion.trace()), int(real.sum())), confusion)


def evaluate(
    network: Network,
    tokens: TokenArrays,
    batch: int = 64,
    mesh: Mesh | None = None,
    threshold: float | None = None,
) -> Evaluation:
    """Compute the totals over all texts with a label; they depend on the batch only through float32 rounding.

    Args:
      network: the network.
      tokens: the split.
      batch: texts of a batch.
      mesh: devices that each batch is sharded over.
      threshold: with several labels a text, the least probability of a label that is answered; 0.5 if not
        given.
    """
    return outputs(network, tokens, batch, mesh).evaluated(threshold)


def counted(
    answers: Bool[np.ndarray, "texts c"], targets: Bool[np.ndarray, "texts c"], loss: float = math.nan
) -> Evaluation:
    """Count answers with several labels a text.

    >>> counted(np.array([[True, False]]), np.array([[True, True]])).recall.tolist()
    [1.0, 0.0]
    """
    kinds = [[~targets & ~answers, ~targets & answers], [targets & ~answers, targets & answers]]
    confusion = np.moveaxis(np.array(kinds).sum(axis=2), 2, 0)
    return Evaluation(Score(loss, int((answers == targets).all(axis=1).sum()), len(targets)), confusion)


def probabilities(logits: Any, several: bool) -> Array:
    """Compute the probability of each class: by softmax, or with several labels a text each for itself.

    >>> probabilities(np.zeros((1, 4)), False).tolist(), probabilities(np.zeros((1, 2)), True).tolist()
    ([[0.25, 0.25, 0.25, 0.25]], [[0.5, 0.5]])
    """
    return jax.nn.sigmoid(logits) if several else jax.nn.softmax(logits)


def predict(network: Network, tokens: TokenArrays, batch: int = 64, mesh: Mesh | None = None) -> np.ndarray:
    """Compute the logits of every text, (texts, c) float32, in the order of the split.

    Args:
      network: the network.
      tokens: the split.
      batch: texts of a batch.
      mesh: devices that each batch is sharded over.
    """
    return outputs(network, tokens, batch, mesh).logits


def outputs(network: Network, tokens: TokenArrays, batch: int = 64, mesh: Mesh | None = None) -> Outputs:
    """Compute logits and loss of every text: all numbers of a split are made of these.

    Args:
      network: the network.
      tokens: the split.
      batch: texts of a batch.
      mesh: devices that each batch is sharded over.
    """
    devices.check_batch(batch, mesh)
    if mesh is None:  # few texts need no batch full of filler
        batch = min(batch, max(_FEWEST, rounded_up(len(tokens.labels), steps=1)))
    c = network.classifier.out_features
    logits, losses = np.zeros((len(tokens.labels), c), np.float32), np.zeros(len(tokens.labels), np.float32)
    made = []
    for n, rows in Plan.of_all(tokens, batch, _lengths(network, tokens)):
        for row in rows:
            there = devices.place(batches.gather(tokens, row, n), mesh)
            made.append((row, _of_batch(network, there, mesh)))
    for row, answers in made:  # after the last is on its way
        real = row >= 0
        logits[row[real]], losses[row[real]] = (np.asarray(answer)[real] for answer in answers)
    targets = None if tokens.targets is None else np.asarray(tokens.targets)
    return Outputs(logits, losses, np.asarray(tokens.labels), targets)


def _lengths(network: Network, tokens: TokenArrays) -> tuple[int, ...]:
    """Choose the lengths to pad to, of few that all splits share."""
    shapes = buckets(tokens.lengths, most=1 + min(5, len(tokens.labels) // 1024), worth=0.05)
    return coarse(shapes, positions_of(network), steps=4)


@few(64, static_argnames=("mesh",))
def _of_batch(network: Network, batch: Batch, mesh: Mesh | None) -> Any:
    batch = devices.shard(batch, mesh)
    logits = network(batch.ids, batch.mask, batch.segments)

    def loss(logits: Array, label: Array, targets: Array | None) -> Array:
        return score_of_logits(logits, label, targets=targets).loss

    return devices.constrain((logits, jax.vmap(loss)(logits, batch.labels, batch.targets)), mesh)
