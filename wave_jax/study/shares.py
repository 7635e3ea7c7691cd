"""What a gradient does to a wave: the share that moves the magnitude, and the share that moves the phase.

    shares = wave_shares(network, batch)       # {"Z1": 0.97, "Z2": 0.98, "Z": 0.31}

The magnitude of a wave is what all tokens share (global semantics), its phase what is the token's own (local
semantics). `docs/maths.md`, section 6, derives what is computed here.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from wave_jax import wave
from wave_jax.data.batches import Batch
from wave_jax.networks.trace import Network
from wave_jax.numerics import masked_mean
from wave_jax.study import measures
from wave_jax.study.gradients import by_stage

__all__ = ["by_polar", "magnitude_share", "wave_shares"]


def by_polar(Z: Complex[Array, "*s"], by_Z: Complex[Array, "*s"]) -> wave.Polar:
    """Return the derivative by magnitude, Re(Z̄·g)/|Z|, and by phase, Im(Z̄·g), from g = ∂L/∂Z by stage.

    At Z = 0, where neither is defined, both are 0, as `wave.polar` has it.

    Args:
      Z: the wave.
      by_Z: the derivative by it, ∂L/∂Re Z + i·∂L/∂Im Z.

    >>> by_polar(jnp.array([3.0 + 4.0j]), jnp.array([5.0 + 0.0j]))
    Polar(magnitude=Array([3.], dtype=float32), phase=Array([-20.], dtype=float32))
    """
    along = jnp.conj(_unit(Z)) * by_Z
    return wave.Polar(along.real, along.imag * wave.magnitude(Z))


def magnitude_share(
    Z: Complex[Array, "*s"], by_Z: Complex[Array, "*s"], mask: Bool[Array, "*r"] | None = None
) -> Float[Array, ""]:
    """Compute Σ (∂L/∂|Z|)² / Σ |∂L/∂Z|²: the rest, Σ (∂L/∂α / |Z|)², moves the phase.

    The two are the parts of ∂L/∂Z along the wave and across it, so their squares add up. 0 of nothing.

    Args:
      Z: the wave.
      by_Z: the derivative by it.
      mask: over the leading axes, True where an entry counts.

    >>> magnitude_share(jnp.array([2.0 + 0.0j]), jnp.array([1.0 - 1.0j])).round(4)
    Array(0.5, dtype=float32)
    """
    along = jnp.conj(_unit(Z)) * by_Z
    one, other = measures.norm(along.real, mask), measures.norm(along.imag, mask)
    larger = jnp.maximum(one, other)
    one, other = (jnp.square(length / jnp.where(larger > 0, larger, 1)) for length in (one, other))
    return one / jnp.where(larger > 0, one + other, 1)


@jax.jit
def wave_shares(network: Network, batch: Batch) -> dict[str, Any]:
    """Compute the share that moves the magnitude at Z1, Z2 and Z, as means over texts.

    With several layers there is a share for each, as a tuple.

    Args:
      network: a Wave Network.
      batch: the texts.
    """
    trace = network.trace(batch.ids, batch.mask, batch.segments)
    if trace.Z is None:
        raise ValueError(f"{type(network).__name__} has no waves: give wave_shares a Wave Network.")
    back = by_stage(network, batch, per_text=True)
    real = batch.labels >= 0

    def over_texts(Z: Array, by_Z: Array) -> Array:
        shares = jax.vmap(magnitude_share)(Z, by_Z, batch.mask)
        return masked_mean(shares[:, None], real)[0]

    at = {name: (getattr(trace, name), getattr(back, name)) for name in ("Z1", "Z2", "Z")}
    return {name: jax.tree.map(over_texts, *both) for name, both in at.items()}


def _unit(Z: Complex[Array, "*s"]) -> Complex[Array, "*s"]:
    """Return Z / |Z|, 0 where Z is 0."""
    size = wave.magnitude(Z)
    return Z / jnp.where(size > 0, size, 1)
