"""How a network is trained: the settings of a run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wave_jax.errors import check_choices, check_setting

__all__ = ["PAPER", "PAPER_BERT", "TrainConfig"]

_LEAST_EPOCHS, _STEPS_FOR_A_CLASS = 6, 50  # chosen on folds of training texts: docs/small.md


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training run. Presets: PAPER, PAPER_BERT."""

    epochs: int | None = 4
    """How often each text is read; None for as often as its corpus asks for (`epochs_for`)."""
    steps: int | None = None
    """Batches in all; if given, it overrides epochs."""
    batch: int = 64
    """Texts per step."""
    rate: float = 1e-3
    """Peak learning rate of Adam."""
    warm_up: float = 0.0
    """Share of all steps in which the rate rises to its peak."""
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """How the rate falls after its peak; cosine and linear end at 0."""
    weight_decay: float = 0.0
    """Pull of every parameter to 0, times the rate (AdamW)."""
    decay_spares: Literal["nothing", "vectors", "embeddings"] = "vectors"
    """What weight decay leaves alone: biases and norms (vectors), or these and the embedding tables."""
    clip: float | None = None
    """Largest norm of the gradient of all parameters; a longer one is scaled down."""
    smoothing: float = 0.0
    """Share of the target that label smoothing spreads over all classes."""
    class_weight: str | None = None
    """Weight of each class in the loss: balanced, or by name as rare=3,common=0.5; others count 1."""
    labels: Literal["several"] | None = None
    """Several: any number of labels a text, in strings with bars between, each of its own probability."""
    drop_tokens: float = 0.0
    """Share of the tokens of a text, but never [CLS], that each epoch leaves out at random."""
    keep_tokens: int = 0
    """Lower bound on the tokens that a text of average length keeps; corpora of short texts drop fewer."""
    lengths: int = 4
    """Maximum number of padded lengths: fewer leave more padding and fewer programs to compile."""
    patience: int | None = None
    """Epochs without a better validation accuracy after which training stops."""
    keep: Literal["best", "last"] = "best"
    """Network that the run keeps: the one of the best validation accuracy, or the last one."""
    seed: int = 0
    """Seed of the order of texts, of dropout and of dropped tokens."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type that linear maps compute in; parameters, waves and the optimizer stay float32."""

    def __post_init__(self):
        check_choices(self)
        check_setting("epochs", self.epochs, self.epochs is None or self.epochs >= 1, "None or at least 1")
        check_setting("steps", self.steps, self.steps is None or self.steps >= 1, "None or at least 1")
        check_setting("batch", self.batch, self.batch >= 1, "at least 1")
        check_setting("rate", self.rate, 0 < self.rate < math.inf, "above 0 and finite")
        check_setting("warm_up", self.warm_up, 0 <= self.warm_up < 1, "at least 0 and below 1")
        small = 0 <= self.weight_decay < 1 / self.rate
        check_setting("weight_decay", self.weight_decay, small, "at least 0 and below 1 / rate")
        check_setting("clip", self.clip, self.clip is None or self.clip > 0, "None or above 0")
        check_setting("smoothing", self.smoothing, 0 <= self.smoothing < 1, "at least 0 and below 1")
        check_setting("drop_tokens", self.drop_tokens, 0 <= self.drop_tokens < 1, "at least 0 and below 1")
        check_setting("keep_tokens", self.keep_tokens, self.keep_tokens >= 0, "at least 0")
        check_setting("lengths", self.lengths, self.lengths >= 1, "at least 1")
        patient = self.patience is None or self.patience >= 1
        check_setting("patience", self.patience, patient, "None or at least 1")
        check_setting("keep", self.keep, self.keep == "best" or not self.patience, "best, with patience")
        check_setting("seed", self.seed, 0 <= self.seed < 2**32, "in 0..2³²-1")

    def epochs_for(self, labels: Sequence[int] | np.ndarray) -> int:
        """Return how often a run reads each text: `epochs`, or if None max(6, ⌈50·c / ⌈texts / batch⌉⌉).

        A network needs steps for every class, so a small corpus, or one of many classes, is read more often.

        Args:
          labels: number of the class of each training text, or a matrix with a column a class.

        >>> TrainConfig(epochs=None).epochs_for([0, 1] * 16_000), TrainConfig(epochs=None).epochs_for([0, 1])
        (6, 100)
        """
        if self.epochs is not None:
            return self.epochs
        return max(_LEAST_EPOCHS, -(-_steps_enough(labels) // self._per_epoch(labels)))

    def steps_for(self, labels: Sequence[int] | np.ndarray) -> int:
        """Return the number of steps of a whole run over texts with these labels.

        >>> PAPER.steps_for([0, 1] * 50)
        8
        """
        return self.steps or self.epochs_for(labels) * self._per_epoch(labels)

    def starves(self, labels: Sequence[int] | np.ndarray) -> str | None:
        """Return a sentence if a run over texts with these labels has few steps for its classes, else None.

        >>> TrainConfig(epochs=6).starves([0, 1] * 100)
        'epochs=6 means 24 steps, few for 2 classes: give 25 or more, or None.'
        """
        steps, enough = self.steps_for(labels), _steps_enough(labels)
        if steps >= enough:
            return None
        asked = "" if self.steps else f"epochs={self.epochs} means "
        least = enough if self.steps else -(-enough // self._per_epoch(labels))
        few = f"{asked}{steps:,} steps, few for {enough // _STEPS_FOR_A_CLASS} classes"
        return f"{few}: give {least:,} or more, or None."

    def _per_epoch(self, labels: Sequence[int] | np.ndarray) -> int:
        return max(1, -(-len(labels) // self.batch))


def _steps_enough(labels: Sequence[int] | np.ndarray) -> int:
    """Return how many steps the classes of these labels need."""
    c = np.shape(labels)[1] if np.ndim(labels) == 2 else int(np.max(labels, initial=0)) + 1
    return _STEPS_FOR_A_CLASS * c


PAPER = TrainConfig()
PAPER_BERT = TrainConfig(rate=2e-5, batch=32)
