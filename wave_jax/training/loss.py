"""Loss and accuracy of (network, batch) as pure functions.

A label of -1 marks filler: a row that makes a batch full and counts nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from wave_jax.data.batches import Batch
from wave_jax.networks.trace import Network

__all__ = ["Score", "loss", "score", "score_of_logits"]


class Score(NamedTuple):
    """Sums over texts: scores of batches add up to the score of a split, exactly."""

    loss: Any
    """Sum of the texts' losses, in nats."""
    correct: Any
    """Texts whose largest logit is the label's."""
    count: Any
    """Texts that are no filler."""

    def __add__(self, other: "Score") -> "Score":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Add up two scores.

        >>> Score(1.0, 2, 4) + Score(2.0, 1, 2)
        Score(loss=3.0, correct=3, count=6)
        """
        return Score(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def mean_loss(self) -> Any:
        """The mean of the texts' losses."""
        return self.loss / jnp.maximum(self.count, 1)

    @property
    def accuracy(self) -> Any:
        """The share of texts whose largest logit is the label's."""
        return self.correct / jnp.maximum(self.count, 1)


def score_of_logits(
    logits: Float[Array, "*batch c"],
    labels: Int[Array, "*batch"],
    smoothing: Real[Array, ""] | float = 0.0,
    weights: Float[Array, "*batch"] | None = None,
) -> Score:
    """Score logits by their cross entropy -Σ_k q_k·log p_k.

    The target is q = (1 - smoothing)·onehot(label) + smoothing / c. With weights, each text's loss counts by
    its own.

    Args:
      logits: the logits.
      labels: number of each text's class; -1 for filler.
      smoothing: share of the target that is spread over all classes.
      weights: how much each loss counts.

    >>> score_of_logits(jnp.zeros((1, 2)), jnp.array([0])).mean_loss.round(3)
    Array(0.693, dtype=float32)
    """
    real = labels >= 0
    log_p = jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)))
    of_label = jnp.take_along_axis(log_p, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    losses = -(1 - smoothing) * of_label - smoothing * jnp.mean(log_p, axis=-1)
    losses = losses if weights is None else weights * losses
    return Score(
        loss=jnp.sum(jnp.where(real, losses, jnp.zeros_like(losses))),
        correct=jnp.sum(real & (jnp.argmax(logits, axis=-1) == labels), dtype=jnp.int32),
        count=jnp.sum(real, dtype=jnp.int32),
    )


def score(network: Network, batch: Batch, key: PRNGKeyArray | None = None, smoothing: float = 0.0) -> Score:
    """Score a network on a batch; with a key, as in training.

    In training each voice of an ensemble learns the labels by itself: the loss is the mean of the voices'
    losses.

    Args:
      network: the network.
      batch: the texts; rows of label -1 count nothing.
      key: key of dropout; none means evaluation.
      smoothing: share of the target that is spread over all classes.
    """
    inputs = batch.ids, batch.mask, batch.segments
    if key is None:
        return score_of_logits(network(*inputs), batch.labels, smoothing, batch.weights)
    voices = network.voices(*inputs, key)
    losses = jax.vmap(lambda voice: score_of_logits(voice, batch.labels, smoothing, batch.weights).loss)(
        voices
    )
    answer = score_of_logits(jnp.mean(voices, axis=0), batch.labels, smoothing)
    return answer._replace(loss=jnp.mean(losses))


def loss(
    network: Network, batch: Batch, key: PRNGKeyArray | None = None, smoothing: float = 0.0
) -> Float[Array, ""]:
    """Compute the mean loss over the texts of a batch: the function whose gradient is taken.

    Args:
      network: the network.
      batch: the texts; rows of label -1 count nothing.
      key: key of dropout; none means evaluation.
      smoothing: share of the target that is spread over all classes.
    """
    return score(network, batch, key, smoothing).mean_loss
