"""Edits of waves, for `network.trace(..., edit=Trace(...))`: without magnitude, without phase, shuffled.

    edit = scaled(magnitude=0.0)                                    # all magnitudes become 1
    network.trace(ids, mask, edit=Trace(Z1=edit, Z2=edit)).logits   # what the network answers then

Any function of a stage is an edit, and so is an array in its place, such as the wave of another text.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, PRNGKeyArray

from wave_jax import wave
from wave_jax.numerics import masked_mean

__all__ = ["central", "scaled", "shuffled"]

PLAIN = wave.Polar(1.0, 0.0)


def scaled(
    magnitude: float | Array = 1.0, phase: float | Array = 1.0, around: wave.Polar = PLAIN
) -> Callable[[Array], Array]:
    """Return the edit that scales how far ln |Z| and α are from a reference; at 0 the reference is left.

    |Z| becomes R·(|Z|/R)^magnitude, and α becomes ρ + phase·(α - ρ), with the reference R·exp(iρ). Z = 0
    stays 0.

    Args:
      magnitude: what the difference of ln |Z| is multiplied by.
      phase: what the difference of α is multiplied by.
      around: the reference: 1 and 0, or that of `central`.

    >>> scaled(magnitude=0.0)(jnp.array([3.0 + 0.0j]))
    Array([1.+0.j], dtype=complex64)
    """

    def edit(Z: Complex[Array, "*s"]) -> Complex[Array, "*s"]:
        size = wave.magnitude(Z)
        ratio = jnp.where(size > 0, size, 1) / around.magnitude
        size = jnp.where(size > 0, around.magnitude * ratio**magnitude, 0)
        if isinstance(phase, float) and phase == 1:  # the direction stays: no angle is needed
            return _times(_unit(Z), size)
        angle = around.phase + phase * (wave.phase(Z) - around.phase)
        return jax.lax.complex(size * jnp.cos(angle), size * jnp.sin(angle)).astype(Z.dtype)

    return edit


def shuffled(
    key: PRNGKeyArray, mask: Bool[Array, "*batch n"], part: str = "phase"
) -> Callable[[Array], Array]:
    """Return the edit that shuffles phases, or magnitudes, over the tokens of a text: each text by itself.

    Args:
      key: of the shuffling.
      mask: True at tokens; padding keeps what it has.
      part: "phase" or "magnitude".
    """
    if part not in wave.Polar._fields:
        raise ValueError(f"part must be phase or magnitude, got {part!r}.")
    places = jnp.argsort(~mask, axis=-1)  # tokens first, in order; argsort is stable
    drawn = jnp.argsort(jnp.where(mask, jax.random.uniform(key, mask.shape), 2.0), axis=-1)
    order = jnp.put_along_axis(jnp.zeros_like(places), places, drawn, axis=-1, inplace=False)

    def edit(Z: Complex[Array, "*batch n d"]) -> Complex[Array, "*batch n d"]:
        moved = jnp.take_along_axis(Z, order[..., None], axis=-2)
        unit, size = (moved, Z) if part == "phase" else (Z, moved)
        return _times(_unit(unit), wave.magnitude(size))

    return edit


def _unit(Z: Complex[Array, "*s"]) -> Complex[Array, "*s"]:
    """Return exp(iα) = Z / |Z|, 1 where Z is 0."""
    size = wave.magnitude(Z)
    return jnp.where(size > 0, _times(Z, 1 / jnp.where(size > 0, size, 1)), 1)


def _times(Z: Complex[Array, "*s"], size: Float[Array, "*s"]) -> Complex[Array, "*s"]:
    """Return Z times a real number, without a product of complex ones."""
    return jax.lax.complex(Z.real * size, Z.imag * size).astype(Z.dtype)


def central(Z: Complex[Array, "*s d"], mask: Bool[Array, "*s"] | None = None) -> wave.Polar:
    """Compute exp of the mean of ln |Z|, and the mean of α, in each dimension: a reference for `scaled`.

    A wave that is set to it tells no text from another. With [CLS] pooling, only Z[..., 0, :] is read.

    Args:
      Z: the waves of some texts.
      mask: over the leading axes, True where a wave counts.

    >>> central(jnp.array([[1.0 + 0.0j], [4.0j]])).magnitude
    Array([2.], dtype=float32)
    """
    size, angle = wave.polar(Z.reshape(-1, Z.shape[-1]))
    counts = jnp.ones(len(size), bool) if mask is None else mask.reshape(-1)
    logs = jnp.log(jnp.where(size > 0, size, 1))
    return wave.Polar(jnp.exp(masked_mean(logs, counts)), masked_mean(angle, counts))
