"""Measures: each against a second derivation in plain NumPy, its laws, its masks and its zeros."""

import itertools
import math
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked

from wave_jax import wave
from wave_jax.study import measures
from wave_jax.study.statistics import mcnemar

rng = np.random.default_rng(0)
X = rng.normal(size=(7, 5)).astype(np.float32) ** 3
MASK = np.array([1, 1, 0, 1, 1, 0, 1]) == 1
KEPT = X[MASK].astype(float)


def gini_by_pairs(x):
    """Mean |a - b| over all pairs, by half the mean."""
    size = np.abs(x).ravel()
    return np.abs(size[:, None] - size).mean() / (2 * size.mean())


def correlation_by_pairs(x):
    pairs = itertools.combinations(range(x.shape[1]), 2)
    return np.mean([abs(statistics.correlation(x[:, k], x[:, m])) for k, m in pairs])


def effective_rank_by_eigenvalues(x):
    sigma = np.sqrt(np.clip(np.linalg.eigvalsh(x.T @ x), 0, None))
    p = sigma[sigma > 1e-9] / sigma.sum()
    return np.prod(p**-p)


def resultant_by_pairs(x):
    """R² is the mean of all cosines, of each vector with itself included."""
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a in x for b in x]
    return math.sqrt(np.mean(cosines))


PLAIN = {
    "norm": lambda x: math.hypot(*x.ravel()),
    "mean": lambda x: statistics.fmean(x.ravel()),
    "spread": lambda x: statistics.pstdev(x.ravel()),
    "share_below": lambda x: sum(abs(v) <= 0.01 * np.abs(x).max() for v in x.ravel()) / x.size,
    "gini": gini_by_pairs,
    "resultant": resultant_by_pairs,
    "correlation": correlation_by_pairs,
    "effective_rank": effective_rank_by_eigenvalues,
}


def of(name, mask=None):
    return jax.jit(lambda x: getattr(measures, name)(x, mask=mask))


@pytest.mark.parametrize("name", PLAIN)
def test_against_a_second_derivation_without_and_with_a_mask(name):
    assert float(of(name)(X)) == pytest.approx(PLAIN[name](X.astype(float)), rel=1e-5, abs=1e-6)
    with np.errstate(all="raise"):
        hidden = np.where(MASK[:, None], X, np.nan)  # what the mask takes out is never looked at
        assert float(of(name, MASK)(hidden)) == pytest.approx(PLAIN[name](KEPT), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", PLAIN)
def test_zeros_one_entry_and_nothing_at_all_are_finite(name):
    sparse = name == "share_below"
    assert float(of(name)(np.zeros((3, 2), np.float32))) == (1 if sparse else 0)
    assert float(of(name, np.zeros(7, bool))(X)) == 0
    assert np.isfinite(of(name)(np.ones((1, 1), np.float32)))


@pytest.mark.parametrize("name", ["norm", "mean", "spread"])
def test_sizes_go_with_the_scale(name):
    assert float(of(name)(np.float32(1e-25) * X)) == pytest.approx(1e-25 * float(of(name)(X)), rel=1e-4)


@pytest.mark.parametrize("name", ["share_below", "gini", "resultant", "correlation", "effective_rank"])
def test_the_rest_does_not_hang_on_the_scale_nor_on_the_order(name):
    want = pytest.approx(float(of(name)(X)), rel=1e-4)
    assert float(of(name)(np.float32(1e-25) * X)) == want
    assert float(of(name)(X[::-1])) == want


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_sizes_are_sorted_by_their_bits_as_by_their_value(dtype):
    sizes = jnp.asarray([3, 0, 1e-30, 7, 7, jnp.inf, 0.5, jnp.nan, -0.0, 1e30], dtype)
    found, want = (sort(jnp.abs(sizes)).astype(jnp.float32) for sort in (measures._rising, jnp.sort))
    np.testing.assert_array_equal(found, want)


def test_gini_has_the_derivative_of_its_formula():
    x = rng.normal(size=7)
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(measures.gini))(jnp.asarray(x))
    moves = [(gini_by_pairs(x + t) - gini_by_pairs(x - t)) / 2e-6 for t in 1e-6 * np.eye(7)]
    np.testing.assert_allclose(slope, moves, rtol=1e-5, atol=1e-7)


def test_gini_of_many_equal_entries_keeps_its_digits():
    assert abs(float(of("gini")(np.full(3_000_000, 0.1, np.float32)))) < 1e-3


def test_sparsity_counts_exact_zeros_at_threshold_0():
    assert float(measures.share_below(np.float32([0, 0, 1e-30, 1]), threshold=0.0)) == 0.5


def test_correlation_leaves_out_dimensions_that_do_not_vary():
    constant = np.full((7, 2), 0.1, np.float32)  # its mean in float32 is not quite 0.1
    assert float(of("correlation")(np.hstack([X, constant]))) == pytest.approx(
        correlation_by_pairs(X), rel=1e-5
    )


def test_effective_rank_of_directions_that_are_equally_strong_counts_them():
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    for k in (1, 3, 6):
        assert float(of("effective_rank")((turn[:, :k] @ turn[:k]).astype(np.float32))) == pytest.approx(
            k, rel=1e-3
        )


def test_principal_is_the_share_of_the_largest_singular_values():
    sigma2 = np.linalg.svd(X.astype(float), compute_uv=False) ** 2
    for most in (1, 3):
        for x in (X, X.T):  # more vectors than dimensions, and fewer
            want = sigma2[:most].sum() / sigma2.sum()
            assert float(measures.principal(np.ascontiguousarray(x), most)) == pytest.approx(want, rel=1e-4)
    assert float(of("principal")(np.float32(1e-25) * X)) == pytest.approx(sigma2[0] / sigma2.sum(), rel=1e-4)
    assert float(of("principal")(0 * X)) == 0


def test_sign_agreement():
    steps = np.sign(rng.normal(size=(9, 4, 3))).astype(np.float32)
    plain = np.mean([abs(sum(column)) / 9 for column in steps.reshape(9, -1).T])
    agree = jax.jit(measures.sign_agreement)
    assert float(agree(steps)) == pytest.approx(plain, rel=1e-5)
    assert float(agree(np.abs(X))) == 1
    assert float(agree(0 * X)) == 0
    half = np.float32([[1, 0], [0, 0]])  # a step without movement says nothing against a direction
    assert float(agree(half)) == 1


def test_cosine():
    a, b = X[:3].astype(float), X[3:6].astype(float)
    want = [x @ y / math.hypot(*x) / math.hypot(*y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(measures.cosine(X[:3], X[3:6]), want, rtol=1e-5)
    np.testing.assert_allclose(measures.cosine(X[:3], np.float32(-1e-25) * X[:3]), -np.ones(3), rtol=1e-5)
    assert float(measures.cosine(X[0], 0 * X[0])) == 0


def test_off_diagonal_is_0_for_encoding_and_combining_and_not_behind_a_linear_map():
    w = jnp.asarray(X)

    def share(f):
        J = jax.jacrev(f)(w)  # (n, d, n, d)
        return float(measures.off_diagonal(jnp.moveaxis(J, 1, 2)))

    assert share(lambda w: wave.modulate(wave.encode(w), wave.encode(2 * w)).imag) == 0
    turned = share(lambda w: wave.encode(w @ jnp.asarray(X[:5])).imag)
    J = np.asarray(jax.jacrev(lambda w: wave.encode(w @ jnp.asarray(X[:5])).imag)(w), float)
    same = np.einsum("jkmk->", J**2)
    assert turned == pytest.approx(1 - same / np.sum(J**2), rel=1e-4)
    assert float(measures.off_diagonal(np.zeros((2, 3, 3), np.float32))) == 0


def test_bad_input():
    with unchecked():
        with pytest.raises(ValueError, match="same texts, got 2 and 3"):
            mcnemar(np.ones(2, bool), np.ones(3, bool))
        with pytest.raises(ValueError, match=r"covers its leading axes, got \(5,\)"):
            measures.norm(X, np.ones(5, bool))
