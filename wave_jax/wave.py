"""The papers' formulas on bare arrays: a token as a complex wave, and two ways to combine waves.

P1 is "Wave Network: An Ultra-Small Language Model" (arXiv 2411.02674), P2 "The Backpropagation of
the Wave Network" (arXiv 2411.06989). `docs/maths.md` derives everything here.

| code | symbol | shape | meaning |
| --- | --- | --- | --- |
| `w` | w | (*batch, n, d) | token vectors, real |
| `G` | G | (*batch, d) | norm of a dimension over the whole text: global semantics |
| `alpha` | α | (*batch, n, d) | a token's phase against G, in [0, π]: local semantics |
| `s` | s | (*batch, n, d) | norm of all the *other* tokens, √(G² - w²) |
| `Z` | Z | (*batch, n, d) | the wave G·exp(iα) = w + i·s, complex |
| `w1, w2` | w, w' | (*batch, n, d) | two linear variants of the same tokens |
| `Z1, Z2` | Z, Z' | (*batch, n, d) | their waves |
| `x` | g(Z) | (*batch, n, d or 2d) | the wave read out as real numbers |
| `h` | h | (*batch, d) | one vector for the text |
| `logits` | | (*batch, c) | scores of the classes |

Sizes: n tokens, d width, v vocabulary, c classes, b batch. The token axis is -2 and any leading axes
work. A `mask` is True at tokens and False at padding.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from wave_jax.choices import Combine, Function, ReadOut
from wave_jax.numerics import masked, safe_sqrt

__all__ = [
    "COMBINE",
    "Combine",
    "Polar",
    "ReadOut",
    "combine",
    "encode",
    "interfere",
    "magnitude",
    "mix",
    "modulate",
    "phase",
    "polar",
    "read_out",
]


_FAR = 2.0**20  # beyond it, and below its inverse, a phase is computed of scaled numbers


def encode(
    w: Float[Array, "*batch n d"],
    mask: Bool[Array, "*batch n"] | None = None,
    segments: Int[Array, "*batch n"] | None = None,
    rows: Sequence[int] | None = None,
) -> Complex[Array, "*batch r d"]:
    """Turn tokens into waves: Z_jk = w_jk + i·s_jk with s_jk = √(Σ_{m≠j} w_mk²).

    In the papers' polar form, Z = G·exp(iα), G_k = √(Σ_j w_jk²), α = arctan2(√(1 - (w/G)²), w/G) (P1 section
    3.1). The phase tells how much of the norm G this token contributes. In Cartesian form, the real part is
    the token itself and the imaginary part is the norm of all other tokens. float16 and bfloat16 are computed
    in float32.

    Args:
      w: token vectors, real.
      mask: True at tokens, False at padding. A masked row holds 0 + i·G.
      segments: ids in 0..n-1; "all other tokens" are then those of the same segment: sentence-level G.
      rows: positions whose waves are returned; all if not given. G still counts every token.

    >>> encode(jnp.array([[3.0], [4.0]]))
    Array([[3.+4.j],
           [4.+3.j]], dtype=complex64)
    """
    if w.ndim < 2 or not jnp.issubdtype(w.dtype, jnp.floating):
        raise ValueError(f"w must be real floating numbers of shape (*batch, n, d), got {w.dtype}{w.shape}.")
    w = w.astype(jnp.promote_types(w.dtype, jnp.float32))
    if rows is None:
        w = masked(w, mask)
        return jax.lax.complex(w, safe_sqrt(_others(w * w, segments)))
    rows = tuple(range(w.shape[-2])[r] for r in rows)  # -1 is the last; out of range raises
    s2 = jnp.stack([_others_of_row(w, mask, segments, r) for r in rows], axis=-2)
    own = jnp.concatenate([jax.lax.slice_in_dim(w, r, r + 1, axis=-2) for r in rows], axis=-2)
    own = masked(own, None if mask is None else mask[..., rows])
    return jax.lax.complex(own, safe_sqrt(s2))


def _others(
    w2: Float[Array, "*batch n d"], segments: Int[Array, "*batch n"] | None
) -> Float[Array, "*batch n d"]:
    """Compute Σ_{m≠j} w_m² for every j, over the text or over j's segment, without cancellation.

    The plain G² - w_j² loses everything if w_j dominates. But at most one token of a dimension holds more
    than half of G²: its others are added up, and for the rest the subtraction loses one bit at most.
    """
    total = _sum_of_peers(w2, segments)
    dominates = w2 + w2 > total
    rest = _sum_of_peers(jnp.where(dominates, jnp.zeros_like(w2), w2), segments)
    return jnp.where(dominates, rest, total - w2)


def _sum_of_peers(
    x: Float[Array, "*batch n d"], segments: Int[Array, "*batch n"] | None
) -> Float[Array, "*batch n_or_1 d"]:
    """Compute Σ_m x_m over all tokens, or for every token over those of its segment; both in O(n·d)."""
    if segments is None:
        return jnp.sum(x, axis=-2, keepdims=True)
    n, d = x.shape[-2:]

    def one_text(x: Array, segments: Array) -> Array:
        return jax.ops.segment_sum(x, segments, num_segments=n)[segments]

    return jax.vmap(one_text)(x.reshape(-1, n, d), segments.reshape(-1, n)).reshape(x.shape)


# Rematerialised: the backward pass keeps w, and neither w² nor a mask of its size.
@partial(jax.checkpoint, static_argnums=3)
def _others_of_row(
    w: Float[Array, "*batch n d"],
    mask: Bool[Array, "*batch n"] | None,
    segments: Int[Array, "*batch n"] | None,
    row: int,
) -> Float[Array, "*batch d"]:
    """Compute Σ_{m≠row} w_m² for one row: a plain sum, so nothing cancels."""
    other = jnp.arange(w.shape[-2]) != row
    if mask is not None:
        other = other & mask
    if segments is not None:
        other = other & (segments == segments[..., row, None])
    w = jnp.where(other[..., None], w, jnp.zeros_like(w))
    return jnp.sum(w * w, axis=-2)


def magnitude(Z: Complex[Array, "*s"]) -> Float[Array, "*s"]:
    """Compute |Z|, with zero gradient at Z = 0. For a wave fresh from `encode` it is G in every row.

    >>> magnitude(jnp.array([3.0 + 4.0j]))
    Array([5.], dtype=float32)
    """
    return safe_sqrt(Z.real**2 + Z.imag**2)


def phase(Z: Complex[Array, "*s"]) -> Float[Array, "*s"]:
    """Compute α = arctan2(Im Z, Re Z); 0 at Z = 0. In [0, π] for a wave from `encode`.

    All derivatives are 0 where |Z| is so small (1e-19 in float32) that 1/|Z|² would not be a number: α turns
    arbitrarily fast there. Small and large numbers are scaled first: |Z|⁴ leaves float32 long before |Z|.

    >>> phase(jnp.array([1.0j]))
    Array([1.5707964], dtype=float32)
    """
    size = jax.lax.stop_gradient(jnp.maximum(abs(Z.real), abs(Z.imag)))
    zero, tiny = size == 0, size < jnp.finfo(size.dtype).tiny ** 0.5
    one = jnp.ones_like(size)
    ordinary = tiny | ((size > 1 / _FAR) & (size < _FAR)) | jnp.isinf(size)
    whole, scale = jnp.where(zero, one, size), jnp.where(ordinary, one, size)

    def scaled(part: Array) -> Array:
        fixed = jax.lax.stop_gradient(part / whole)
        return jnp.where(tiny, fixed, jnp.where(tiny, one, part) / scale)

    return jnp.arctan2(scaled(Z.imag), jnp.where(zero, one, scaled(Z.real)))


class Polar(NamedTuple):
    """A wave as magnitude and phase, Z = magnitude·exp(i·phase); or a derivative by the two."""

    magnitude: Any
    """Of a wave from `encode`: G, what all tokens share, global semantics."""
    phase: Any
    """Of a wave from `encode`: α, what is the token's own, local semantics."""


def polar(Z: Complex[Array, "*s"]) -> Polar:
    """Return magnitude and phase of a wave; both have zero gradient at Z = 0.

    >>> polar(jnp.array([3.0 + 4.0j])).magnitude
    Array([5.], dtype=float32)
    """
    return Polar(magnitude(Z), phase(Z))


def interfere(Z1: Complex[Array, "*s"], Z2: Complex[Array, "*s"]) -> Complex[Array, "*s"]:
    """Combine two waves by interference: Z + Z' = (w + w') + i(s + s') (P1 section 3.2).

    |Z + Z'|² = G² + G'² + 2·G·G'·cos(α - α'): waves in step strengthen each other.
    """
    return Z1 + Z2


def modulate(Z1: Complex[Array, "*s"], Z2: Complex[Array, "*s"]) -> Complex[Array, "*s"]:
    """Combine two waves by modulation: Z·Z' = (w·w' - s·s') + i(w·s' + w'·s) (P1 section 3.2).

    Magnitudes multiply, |Z·Z'| = G·G', and phases add.
    """
    return Z1 * Z2


COMBINE = {"interfere": interfere, "modulate": modulate}


def combine(
    Z1: Complex[Array, "*s"], Z2: Complex[Array, "*s"], kind: Combine | Function
) -> Complex[Array, "*s"]:
    """Combine two waves by the function of this name, or by a function of one's own.

    >>> combine(jnp.array([1.0j]), jnp.array([2.0j]), lambda Z1, Z2: Z1 - Z2)
    Array([0.-1.j], dtype=complex64)
    """
    return kind(Z1, Z2) if callable(kind) else COMBINE[kind](Z1, Z2)


def read_out(Z: Complex[Array, "*batch n d"], kind: ReadOut | Function) -> Float[Array, "*batch n dx"]:
    """Turn a wave back into real numbers: "real", "magnitude", or "real_imag" side by side (2d).

    A function of one's own is called; its width is a multiple of d. What each can see (`docs/maths.md`): the
    real part of an interference holds no other token, the magnitude of a modulation no phase; real and
    imaginary parts together lose nothing.

    >>> read_out(jnp.array([[3.0 + 4.0j]]), "real_imag")
    Array([[3., 4.]], dtype=float32)
    """
    if callable(kind):
        return kind(Z)
    match kind:
        case "real":
            return Z.real
        case "magnitude":
            return magnitude(Z)
        case "real_imag":
            return jnp.concatenate([Z.real, Z.imag], axis=-1)
    raise ValueError(f"read_out is one of {', '.join(get_args(ReadOut))}, got {kind!r}.")


def mix(
    w1: Float[Array, "*batch n d"],
    w2: Float[Array, "*batch n d"],
    mask: Bool[Array, "*batch n"] | None = None,
    segments: Int[Array, "*batch n"] | None = None,
    rows: Sequence[int] | None = None,
    *,
    combine: Combine | Function,
    read_out: ReadOut | Function,
) -> Float[Array, "*batch r dx"]:
    """Compute g(f(w, w')): encode both variants, combine them, read out; the whole wave part of a layer.

    For the backward pass the arguments are kept and nothing else of their size: the waves are made again,
    which is cheap, and they are many times as large.

    Args:
      w1: first variant of the tokens.
      w2: second variant.
      mask: True at tokens, False at padding.
      segments: makes Z1 sentence-level; Z2 keeps the whole text.
      rows: positions to compute; all if not given.
      combine: how the two waves are combined, by name or as a function of both.
      read_out: the way from a wave back to real numbers, by name or as a function of it.

    >>> mix(jnp.ones((2, 3)), jnp.ones((2, 3)), combine="modulate", read_out="magnitude").shape
    (2, 3)
    """
    # The waves of a few rows are small, and making them again would cost more than keeping them.
    rows = None if rows is None else tuple(rows)
    form = _mix if rows else jax.checkpoint(_mix, static_argnums=(4, 5, 6))
    return form(w1, w2, mask, segments, rows, combine, read_out)


def _mix(w1, w2, mask, segments, rows, how, kind):
    Z1, Z2 = encode(w1, mask, segments, rows), encode(w2, mask, None, rows)
    return read_out(combine(Z1, Z2, how), kind)
