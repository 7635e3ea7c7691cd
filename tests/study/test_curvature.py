"""Curvature, noise and influence, against dense matrices, NumPy and a classifier that is trained anew."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from jax.flatten_util import ravel_pytree
from tiny import BATCH, CONFIGS, TINY, build, in_float64

from wave_jax.data.batches import Batch
from wave_jax.networks.configs import BagConfig
from wave_jax.study import curvature
from wave_jax.study.curvature import (
    fisher_by_text,
    gauss_newton_product,
    hessian_product,
    influence,
    largest_eigenvalues,
    noise_scale,
)
from wave_jax.study.gradients import by_parameter
from wave_jax.training.loss import loss

FILLED = Batch(*(jnp.asarray(np.concatenate([x, x[:1]])) for x in map(np.asarray, BATCH[:4])))
FILLED = FILLED._replace(labels=jnp.array([1, 2, -1]))


@pytest.fixture(scope="module")
def dense():
    """The network of float64 that all share, its Hessian, and the Jacobian of its logits: (b, c, P)."""
    with jax.enable_x64(True):
        network = in_float64(build(replace(TINY, d=4)))
        flat, shaped = ravel_pytree(network)

        @jax.jit
        def matrices(flat):
            H = jax.hessian(lambda flat: loss(shaped(flat), BATCH))(flat)
            J = jax.jacrev(lambda flat: shaped(flat)(*BATCH[:2]))(flat)
            return H, J, jax.nn.softmax(shaped(flat)(*BATCH[:2]))

        return network, *map(np.asarray, matrices(flat))


def gauss_newton(J, P):
    """Σ_i J_iᵀ·(diag(p_i) - p_i·p_iᵀ)·J_i, a matrix for each text."""
    return np.stack([j.T @ (np.diag(p) - np.outer(p, p)) @ j for j, p in zip(J, P, strict=True)])


@pytest.mark.parametrize("product", [hessian_product, gauss_newton_product])
def test_products_are_those_of_the_dense_matrix(dense, product):
    network, H, J, P = dense
    want = H if product is hessian_product else gauss_newton(J, P).mean(axis=0)
    with jax.enable_x64(True):
        v, shaped = np.random.default_rng(0).normal(size=len(H)), ravel_pytree(network)[1]
        found = jax.jit(lambda v: ravel_pytree(product(network, FILLED, shaped(v)))[0])(v)
    np.testing.assert_allclose(found, want @ v, rtol=1e-8, atol=1e-10)


def test_a_loss_of_ones_own_has_its_own_hessian():
    network = build(CONFIGS["bag"])
    squares = lambda network, batch: 1.5 * jnp.sum(network.classifier.kernel[...] ** 2)
    found = jax.jit(lambda network: hessian_product(network, BATCH, network, squares))(network)
    kernel = network.classifier.kernel[...]
    np.testing.assert_allclose(found.classifier.kernel[...], 3 * kernel, rtol=1e-6)
    np.testing.assert_array_equal(found.embedding[...], 0)


@pytest.mark.parametrize(
    ("product", "steps"), [(hessian_product, 3), (hessian_product, 40), (gauss_newton_product, 40)]
)
def test_eigenvalues_are_those_of_the_dense_matrix(dense, product, steps):
    network, H, J, P = dense
    want = np.linalg.eigvalsh(H if product is hessian_product else gauss_newton(J, P).mean(axis=0))[::-1]
    with jax.enable_x64(True):
        found = largest_eigenvalues(product, network, BATCH, 2, steps)
    for value, error in zip(*found, strict=True):
        assert np.abs(want - value).min() <= error + 1e-10 * want[0]
    if steps == 40:
        np.testing.assert_allclose(found.values, want[:2], rtol=1e-8)


def test_what_is_exhausted_ends_early():
    """Half the sum of squares has the Hessian 1: one step finds all that there is."""
    network = build(CONFIGS["bag"])
    found = largest_eigenvalues(lambda network, batch, v: v, network, BATCH, k=2, steps=5)
    np.testing.assert_allclose(found.values, [1], rtol=1e-5)
    np.testing.assert_allclose(found.error, [0], atol=1e-5)


@pytest.mark.parametrize("k", [0, 4])
def test_more_eigenvalues_than_steps_are_refused(k):
    with unchecked(), pytest.raises(ValueError, match="k must be at least 1 and at most steps, 3"):
        largest_eigenvalues(hessian_product, build(CONFIGS["bag"]), BATCH, k, 3)


def test_the_fisher_information_of_a_text_is_the_trace_of_its_gauss_newton_matrix(dense):
    network, _, J, P = dense
    want = np.trace(gauss_newton(J, P), axis1=1, axis2=2)
    with jax.enable_x64(True):
        np.testing.assert_allclose(fisher_by_text(network, BATCH), want, rtol=1e-8)


def test_the_noise_scale_is_that_of_the_gradients_text_by_text(dense):
    network, _, J, P = dense
    g = np.stack([(p - np.eye(3)[label]) @ j for j, p, label in zip(J, P, BATCH.labels, strict=True)])
    variance = g.var(axis=0, ddof=1).sum()
    square = np.sum(g.mean(axis=0) ** 2) - variance / 2
    with jax.enable_x64(True):
        found = noise_scale(network, FILLED)
    np.testing.assert_allclose(found, [variance / square, variance, square], rtol=1e-8)


def test_the_noise_scale_has_no_bias():
    """Over all pairs of four texts, the two estimates have the mean of the four texts' own."""
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(1, 11, (4, 5)), rng.integers(0, 3, 4)
    network, mask = build(CONFIGS["bag"]), np.ones((4, 5), bool)

    def of(rows):
        return noise_scale(network, Batch(*(jnp.asarray(x[rows]) for x in (ids, mask, labels))))

    pairs = [of([i, j]) for i in range(4) for j in range(i)]
    whole = of([0, 1, 2, 3])
    assert np.mean([pair.variance for pair in pairs]) == pytest.approx(float(whole.variance), rel=1e-3)
    assert np.mean([pair.square for pair in pairs]) == pytest.approx(float(whole.square), rel=1e-3, abs=1e-4)


# --- influence ----------------------------------------------------------------------------------------------

DAMPING = 0.05


def log_p(A, W):
    logits = A @ W
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def trained(A, labels, weights):
    """Minimise Σ weight·cross entropy + DAMPING/2·|W|² by Newton's method."""
    W, Y = np.zeros((A.shape[1], 3)), np.eye(3)[labels]
    for _ in range(30):
        P = np.exp(log_p(A, W))
        slope = A.T @ (weights[:, None] * (P - Y)) + DAMPING * W
        C = P[:, :, None] * (np.eye(3) - P[:, None])
        H = np.einsum("i,ia,ikl,ib->akbl", weights, A, C, A).reshape(W.size, -1) + DAMPING * np.eye(W.size)
        W = W - np.linalg.solve(H, slope.reshape(-1)).reshape(W.shape)
    return W


@pytest.fixture(scope="module")
def classified():
    """A bag whose classifier is at its minimum on twenty texts, with these and three test texts."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        network = in_float64(build(BagConfig(d=3)))
        network.embedding[...] = jnp.asarray(rng.normal(size=(11, 3)))
        train, test = (
            Batch(
                *map(jnp.asarray, (rng.integers(1, 11, (n, 4)), np.ones((n, 4), bool), rng.integers(0, 3, n)))
            )
            for n in (20, 3)
        )
        pooled = jax.jit(lambda network, batch: network.trace(*batch[:2]).h)
        A, A_test = (np.c_[pooled(network, batch), np.ones(len(batch.labels))] for batch in (train, test))
        W = trained(A, np.asarray(train.labels), np.full(20, 1 / 20))
        network.classifier.kernel[...], network.classifier.bias[...] = jnp.asarray(W[:-1]), jnp.asarray(W[-1])
        return network, train, test, A, A_test


def test_influence_is_what_less_weight_of_a_text_does_to_a_classifier_that_is_trained_anew(classified):
    network, train, test, A, A_test = classified
    with jax.enable_x64(True):
        found = influence(network, train, test, DAMPING)
    labels, test_labels = np.asarray(train.labels), np.asarray(test.labels)

    def losses(i, less):
        """The losses of the test texts if training text i counts so much less."""
        weights = np.full(20, 1 / 20) - less / 20 * (np.arange(20) == i)
        return -log_p(A_test, trained(A, labels, weights))[range(3), test_labels]

    slopes = np.stack([(losses(i, 1e-3) - losses(i, -1e-3)) / 2e-3 for i in range(20)], axis=1)
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-8)
    gone = np.stack([losses(i, 1) - losses(i, 0) for i in range(20)], axis=1)
    assert np.corrcoef(found.ravel(), gone.ravel())[0, 1] > 0.98


def test_filler_has_no_influence_and_changes_none(classified):
    network, train, test, *_ = classified
    with jax.enable_x64(True):
        filled = Batch(*(jnp.asarray(np.concatenate([x, x[:2]])) for x in map(np.asarray, train[:3])))
        filled = filled._replace(labels=jnp.asarray(np.r_[train.labels, -1, -1]))
        alone, found = (influence(network, batch, test, DAMPING) for batch in (train, filled))
    np.testing.assert_allclose(found[:, :20], alone, rtol=1e-10)
    np.testing.assert_array_equal(found[:, 20:], 0)


@pytest.mark.parametrize("name", ["voices", "Transformer"])
def test_the_classifier_reads_what_its_gradient_says(name):
    network = build(CONFIGS[name])
    found = curvature._at_classifier(network, BATCH)[2]
    want = jax.jit(lambda n, b: by_parameter(n, b, per_text=True))(network, BATCH).classifier
    np.testing.assert_allclose(found[:, :-1], want.kernel[...], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, -1], want.bias[...], rtol=1e-4, atol=1e-5)


def test_no_damping_is_refused():
    with unchecked(), pytest.raises(ValueError, match="damping must be above 0, got 0"):
        influence(build(TINY), BATCH, BATCH, damping=0)
