"""Careful functions: their values, and their derivatives at the points where the plain form breaks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from wave_jax.numerics import layer_norm, masked, masked_mean, safe_sqrt


def test_safe_sqrt_is_sqrt_where_positive():
    x = np.array([1e-30, 0.25, 9.0, 1e30], np.float32)
    np.testing.assert_allclose(safe_sqrt(jnp.asarray(x)), np.sqrt(x.astype(np.float64)), rtol=1e-7)


@pytest.mark.parametrize("x", [0.0, -1.0])
def test_safe_sqrt_has_zero_value_and_derivatives_of_every_order_at_and_below_zero(x):
    for derivative in (
        safe_sqrt,
        jax.grad(safe_sqrt),
        jax.hessian(safe_sqrt),
        jax.jacfwd(jax.jacfwd(safe_sqrt)),
    ):
        assert derivative(jnp.float32(x)) == 0
    assert not np.isfinite(jax.grad(jnp.sqrt)(jnp.float32(0)))  # what it guards against


def test_safe_sqrt_does_not_swallow_nan():
    assert np.isnan(safe_sqrt(jnp.float32(np.nan)))


def test_layer_norm_against_numpy_and_its_derivatives():
    rng = np.random.default_rng(0)
    x, scale, bias = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=5)
    want = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * scale + bias
    with jax.enable_x64(True):
        got = layer_norm(*map(jnp.asarray, (x, scale, bias)), 1e-6)
        np.testing.assert_allclose(got, want, rtol=1e-12)
        check_grads(lambda *a: layer_norm(*map(jnp.asarray, a), 1e-6), (x, scale, bias), order=2)


def test_layer_norm_of_equal_numbers_is_its_bias_with_finite_gradient():
    x = jnp.full(4, 3.0)
    np.testing.assert_array_equal(layer_norm(x, jnp.ones(4), jnp.arange(4.0), 1e-6), np.arange(4))
    assert np.isfinite(jax.jacobian(layer_norm)(x, jnp.ones(4), jnp.ones(4), 1e-6)).all()


def test_masking_hides_even_nan_from_values_and_gradients():
    x = jnp.array([[1.0, 2.0], [jnp.nan, jnp.inf]])
    mask = jnp.array([True, False])
    np.testing.assert_array_equal(masked(x, mask), [[1, 2], [0, 0]])
    np.testing.assert_array_equal(masked_mean(x, mask), [1, 2])
    np.testing.assert_array_equal(jax.grad(lambda x: masked_mean(x, mask).sum())(x), [[1, 1], [0, 0]])


def test_masked_mean_without_mask_and_with_nothing_but_padding():
    x = jnp.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(masked_mean(x, None), x.mean(0))
    np.testing.assert_array_equal(masked_mean(x, jnp.zeros(3, bool)), [0, 0])
