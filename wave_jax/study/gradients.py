"""Derivatives of the loss, under the same names as the forward pass.

The three objects of P2's gradient study are direct selections:

    tokens = by_token(network, batch)                  every token of the text, (b, n, d)
    tokens[..., 0, :]                                  [CLS]
    by_parameter(network, batch).classifier            the classifier's parameters

Every function here is pure: `jax.jit(by_stage)(network, batch)` works, and so does `jax.grad` of it.
With `per_text=True` each text of the batch has its own derivative of its own loss, on a new leading axis;
otherwise it is the derivative of the batch's mean loss.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from wave_jax.data.batches import Batch
from wave_jax.networks.trace import Network, Trace
from wave_jax.training.loss import loss, score_of_logits

__all__ = ["by_parameter", "by_stage", "by_token"]


def by_parameter(
    network: Network, batch: Batch, key: PRNGKeyArray | None = None, *, per_text: bool = False
) -> Any:
    """Differentiate the loss by the parameters: a network of the same structure.

    Args:
      network: the network.
      batch: the texts.
      key: key of dropout; none means evaluation.
      per_text: each text's own loss, on a new leading axis, instead of the batch's mean loss.
    """
    return _batch_or_texts(jax.grad(loss), network, batch, key, per_text)


def by_stage(
    network: Network, batch: Batch, key: PRNGKeyArray | None = None, *, per_text: bool = False
) -> Trace:
    """Differentiate the loss by every stage of the trace, in the stage's shape; None for a missing stage.

    For a complex stage Z it is ∂L/∂Re Z + i·∂L/∂Im Z, the direction of steepest ascent (JAX itself returns
    the conjugate).

    Args:
      network: the network.
      batch: the texts.
      key: key of dropout; none means evaluation.
      per_text: each text's own loss, on a new leading axis, instead of the batch's mean loss.
    """

    def derivative(network, batch, key):
        stages = jax.eval_shape(lambda: network.trace(batch.ids, batch.mask, batch.segments, key))
        return _by_nudge(network, batch, key, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), stages))

    return _batch_or_texts(derivative, network, batch, key, per_text)


def by_token(
    network: Network, batch: Batch, key: PRNGKeyArray | None = None, *, per_text: bool = False
) -> Float[Array, "*batch n d"]:
    """Differentiate the loss by every token's embedding + position: `by_stage(...).w` alone.

    Args:
      network: the network.
      batch: the texts.
      key: key of dropout; none means evaluation.
      per_text: each text's own loss, on a new leading axis, instead of the batch's mean loss.
    """

    def derivative(network, batch, key):
        w = jax.eval_shape(lambda: network.trace(batch.ids, batch.mask, batch.segments, key).w)
        return _by_nudge(network, batch, key, Trace(w=jnp.zeros(w.shape, w.dtype))).w

    return _batch_or_texts(derivative, network, batch, key, per_text)


def _by_nudge(network: Network, batch: Batch, key: PRNGKeyArray | None, zero: Trace) -> Trace:
    """Differentiate by something added to the stages, at 0."""

    def nudged_loss(nudge: Trace) -> Array:
        logits = network.trace(batch.ids, batch.mask, batch.segments, key, nudge).logits
        return score_of_logits(logits, batch.labels).mean_loss

    return jax.tree.map(jnp.conj, jax.grad(nudged_loss)(zero))


def _batch_or_texts(derivative: Callable, network: Network, batch: Batch, key: Any, per_text: bool) -> Any:
    if not per_text:
        return derivative(network, batch, key)
    keys = None if key is None else jax.random.split(key, batch.labels.shape[0])
    return jax.vmap(derivative, in_axes=(None, 0, None if key is None else 0))(network, batch, keys)
