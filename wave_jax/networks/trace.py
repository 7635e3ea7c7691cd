"""The stages of a forward pass, and the call that all networks share."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax.networks.layers import Embedding, Linear

__all__ = ["Network", "Trace", "check_inputs", "nudged"]


class Trace(NamedTuple):
    """The named stages of a forward pass, and of the derivatives that come back through it.

    A stage that a network lacks is None; with several layers, w1 to x are tuples with one entry a layer.
    A trace always holds all tokens.
    """

    w: Any = None  # (*batch, n, d) embedding + position
    w1: Any = None  # (*batch, n, d) first variant, as the linear map made it
    w2: Any = None  # (*batch, n, d) second variant
    Z1: Any = None  # (*batch, n, d) complex
    Z2: Any = None  # (*batch, n, d) complex
    Z: Any = None  # (*batch, n, d) complex: the waves combined
    x: Any = None  # (*batch, n, d or 2d) read out
    h: Any = None  # (*batch, d) the text, pooled
    logits: Any = None  # (*batch, c)


class Network(nnx.Module):
    """What every network is: a call from ids to logits, and a trace of its named stages.

    A subclass defines `trace`; its call is then the end of the trace. Without a key there is no dropout.
    `segments`, the sentence of each token, are taken by every network and used by few.
    """

    config: Any  # its settings
    v: int  # rows of vocabulary
    embedding: Embedding
    classifier: Linear

    def __call__(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch c"]:
        """Return the logits of each text.

        Args:
          ids: rows of the embedding table.
          mask: True at tokens, False at padding.
          segments: the sentence of each token, for networks that read it.
          key: key of dropout; none means evaluation.
        """
        return self.trace(ids, mask, segments, key).logits

    def voices(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "voices *batch c"]:
        """Return the logits of each voice of an ensemble, whose mean is the call; others have one voice.

        Args:
          ids: rows of the embedding table.
          mask: True at tokens, False at padding.
          segments: the sentence of each token.
          key: key of dropout; none means evaluation.
        """
        return self(ids, mask, segments, key)[None]

    def trace(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
        nudge: Trace | None = None,
    ) -> Trace:
        """Return the stages that the network has.

        Args:
          ids: rows of the embedding table.
          mask: True at tokens, False at padding.
          segments: the sentence of each token.
          key: key of dropout; none means evaluation.
          nudge: shaped like the trace; added to the stages on the way. The derivative with respect to it, at
            0, is the derivative by stage.
        """
        raise NotImplementedError


def nudged(stage: Array, nudge: Array | None) -> Array:
    """Add a nudge to a stage of a trace, if there is one."""
    return stage if nudge is None else stage + nudge


def check_inputs(
    ids: Int[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    segments: Int[Array, "*batch n"] | None,
    v: int,
) -> None:
    """Raise a ValueError for ids, mask or segments that no network can read.

    Values are checked only outside of jit; inside, an id beyond the table becomes NaN, which training
    reports.

    Args:
      ids: rows of the embedding table.
      mask: True at tokens.
      segments: the sentence of each token, or None.
      v: number of rows of the table.
    """
    if ids.ndim < 1 or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise ValueError(f"ids must be integers of shape (*batch, n), got {ids.dtype}{ids.shape}.")
    if mask.shape != ids.shape or mask.dtype != bool:
        raise ValueError(
            f"mask must be bool of the shape of ids {ids.shape}, got {mask.dtype}{mask.shape};"
            " True marks a token, False padding."
        )
    if segments is not None and (
        segments.shape != ids.shape or not jnp.issubdtype(segments.dtype, jnp.integer)
    ):
        raise ValueError(
            f"segments must be integers of the shape of ids {ids.shape},"
            f" got {segments.dtype}{segments.shape}."
        )
    if ids.size and not isinstance(ids, Tracer):
        values = np.asarray(ids)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= v:
            raise ValueError(
                f"ids must lie in 0..{v - 1}, the rows of the embedding table, got {low}..{high}:"
                " use the tokenizer that the network was built for, or build it with a larger v."
            )
