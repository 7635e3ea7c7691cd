"""What the settings do along a run: to the rate, the weights, and the tokens of each epoch."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wave_jax.data.batches import TokenArrays
from wave_jax.data.plan import Plan, buckets, coarse, distinct
from wave_jax.data.tokens import rounded_up
from wave_jax.networks.layers import Embedding
from wave_jax.networks.trace import Network
from wave_jax.training import adam
from wave_jax.training.config import TrainConfig

__all__ = ["decay", "drop_tokens", "lengths", "most_distinct", "of_a_step", "paces", "rate", "share_dropped"]

_BATCHES_FOR_A_LENGTH = 32  # in an epoch, before one more length pays for its program


@lru_cache(16)
def of_a_step(config: TrainConfig) -> TrainConfig:
    """Return the settings that one step is compiled for; runs that differ in others share it."""
    names = ("weight_decay", "decay_spares", "clip", "smoothing", "dtype")
    return TrainConfig(**{name: getattr(config, name) for name in names})


def rate(config: TrainConfig, step: Any, steps: int) -> np.ndarray:
    """Compute the learning rate of a step, counted from 0, or of many, in a run of `steps`.

    By NumPy: JAX would compile every line anew for every number of steps. Its cosine is its own.

    >>> config = TrainConfig(rate=1.0, warm_up=0.5, schedule="linear")
    >>> [float(rate(config, step, 4)) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    real, warm_up = jnp.result_type(float).type, round(config.warm_up * steps)
    step = np.asarray(step, real)
    rising = np.minimum(real(1), (step + real(1)) / real(max(warm_up, 1)))
    past = np.clip((step - real(warm_up)) / real(max(steps - warm_up, 1)), real(0), real(1))
    falling = {
        "constant": lambda: real(1),
        "linear": lambda: real(1) - past,
        "cosine": lambda: (real(1) + np.asarray(jnp.cos(real(np.pi) * past))) / real(2),
    }
    return np.asarray(real(config.rate) * rising * falling[config.schedule]())


def paces(config: TrainConfig, steps: int) -> adam.Pace:
    """Compute the learning rate of every step of a run, and what idle rows of the table need to know of it.

    >>> paces(TrainConfig(rate=1.0, schedule="linear"), 4).rate.tolist()
    [1.0, 0.75, 0.5, 0.25]
    """
    of_table = 0.0 if config.decay_spares == "embeddings" else config.weight_decay
    return adam.paces(np.asarray(rate(config, np.arange(steps), steps)), of_table)


def decay(network: Network, config: TrainConfig) -> Any:
    """Return the weight decay of every parameter, as a network of numbers."""

    def of(parameter: nnx.Variable) -> Any:
        vector = config.decay_spares != "nothing" and jnp.ndim(parameter[...]) < 2
        table = config.decay_spares == "embeddings" and isinstance(parameter, Embedding)
        return jax.tree.map(lambda _: 0.0 if vector or table else config.weight_decay, parameter)

    return jax.tree.map(of, network, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))


def share_dropped(train: TokenArrays, config: TrainConfig) -> float:
    """Compute the share of tokens that each epoch leaves out: `drop_tokens`, or less if texts are short.

    >>> short = TokenArrays(np.arange(40), np.array([0, 24, 40]), np.array([0, 1]))
    >>> share_dropped(short, TrainConfig(drop_tokens=0.6, keep_tokens=15))
    0.25
    """
    mean = len(train.ids) / max(1, len(train.labels))
    return min(config.drop_tokens, max(0.0, 1 - config.keep_tokens / max(mean, 1.0)))


def drop_tokens(tokens: TokenArrays, share: float, seed: int, epoch: int) -> TokenArrays:
    """Leave out each token but the first, [CLS], with probability `share`.

    The texts get shorter, and training faster. The result is a function of (seed, epoch) alone.

    Args:
      tokens: the texts.
      share: probability of leaving a token out.
      seed: seed of the run.
      epoch: number of the epoch.

    >>> tokens = TokenArrays(np.arange(8), np.array([0, 5, 8]), np.array([0, 1]))
    >>> kept = drop_tokens(tokens, 0.5, seed=0, epoch=0)
    >>> kept.ids.tolist(), kept.offsets.tolist()
    ([0, 2, 3, 4, 5], [0, 4, 5])
    """
    if share == 0:
        return tokens
    total, begin = len(tokens.ids), np.asarray(tokens.offsets)
    raw = np.random.PCG64([seed, epoch, 2]).random_raw(-(-total // 4)).astype("<u8", copy=False)
    kept = raw.view("<u2")[:total] >= round(share * 2**16)
    kept[begin[:-1]] = True
    places = np.flatnonzero(kept)
    offsets = np.searchsorted(places, begin)
    ids, segments = np.asarray(tokens.ids).take(places), tokens.segments
    segments = None if segments is None else _dense(np.asarray(segments).take(places), offsets)
    return tokens._replace(ids=ids, offsets=offsets, segments=segments)


def _dense(segments: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Number sentences without gaps: `wave.encode` needs them below the length of the text."""
    sizes = np.diff(offsets)
    text = np.repeat(np.arange(len(sizes)), sizes)
    _, number = np.unique(text << 16 | segments, return_inverse=True)
    return (number - np.repeat(number[offsets[:-1]], sizes)).astype(segments.dtype)


def lengths(train: TokenArrays, config: TrainConfig, positions: int | None = None) -> tuple[int, ...]:
    """Choose the lengths to pad to: those of one epoch, and the longest text's; the same in every epoch.

    A length costs a program. Few batches are padded to few lengths: to one below 64 batches an epoch. The
    whole longest text's comes on top where tokens are dropped. It is hardly ever needed: the one before it
    covers what dropping leaves of that text.

    Args:
      train: the texts.
      config: the settings.
      positions: number of positions that the network has learned; None if it reads any.
    """
    longest, share = int(train.lengths.max()), share_dropped(train, config)
    most = min(config.lengths, max(1, _paying(train, config)))
    left = longest * (1 - share) + 4 * math.sqrt(longest * share * (1 - share))
    some = drop_tokens(train, share, seed=0, epoch=0).lengths
    *shorter, last = buckets(some, most=most)
    return coarse((*shorter, max(last, min(longest, math.ceil(left))), longest), positions)


def _paying(train: TokenArrays, config: TrainConfig) -> int:
    """Return how many lengths have batches enough in an epoch to pay for their programs."""
    return len(train.labels) // config.batch // _BATCHES_FOR_A_LENGTH


def most_distinct(train: TokenArrays, config: TrainConfig, shapes: Sequence[int]) -> dict[int, int]:
    """Return for each padded length how many distinct tokens a batch is to have room for.

    That is as many as a batch of the first epoch has, and a twentieth more, rounded up; so it depends on the
    texts and the settings alone. Below 64 batches an epoch a program costs more than idle room, and it is
    rounded up coarsely: the folds of a cross-validation share it.
    """
    tokens = drop_tokens(train, share_dropped(train, config), config.seed, epoch=0)
    most: dict[int, int] = {}
    for n, rows in Plan.of_epoch(tokens, config.batch, config.seed, 0, shapes, together=16):
        most[n] = max(most.get(n, 0), distinct(tokens, rows))
    steps = 16 if _paying(train, config) > 1 else 2
    return {n: rounded_up(-(-count * 21 // 20), steps) for n, count in most.items()}
