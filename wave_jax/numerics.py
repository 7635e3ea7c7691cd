"""The few careful functions: what stays finite if the plain form does not."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["layer_norm", "masked", "masked_mean", "safe_sqrt"]


def safe_sqrt(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Compute √x, and 0 with zero derivatives of every order if x ≤ 0.

    √ has an infinite slope at 0, and an infinite slope times a zero cotangent is NaN. The guard is on the
    input of √: a `where` on its output would come too late for the backward pass.

    >>> safe_sqrt(jnp.array([4.0, 0.0]))
    Array([2., 0.], dtype=float32)
    """
    nothing = x <= 0  # not `x > 0` the other way round: NaN must stay NaN
    return jnp.where(nothing, jnp.zeros_like(x), jnp.sqrt(jnp.where(nothing, jnp.ones_like(x), x)))


def masked(x: Float[Array, "*batch n d"], mask: Bool[Array, "*batch n"] | None) -> Float[Array, "*batch n d"]:
    """Set the rows of padding to 0. This is a selection, not a product: NaN in padding goes too."""
    return x if mask is None else jnp.where(mask[..., None], x, jnp.zeros_like(x))


def masked_mean(
    x: Float[Array, "*batch n d"], mask: Bool[Array, "*batch n"] | None
) -> Float[Array, "*batch d"]:
    """Mean over the tokens that are not padding; 0 if all are padding.

    >>> masked_mean(jnp.array([[1.0], [3.0], [9.0]]), jnp.array([True, True, False]))
    Array([2.], dtype=float32)
    """
    if mask is None:
        return jnp.mean(x, axis=-2)
    count = jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1).astype(x.dtype)
    return jnp.sum(masked(x, mask), axis=-2) / count


def layer_norm(
    x: Float[Array, "*batch d"], scale: Float[Array, "*parts d"], bias: Float[Array, "*parts d"], eps: float
) -> Float[Array, "*batch d"]:
    """Normalize over the last axis: (x - μ) / √(σ² + eps) · scale + bias.

    x is centred first: E[x²] - μ² cancels, and XLA takes many times as long to compile its gradient.

    Args:
      x: what is normalized.
      scale: factor after the norm.
      bias: summand after the norm.
      eps: added to the variance.
    """
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + eps) * scale + bias
