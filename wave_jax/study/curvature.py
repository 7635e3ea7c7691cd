"""Beyond the gradient: curvature of the loss, noise of its gradient, and the influence of a training text.

    v = by_parameter(network, batch)                           # any direction, shaped like the network
    hessian_product(network, batch, v)                         # H·v, at about the cost of two gradients
    largest_eigenvalues(hessian_product, network, batch, 3)    # of H
    noise_scale(network, batch).scale                          # texts in a batch beyond which little is won
    influence(network, train, test)                            # (test texts, training texts)

Everything is a pure function of (network, batch), without dropout. A row of label -1 counts nothing.
`docs/maths.md`, section 10, has the formulas.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from wave_jax.data.batches import Batch
from wave_jax.errors import check_setting
from wave_jax.networks.trace import Network
from wave_jax.networks.wave_network import WaveNetwork
from wave_jax.training.adam import narrow, with_table
from wave_jax.training.loss import loss as cross_entropy
from wave_jax.training.loss import score_of_logits

__all__ = [
    "Eigenvalues",
    "Noise",
    "fisher_by_text",
    "gauss_newton_product",
    "hessian_product",
    "influence",
    "largest_eigenvalues",
    "noise_scale",
]

# --- products with a direction ------------------------------------------------------------------------------


def hessian_product(
    network: Network, batch: Batch, direction: Any, loss: Callable[[Network, Batch], Array] = cross_entropy
) -> Any:
    """Compute H·v, H the Hessian of the loss by all parameters: the derivative of the gradient along v.

    Args:
      network: the network.
      batch: the texts.
      direction: v, shaped like the network.
      loss: of (network, batch).
    """
    slope = jax.grad(lambda network: loss(network, batch))
    return jax.jvp(slope, (network,), (direction,))[1]


def gauss_newton_product(network: Network, batch: Batch, direction: Any) -> Any:
    """Compute Jᵀ·C·J·v, J the Jacobian of the logits and C the Hessian of the mean cross entropy by them.

    It is the Hessian without the curvature of the logits: never negative, and equal to the Fisher information
    of the batch, because the loss is a cross entropy.

    Args:
      network: the network.
      batch: the texts.
      direction: v, shaped like the network.
    """

    def logits_of(network: Network) -> Array:
        return network(batch.ids, batch.mask, batch.segments)

    logits, along = jax.jvp(logits_of, (network,), (direction,))
    slope = jax.grad(lambda logits: score_of_logits(logits, batch.labels, weights=batch.weights).mean_loss)
    back = jax.jvp(slope, (logits,), (along,))[1]
    return jax.vjp(logits_of, network)[1](back)[0]


# --- eigenvalues --------------------------------------------------------------------------------------------


class Eigenvalues(NamedTuple):
    values: np.ndarray
    """The largest first."""
    error: np.ndarray
    """Some eigenvalue of the matrix is as near to each value as this."""


def largest_eigenvalues(
    product: Callable[[Network, Batch, Any], Any],
    network: Network,
    batch: Batch,
    k: int = 1,
    steps: int = 32,
    key: PRNGKeyArray | None = None,
) -> Eigenvalues:
    """Find the k largest eigenvalues of a symmetric matrix by so many steps of Lanczos' method.

    It keeps one vector of all parameters for each step, and makes each orthogonal to all before it. If the
    steps exhaust what the start reaches, fewer values than k may come.

    Args:
      product: `hessian_product`, `gauss_newton_product`, or one's own product of (network, batch, v).
      network: the network.
      batch: the texts.
      k: number of eigenvalues.
      steps: products, at least k; about 10 k for values that are close together.
      key: key of the start.
    """
    check_setting("k", k, 1 <= k <= steps, f"at least 1 and at most steps, {steps}")
    steps = min(steps, sum(x.size for x in jax.tree.leaves(network)))
    start = jax.random.key(0) if key is None else key
    alpha, beta = jax.device_get(_tridiagonal(product, network, batch, start, steps))
    scale = max(np.abs(alpha).max(), np.abs(beta).max())
    ends = np.flatnonzero(beta <= 10 * np.finfo(beta.dtype).eps * scale)  # an invariant subspace is whole
    m = ends[0] + 1 if len(ends) else steps
    # In NumPy: LAPACK inside of jit, from several threads at once, may wait for itself forever.
    T = np.diag(alpha[:m]) + np.diag(beta[: m - 1], 1) + np.diag(beta[: m - 1], -1)
    values, vectors = np.linalg.eigh(T.astype(np.float64))
    return Eigenvalues(values[::-1][:k], np.abs(beta[m - 1] * vectors[-1])[::-1][:k])


@partial(jax.jit, static_argnames=("product", "steps"))
def _tridiagonal(product: Callable, network: Network, batch: Batch, key: PRNGKeyArray, steps: int) -> Any:
    """Return the diagonal of Lanczos' matrix, and what is beside it, the last entry being the residual."""
    flat, shaped = ravel_pytree(network)
    start = jax.random.normal(key, flat.shape, flat.dtype)
    basis = jnp.zeros((steps, flat.size), flat.dtype)

    def step(carry: Any, i: Array) -> Any:
        basis, q = carry
        basis = basis.at[i].set(q)
        r, _ = ravel_pytree(product(network, batch, shaped(q)))
        alpha = q @ r
        for _ in range(2):  # once leaves what float32 rounds
            r = r - basis.T @ (basis @ r)
        beta = jnp.linalg.norm(r)
        return (basis, r / jnp.where(beta > 0, beta, 1)), (alpha, beta)

    return jax.lax.scan(step, (basis, start / jnp.linalg.norm(start)), jnp.arange(steps))[1]


# --- the noise of the gradient ------------------------------------------------------------------------------


@jax.jit
def fisher_by_text(network: Network, batch: Batch) -> Float[Array, " b"]:
    """Compute Σ_k p_k·‖∂log p_k/∂θ‖² of each text: how far its answer moves as the parameters do.

    It is the trace of the Fisher information of the text's answer, with labels drawn from the answer itself.

    Args:
      network: any network.
      batch: the texts; their labels are not read.
    """

    def of_text(network: Network, text: Batch) -> Array:
        values, back = jax.vjp(lambda network: _log_p(network, text), network)
        squares = jax.vmap(lambda one: _square(back(one)[0]))(jnp.eye(len(values), dtype=values.dtype))
        return jnp.sum(jnp.exp(values) * squares)

    return _by_text(of_text, network, batch)


class Noise(NamedTuple):
    scale: Any
    """variance / square: a batch of so many texts has a gradient that is half noise."""
    variance: Any
    """tr Σ, Σ the covariance of the texts' gradients."""
    square: Any
    """|G|², G the gradient that they have in the mean."""


@jax.jit
def noise_scale(network: Network, batch: Batch) -> Noise:
    """Estimate the gradient noise scale tr Σ / |G|² (McCandlish et al., arXiv 1812.06162) from b ≥ 2 texts.

    With g_i a text's gradient and g their mean, tr Σ is b/(b - 1)·(mean |g_i|² - |g|²) and |G|² is |g|² -
    tr Σ / b: both without bias, so that |G|² may come out below 0 if noise is all there is. Take the mean of
    both over some batches, then their ratio.

    Args:
      network: any network.
      batch: the texts; two at least, else everything is NaN.
    """
    real = batch.labels >= 0
    b = jnp.sum(real)

    def of_text(network: Network, text: Batch) -> Array:
        one = jax.tree.map(lambda x: x[None], text)
        return _square(jax.grad(cross_entropy)(network, one))

    squares = _by_text(of_text, network, batch)
    mean = jnp.sum(jnp.where(real, squares, 0)) / b
    of_mean = _square(jax.grad(cross_entropy)(*_narrowed(network, batch)))
    variance = (mean - of_mean) * b / (b - 1)
    square = of_mean - variance / b
    return Noise(variance / square, variance, square)


def _log_p(network: Network, text: Batch) -> Float[Array, " c"]:
    """Return the logarithms of the probabilities of a text without a leading axis."""
    return jax.nn.log_softmax(network(text.ids, text.mask, text.segments))


def _square(tree: Any) -> Float[Array, ""]:
    return jnp.sum(jnp.stack([jnp.sum(x**2) for x in jax.tree.leaves(tree)]))


def _narrowed(network: Network, batch: Batch) -> tuple[Network, Batch]:
    """Return the network with the rows that the batch reads as its table: the gradient by others is 0."""
    table = network.embedding[...]
    ids, rows = narrow(batch.ids, len(table), most=min(batch.ids.size, len(table)))
    small = with_table(network, table.at[rows].get(mode="fill", fill_value=0))
    return small, batch._replace(ids=ids)


def _by_text(of_text: Callable[[Network, Batch], Array], network: Network, batch: Batch) -> Array:
    """Return a number of each text, one text after the other."""

    def one(text: Batch) -> Array:
        return of_text(*_narrowed(network, text))

    return jax.lax.map(one, batch)


# --- influence ----------------------------------------------------------------------------------------------


def influence(
    network: Network, train: Batch, test: Batch, damping: float = 1e-3
) -> Float[np.ndarray, "test train"]:
    """Compute how much the loss of a test text rises as a training text is left out, to first order.

    Only the classifier is trained anew: (1/n)·g_testᵀ·(H + λ)⁻¹·g_train, by the exact Hessian of the mean
    cross entropy of the n training texts, and the gradients, by the classifier's parameters. λ/2·‖θ‖² is then
    part of what the training is taken to minimise. Positive: the training text helps. Texts count alike.

    Args:
      network: any network, whose classifier is near a minimum for the training texts.
      train: training texts; a row of label -1 has the influence 0.
      test: test texts with their labels.
      damping: λ, above 0.
    """
    check_setting("damping", damping, damping > 0, "above 0")
    (A, P, G), (_, _, G_test) = (
        [np.asarray(x, np.float64) for x in jax.device_get(_at_classifier(network, batch))]
        for batch in (train, test)
    )
    real = np.asarray(train.labels) >= 0
    A, P, n, c = A[real], P[real], real.sum(), P.shape[-1]
    H = np.zeros((A.shape[-1], c, A.shape[-1], c))
    for k in range(c):
        for m in range(k + 1):
            H[:, k, :, m] = H[:, m, :, k] = (A.T * (P[:, k] * ((k == m) - P[:, m]))) @ A / n
    H = H.reshape(A.shape[-1] * c, -1) + damping * np.eye(A.shape[-1] * c)
    return G_test.reshape(len(G_test), -1) @ np.linalg.solve(H, G.reshape(len(G), -1).T) / n


@jax.jit
def _at_classifier(network: Network, batch: Batch) -> tuple[Array, Array, Array]:
    """Return what the classifier reads, with a 1 for the bias, its probabilities, and a gradient each."""

    def read(text: Batch) -> Array:
        h = network.trace(text.ids, text.mask, text.segments).h
        return h / network.config.voices if isinstance(network, WaveNetwork) else h

    h = jax.lax.map(read, batch, batch_size=64)
    P = jax.nn.softmax(network.classifier(h))
    A = jnp.concatenate([h, jnp.ones_like(h[:, :1])], axis=-1)
    apart = P - jax.nn.one_hot(batch.labels, P.shape[-1], dtype=P.dtype)
    apart = jnp.where(batch.labels[:, None] >= 0, apart, 0)
    return A, P, A[:, :, None] * apart[:, None, :]
