"""Loss and accuracy of (network, batch) as pure functions.

A label of -1 marks filler: a row that makes a batch full and counts nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Real

from wave_jax.data.batches import Batch
from wave_jax.data.targets import is_several
from wave_jax.networks.trace import Network

__all__ = ["Score", "loss", "score", "score_of_logits"]


class Score(NamedTuple):
    """Sums over texts: scores of batches add up to the score of a split, exactly."""

    loss: Any
    """Sum of the texts' losses, in nats."""
    correct: Any
    """Texts that are answered right: their largest logit is the label's; of several labels all are right."""
    count: Any
    """Texts that are no filler."""

    def __repr__(self) -> str:
        """Write the mean loss, as records and users have it, not the sum."""
        return f"Score(mean_loss={self.mean_loss}, accuracy={self.accuracy}, count={self.count})"

    def __add__(self, other: "Score") -> "Score":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Add up two scores.

        >>> Score(1.0, 2, 4) + Score(2.0, 1, 2)
        Score(mean_loss=0.5, accuracy=0.5, count=6)
        """
        return Score(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def mean_loss(self) -> Any:
        """The mean of the texts' losses."""
        return _over(self.loss, self.count)

    @property
    def accuracy(self) -> Any:
        """The share of texts that are answered right."""
        return _over(self.correct, self.count)


def _over(total: Any, count: Any) -> Any:
    """Divide a total by the number of texts, in float32: what is on the host stays there."""
    if isinstance(count, jax.Array):
        return total / jnp.maximum(count, 1)
    return np.float32(total) / np.float32(np.maximum(count, 1))


def score_of_logits(
    logits: Float[Array, "*batch c"],
    labels: Int[Array, "*batch"],
    smoothing: Real[Array, ""] | float = 0.0,
    weights: Float[Array, "*batch"] | Float[Array, "*batch c"] | None = None,
    targets: Float[Array, "*batch c"] | Bool[Array, "*batch c"] | None = None,
) -> Score:
    """Score logits by their cross entropy -Σ_k q_k·log p_k, p = softmax(logits).

    The target is q = (1 - smoothing)·t + smoothing·t̄, where t is the onehot label or the probabilities given,
    and t̄ the mean over the classes, 1/c. With several labels, t is 0 or 1, each p_k = 1 / (1 + exp(-z_k)) is
    a probability of its own, and the loss is -Σ_k (q_k·log p_k + (1 - q_k)·log(1 - p_k)).

    Args:
      logits: the logits z.
      labels: number of each text's class; -1 for filler.
      smoothing: share of the target that is spread over all classes.
      weights: how much the loss of each text counts, or with several labels that of each of its labels.
      targets: probabilities of the classes, or bool for several labels; onehot labels if not given.

    >>> score_of_logits(jnp.zeros((1, 2)), jnp.array([0])).mean_loss.round(3)
    Array(0.693, dtype=float32)
    """
    real, several = labels >= 0, is_several(targets)
    right = jnp.all((logits > 0) == targets, axis=-1) if several else jnp.argmax(logits, axis=-1) == labels
    losses = _losses(logits, labels, smoothing, targets)
    if weights is not None:
        losses = losses * (weights[..., None] if weights.ndim < losses.ndim else weights)
    losses = jnp.sum(losses, axis=-1) if several else losses
    return Score(
        loss=jnp.sum(jnp.where(real, losses, jnp.zeros_like(losses))),
        correct=jnp.sum(real & right, dtype=jnp.int32),
        count=jnp.sum(real, dtype=jnp.int32),
    )


def _losses(logits: Array, labels: Array, smoothing: Array | float, targets: Array | None) -> Array:
    """Compute the loss of each text, (*batch,); with several labels that of each label, (*batch, c)."""
    z = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    if targets is None:
        log_p = jax.nn.log_softmax(z)
        of_label = jnp.take_along_axis(log_p, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
        return -(1 - smoothing) * of_label - smoothing * jnp.mean(log_p, axis=-1)
    t = targets.astype(z.dtype)
    q = (1 - smoothing) * t + smoothing * jnp.mean(t, axis=-1, keepdims=True)
    if is_several(targets):
        return jax.nn.softplus(z) - q * z  # -q·log p - (1 - q)·log(1 - p), p = 1 / (1 + exp(-z))
    return -jnp.sum(q * jax.nn.log_softmax(z), axis=-1)


def score(network: Network, batch: Batch, key: PRNGKeyArray | None = None, smoothing: float = 0.0) -> Score:
    """Score a network on a batch; with a key, as in training.

    In training each voice of an ensemble (`Network.voices`) learns the labels by itself: the loss is the mean
    of the voices' losses.

    Args:
      network: the network.
      batch: the texts; rows of label -1 count nothing.
      key: key of dropout; none means evaluation.
      smoothing: share of the target that is spread over all classes.
    """
    inputs = batch.ids, batch.mask, batch.segments

    def of(logits: Array) -> Score:
        return score_of_logits(logits, batch.labels, smoothing, batch.weights, batch.targets)

    if key is None:
        return of(network(*inputs))
    voices = network.voices(*inputs, key)
    return of(jnp.mean(voices, axis=0))._replace(loss=jnp.mean(jax.vmap(of)(voices).loss))


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
