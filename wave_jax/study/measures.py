"""Measures of arrays: how large, how spread, how sparse, how directed and how independent the entries are.

"Sparse" and "directionally biased" gradients are the words of a third party's summary of P2; "embedding
independence" is P2's own. None of them is defined there: the definitions here are ours. A `mask` over the
leading axes, True where an entry counts, takes padding out, as if it did not exist. What is 0 everywhere
gives a finite number.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from wave_jax.numerics import safe_sqrt

__all__ = [
    "correlation",
    "cosine",
    "effective_rank",
    "gini",
    "mean",
    "norm",
    "off_diagonal",
    "principal",
    "resultant",
    "share_below",
    "sign_agreement",
    "spread",
]

Numbers = jax.Array | np.ndarray

# --- size ---------------------------------------------------------------------------------------------------


def norm(x: Float[Numbers, "*s"], mask: Bool[Numbers, "*r"] | None = None) -> Float[Array, ""]:
    """Compute √(Σ x²), over all entries.

    >>> norm(jnp.array([[3.0, 4.0], [9.0, 9.0]]), jnp.array([True, False]))
    Array(5., dtype=float32)
    """
    x, _ = _counted(x, mask)
    scale = _scale(jnp.max(jnp.abs(x), initial=0))
    return scale * safe_sqrt(jnp.sum(jnp.square(x / scale)))


def mean(x: Float[Numbers, "*s"], mask: Bool[Numbers, "*r"] | None = None) -> Float[Array, ""]:
    """Compute Σ x / m over the m entries that count; 0 if none does.

    >>> mean(jnp.array([1.0, 2.0, 9.0]), jnp.array([True, True, False]))
    Array(1.5, dtype=float32)
    """
    x, counts = _counted(x, mask)
    return jnp.sum(x) / _at_least_1(counts)


def spread(x: Float[Numbers, "*s"], mask: Bool[Numbers, "*r"] | None = None) -> Float[Array, ""]:
    """Compute √(Σ (x - mean)² / m), the standard deviation of the entries.

    >>> spread(jnp.array([1.0, 3.0]))
    Array(1., dtype=float32)
    """
    x, counts = _counted(x, mask)
    centred = jnp.where(counts, x - jnp.sum(x) / _at_least_1(counts), 0)
    return safe_sqrt(jnp.sum(centred * centred) / _at_least_1(counts))


# --- sparsity -----------------------------------------------------------------------------------------------


def share_below(
    x: Float[Numbers, "*s"],
    threshold: float | Float[Array, ""] = 0.01,
    mask: Bool[Numbers, "*r"] | None = None,
) -> Float[Array, ""]:
    """Compute the share of entries with |x| ≤ threshold · max |x|; with threshold 0, of exact zeros.

    >>> share_below(jnp.array([0.0, 0.5, -100.0, 2.0]))
    Array(0.5, dtype=float32)
    """
    x, counts = _counted(x, mask)
    size = jnp.abs(x)
    below = counts & (size <= threshold * jnp.max(size, initial=0))
    return jnp.sum(below) / _at_least_1(counts)


def gini(x: Float[Numbers, "*s"], mask: Bool[Numbers, "*r"] | None = None) -> Float[Array, ""]:
    """Compute the Gini coefficient of |x|: Σ_i (2i - m - 1)·|x|_(i) / (m·Σ|x|), |x|_(1) ≤ … ≤ |x|_(m).

    0 where all are equally large, 1 - 1/m where one holds everything. Half the mean difference between two
    entries, in units of the mean. A scale changes nothing.

    >>> gini(jnp.array([1.0, -1.0])), gini(jnp.array([0.0, 0.0, 0.0, 2.0]))
    (Array(0., dtype=float32), Array(0.75, dtype=float32))
    """
    x, counts = _counted(x, mask)
    m = _at_least_1(counts)
    rising = _rising(jnp.abs(x).ravel())  # padding is 0, comes first and weighs nothing
    i = jnp.arange(1, rising.size + 1) - (rising.size - m)
    total = jnp.sum(rising)
    return jnp.sum((2 * i - m - 1) / m * rising) / _scale(total)


# --- direction ----------------------------------------------------------------------------------------------


def resultant(x: Float[Numbers, "*n d"], mask: Bool[Numbers, "*n"] | None = None) -> Float[Array, ""]:
    """Mean resultant length ‖Σ_j x_j / ‖x_j‖‖ / n of n vectors, those of length 0 left out.

    1 where all point one way; about 1/√n where they have nothing to do with each other.

    >>> resultant(jnp.array([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])).round(4)
    Array(0.7071, dtype=float32)
    """
    x, _ = _counted(x, mask)
    units, real = _units(x)
    return norm(jnp.sum(units.reshape(-1, x.shape[-1]), axis=0)) / _at_least_1(real)


def principal(
    x: Float[Numbers, "*n d"], most: int = 1, mask: Bool[Numbers, "*n"] | None = None
) -> Float[Array, ""]:
    """Compute Σ_(k≤most) σ_k² / Σ σ_k², σ_1 ≥ σ_2 ≥ … the singular values of n vectors.

    The share of Σ ‖x_j‖² that lies in their first principal directions; the mean counts, so that vectors of
    one direction give 1. About most/min(n, d) where they have nothing to do with each other.

    >>> principal(jnp.array([[3.0, 0.0], [0.0, 1.0]])).round(4)
    Array(0.9, dtype=float32)
    """
    x, _ = _counted(x, mask)
    x = (x / _scale(jnp.max(jnp.abs(x), initial=0))).reshape(-1, x.shape[-1])
    gram = x @ x.T if len(x) < x.shape[-1] else x.T @ x
    rising = jnp.maximum(jnp.linalg.eigvalsh(gram), 0)
    return jnp.sum(rising[-most:]) / _scale(jnp.sum(rising))


def sign_agreement(x: Float[Numbers, "t ..."]) -> Float[Array, ""]:
    """Compute |Σ_t sign x_t| / Σ_t |sign x_t| over steps t, averaged over the entries that are ever not 0.

    1 where no entry ever changes its sign; about √(2/(π·steps)) where signs are tossed.

    >>> sign_agreement(jnp.array([[1.0, 2.0, 0.0], [3.0, -1.0, 0.0]]))
    Array(0.5, dtype=float32)
    """
    signs = jnp.sign(jnp.asarray(x))
    moves = jnp.sum(jnp.abs(signs), axis=0)
    return mean(jnp.abs(jnp.sum(signs, axis=0)) / jnp.maximum(moves, 1), moves > 0)


def cosine(a: Float[Numbers, "*batch d"], b: Float[Numbers, "*batch d"]) -> Float[Array, "*batch"]:
    """Compute a·b / (‖a‖·‖b‖); 0 if one of them is 0.

    >>> cosine(jnp.array([1.0, 1.0]), jnp.array([-2.0, -2.0])).round(4)
    Array(-1., dtype=float32)
    """
    return jnp.sum(_units(jnp.asarray(a))[0] * _units(jnp.asarray(b))[0], axis=-1)


# --- independence -------------------------------------------------------------------------------------------


def off_diagonal(J: Float[Numbers, "*batch d d"]) -> Float[Array, ""]:
    """Compute Σ_{k≠l} J_kl² / Σ J_kl², J_kl the derivative of output dimension k by input dimension l.

    The share of what one dimension does to others: 0 for encoding and combining alone (`docs/maths.md`),
    1 - 1/d where all entries are equally large. Leading axes (texts, tokens) are summed over.

    >>> off_diagonal(jnp.array([[2.0, 0.0], [1.0, 2.0]])).round(4)
    Array(0.1111, dtype=float32)
    """
    J2 = jnp.square(jnp.asarray(J))
    total = jnp.sum(J2)
    crossing = jnp.sum(jnp.where(jnp.eye(J2.shape[-1], dtype=bool), 0, J2))
    return crossing / _scale(total)


def correlation(x: Float[Numbers, "*n d"], mask: Bool[Numbers, "*n"] | None = None) -> Float[Array, ""]:
    """Mean |r_kl| over pairs of dimensions k ≠ l, r Pearson's correlation over the n vectors.

    0 if no dimension predicts another (√(2/(π·n)) on average by pure chance), 1 if all are the same.
    Dimensions that do not vary are left out.

    >>> correlation(jnp.array([[1.0, -2.0, 7.0], [2.0, -4.0, 7.0], [4.0, -8.0, 7.0]])).round(4)
    Array(1., dtype=float32)
    """
    x, counts = _counted(x, mask)
    x, counts = x.reshape(-1, x.shape[-1]), counts.reshape(-1, x.shape[-1])
    n = jnp.maximum(jnp.sum(counts, axis=0), 1)
    centred = jnp.where(counts, x - jnp.sum(x, axis=0) / n, 0)
    noise = n * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=0, initial=0)
    varies = jnp.max(jnp.abs(centred), axis=0, initial=0) > noise
    units, _ = _units(jnp.where(varies, centred, 0).T)
    pairs = varies & varies[:, None] & ~jnp.eye(len(varies), dtype=bool)
    return mean(jnp.abs(units @ units.T), pairs)


def effective_rank(x: Float[Numbers, "*n d"], mask: Bool[Numbers, "*n"] | None = None) -> Float[Array, ""]:
    """Compute exp(-Σ p_k·ln p_k), p_k = σ_k / Σσ the shares of the singular values of the (n, d) matrix.

    The number of dimensions that are in use: d where all are equally strong, 1 where all vectors are
    multiples of one, 0 of nothing. (Roy and Vetterli, 2007.) The mean vector counts, unless subtracted.

    >>> effective_rank(jnp.eye(4)).round(3), effective_rank(jnp.ones((5, 4))).round(3)
    (Array(4., dtype=float32), Array(1., dtype=float32))
    """
    x, _ = _counted(x, mask)
    sigma = jnp.linalg.svd(x.reshape(-1, x.shape[-1]), compute_uv=False)
    total = jnp.sum(sigma)
    entropy = jnp.sum(jax.scipy.special.entr(sigma / _scale(total)))
    return jnp.where(total > 0, jnp.exp(entropy), 0)


# --- inside -------------------------------------------------------------------------------------------------


def _counted(x: Numbers, mask: Numbers | None) -> tuple[Array, Array]:
    """Return x with 0 for the entries that do not count, and which ones count."""
    x = jnp.asarray(x)
    if mask is None:
        return x, jnp.ones(x.shape, bool)
    if mask.shape != x.shape[: mask.ndim]:
        raise ValueError(f"The mask of {x.shape} covers its leading axes, got {mask.shape}.")
    counts = jnp.broadcast_to(jnp.reshape(mask, mask.shape + (1,) * (x.ndim - mask.ndim)), x.shape)
    return jnp.where(counts, x, 0), counts


def _at_least_1(counts: Array) -> Array:
    return jnp.maximum(jnp.sum(counts), 1)


@jax.custom_jvp
def _rising(size: Array) -> Array:
    """Sort numbers that are not negative as the integers of their bits, which XLA's CPU sorts much faster."""
    bits = jax.lax.bitcast_convert_type(size, jnp.dtype(f"int{8 * size.dtype.itemsize}"))
    return jax.lax.bitcast_convert_type(jnp.sort(bits), size.dtype)


@_rising.defjvp
def _rising_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Bits have no derivative: take those of the numbers that come to each place."""
    (size,), (change,) = primals, tangents
    order = jnp.argsort(size)
    return size[order], change[order]


def _scale(size: Array) -> Array:
    """Return a size to divide by, or 1 instead of 0. Squares of small gradients would vanish without it."""
    return jnp.where(size > 0, size, 1)


def _units(x: Array) -> tuple[Array, Array]:
    """Return x / ‖x‖ over the last axis, 0 where x is 0, and where it is not."""
    x = x / _scale(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
    length = safe_sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
    return x / _scale(length), length[..., 0] > 0
