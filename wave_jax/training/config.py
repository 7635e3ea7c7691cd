"""How a network is trained: the settings of a run, and what they do to its rate, its weights and its texts.

All of it are functions of the settings and of the step or epoch, so that a run can go on from anywhere.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from wave_jax.data import batches
from wave_jax.data.batches import TokenArrays
from wave_jax.errors import check_choices, check_setting
from wave_jax.networks.layers import Embedding, Network

__all__ = [
    "PAPER",
    "PAPER_BERT",
    "TrainConfig",
    "decay",
    "drop_tokens",
    "lengths",
    "of_a_step",
    "rate",
    "share_dropped",
]


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training run. Presets: PAPER, PAPER_BERT."""

    epochs: int = 4
    """How often every text is seen."""
    steps: int | None = None
    """Batches in all; where given, it overrules epochs."""
    batch: int = 64
    """Texts of a step."""
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
    drop_tokens: float = 0.0
    """Share of the tokens of a text, but never [CLS], that each epoch leaves out at random."""
    keep_tokens: int = 0
    """But a text of mean length keeps so many at least: of short texts fewer are left out."""
    lengths: int = 4
    """Lengths at most that batches are padded to: fewer leave more padding, and fewer programs to compile."""
    patience: int | None = None
    """Epochs without a better validation accuracy after which training stops."""
    keep: Literal["best", "last"] = "best"
    """Which network stays: that of the best validation accuracy, or the last, for a rate that falls to 0."""
    seed: int = 0
    """Of the order of texts, of dropout and of dropped tokens."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What linear maps compute in; parameters, waves and the optimizer stay float32."""

    def __post_init__(self):
        check_choices(self)
        check_setting("epochs", self.epochs, self.epochs >= 1, "at least 1")
        check_setting("steps", self.steps, self.steps is None or self.steps >= 1, "None or at least 1")
        check_setting("batch", self.batch, self.batch >= 1, "at least 1")
        check_setting("rate", self.rate, 0 < self.rate < math.inf, "above 0 and finite")
        check_setting("warm_up", self.warm_up, 0 <= self.warm_up < 1, "at least 0 and below 1")
        finite = 0 <= self.weight_decay < math.inf
        check_setting("weight_decay", self.weight_decay, finite, "at least 0 and finite")
        check_setting("clip", self.clip, self.clip is None or self.clip > 0, "None or above 0")
        check_setting("smoothing", self.smoothing, 0 <= self.smoothing < 1, "at least 0 and below 1")
        check_setting("drop_tokens", self.drop_tokens, 0 <= self.drop_tokens < 1, "at least 0 and below 1")
        check_setting("keep_tokens", self.keep_tokens, self.keep_tokens >= 0, "at least 0")
        check_setting("lengths", self.lengths, self.lengths >= 1, "at least 1")
        patient = self.patience is None or self.patience >= 1
        check_setting("patience", self.patience, patient, "None or at least 1")
        check_setting("keep", self.keep, self.keep == "best" or not self.patience, "best, with patience")
        check_setting("seed", self.seed, 0 <= self.seed < 2**32, "in 0..2³²-1")

    def steps_for(self, texts: int) -> int:
        """Steps of a whole run over so many texts.

        >>> PAPER.steps_for(100)
        8
        """
        return self.steps or self.epochs * -(-texts // self.batch)


PAPER = TrainConfig()
PAPER_BERT = TrainConfig(rate=2e-5, batch=32)


def of_a_step(config: TrainConfig) -> TrainConfig:
    """The settings that one step is compiled for: runs that differ in others, as in their seed, share it."""
    names = ("weight_decay", "decay_spares", "clip", "smoothing", "dtype")
    return TrainConfig(**{name: getattr(config, name) for name in names})


def rate(config: TrainConfig, step: Any, steps: int) -> Array:
    """The learning rate of a step, counted from 0, in a run of `steps`.

    >>> config = TrainConfig(rate=1.0, warm_up=0.5, schedule="linear")
    >>> [float(rate(config, step, 4)) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warm_up = round(config.warm_up * steps)
    rising = jnp.minimum(1.0, (step + 1) / max(warm_up, 1))
    past = jnp.clip((step - warm_up) / max(steps - warm_up, 1), 0.0, 1.0)
    falling = {"constant": 1.0, "linear": 1 - past, "cosine": (1 + jnp.cos(jnp.pi * past)) / 2}
    return config.rate * rising * falling[config.schedule]


def decay(network: Network, config: TrainConfig) -> Any:
    """The weight decay of every parameter, as a network of numbers."""

    def of(parameter: nnx.Variable) -> Any:
        vector = config.decay_spares != "nothing" and jnp.ndim(parameter[...]) < 2
        table = config.decay_spares == "embeddings" and isinstance(parameter, Embedding)
        return jax.tree.map(lambda _: 0.0 if vector or table else config.weight_decay, parameter)

    return jax.tree.map(of, network, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))


def share_dropped(train: TokenArrays, config: TrainConfig) -> float:
    """The share of tokens that each epoch leaves out: `drop_tokens`, or less where texts are short.

    >>> short = TokenArrays(np.arange(40), np.array([0, 24, 40]), np.array([0, 1]))
    >>> share_dropped(short, TrainConfig(drop_tokens=0.6, keep_tokens=15))
    0.25
    """
    mean = len(train.ids) / max(1, len(train.labels))
    return min(config.drop_tokens, max(0.0, 1 - config.keep_tokens / max(mean, 1.0)))


def drop_tokens(tokens: TokenArrays, share: float, seed: int, epoch: int) -> TokenArrays:
    """The texts with each token but the first, [CLS], left out with probability `share`.

    The texts get shorter, and training faster. A function of (seed, epoch) alone.

    >>> tokens = TokenArrays(np.arange(8), np.array([0, 5, 8]), np.array([0, 1]))
    >>> kept = drop_tokens(tokens, 0.5, seed=0, epoch=0)
    >>> kept.ids.tolist(), kept.offsets.tolist()
    ([0, 2, 3, 4, 5], [0, 4, 5])
    """
    if share == 0:
        return tokens
    total = len(tokens.ids)
    raw = np.random.PCG64([seed, epoch, 2]).random_raw(-(-total // 4)).astype("<u8").view("<u2")[:total]
    kept = raw >= round(share * 2**16)
    kept[np.asarray(tokens.offsets)[:-1]] = True
    offsets = np.concatenate([[0], np.cumsum(kept)])[tokens.offsets]
    segments = None if tokens.segments is None else _dense(np.asarray(tokens.segments)[kept], offsets)
    return tokens._replace(ids=np.asarray(tokens.ids)[kept], offsets=offsets, segments=segments)


def _dense(segments: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sentence numbers without gaps: `wave.encode` wants them below the length of the text."""
    sizes = np.diff(offsets)
    text = np.repeat(np.arange(len(sizes)), sizes)
    _, number = np.unique(text << 16 | segments, return_inverse=True)
    return (number - np.repeat(number[offsets[:-1]], sizes)).astype(segments.dtype)


def lengths(train: TokenArrays, config: TrainConfig) -> tuple[int, ...]:
    """The lengths to pad to, the same in every epoch and for every seed: those of one epoch, and the longest
    text's."""
    some = drop_tokens(train, share_dropped(train, config), seed=0, epoch=0)
    longest = batches.buckets(train.lengths, most=1)
    return tuple(sorted({*batches.buckets(some.lengths, most=config.lengths), *longest}))
