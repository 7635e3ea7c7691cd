"""What a gradient moves: magnitude and phase, against finite differences in polar coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import BATCH, CONFIGS, build, in_float64

from wave_jax import wave
from wave_jax.study.gradients import by_stage
from wave_jax.study.shares import by_polar, magnitude_share, wave_shares

rng = np.random.default_rng(0)
Z = rng.normal(size=(3, 4)) + 1j * np.abs(rng.normal(size=(3, 4)))
A = rng.normal(size=(2, 3, 4))


def score(Z):
    """A function of a wave that is not linear in any part of it."""
    return jnp.sum(A[0] * Z.real * Z.imag + A[1] * jnp.sin(Z.real) + Z.imag**3)


@jax.jit
def slope(Z):
    """The derivative of the score by a wave, as `by_stage` has it."""
    return jnp.conj(jax.grad(score)(Z))


def test_derivatives_are_those_of_the_function_of_magnitude_and_phase():
    with jax.enable_x64(True):
        z = jnp.asarray(Z)
        turned = lambda size, angle: score(size * jnp.exp(1j * angle))
        want = jax.jit(jax.grad(turned, argnums=(0, 1)))(*wave.polar(z))
        for found, of in zip(by_polar(z, slope(z)), want, strict=True):
            np.testing.assert_allclose(found, of, rtol=1e-10)


def test_the_two_parts_make_up_the_gradient():
    with jax.enable_x64(True):
        z = jnp.asarray(Z)
        by_Z = slope(z)
        by_size, by_angle = by_polar(z, by_Z)
        across = np.sum((by_angle / np.abs(Z)) ** 2)
        np.testing.assert_allclose(np.sum(by_size**2) + across, np.sum(np.abs(by_Z) ** 2), rtol=1e-10)
        share = magnitude_share(z, by_Z)
        np.testing.assert_allclose(share, np.sum(by_size**2) / np.sum(np.abs(by_Z) ** 2), rtol=1e-10)


def test_nothing_at_0_and_of_nothing():
    zero = jnp.zeros((2, 2), jnp.complex64)
    for found in by_polar(zero, zero + 1):
        np.testing.assert_array_equal(found, 0)
    assert float(magnitude_share(zero, zero + 1)) == 0
    assert float(magnitude_share(zero + 1, zero)) == 0
    tiny = jnp.full((2, 2), 1e-30 + 0j, jnp.complex64)  # whose squares float32 does not hold
    assert float(magnitude_share(zero + 1, tiny)) == 1


def test_a_magnitude_read_out_moves_magnitudes_alone():
    """The read-out of `interference` there is |Z|, so that ∂L/∂Z lies along Z."""
    shares = wave_shares(build(CONFIGS["interference"]), BATCH)
    assert float(shares["Z"]) == pytest.approx(1, abs=1e-5)
    assert 0 < float(shares["Z1"]) < 1


def test_shares_are_means_over_texts_without_padding():
    network = build(CONFIGS["modulation"])
    with jax.enable_x64(True):
        network = in_float64(network)
        both = jax.jit(lambda n, b: (n.trace(*b[:2]).Z1, by_stage(n, b, per_text=True).Z1))
        want = []
        for z, g, mask in zip(*jax.device_get(both(network, BATCH)), np.asarray(BATCH.mask), strict=True):
            along = (np.conj(z) * g)[mask].real / np.abs(z)[mask]
            want.append(np.sum(along**2) / np.sum(np.abs(g)[mask] ** 2))
        np.testing.assert_allclose(wave_shares(network, BATCH)["Z1"], np.mean(want), rtol=1e-9)


def test_filler_is_no_text():
    network, filler = build(CONFIGS["modulation"]), BATCH._replace(labels=jnp.array([1, -1]))
    alone = jax.tree.map(lambda x: x[:1], BATCH)
    for found, want in zip(*(wave_shares(network, batch).values() for batch in (filler, alone)), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5)


def test_a_modulation_hands_one_derivative_by_phase_and_log_magnitude_to_all_three_waves():
    with jax.enable_x64(True):
        Z1, Z2 = jnp.asarray(Z), jnp.asarray(Z[::-1] * 1.7)
        both = jax.grad(lambda a, b: score(wave.modulate(a, b)), argnums=(0, 1))(Z1, Z2)
        product = wave.modulate(Z1, Z2)
        at = [(Z1, both[0]), (Z2, both[1]), (product, jax.grad(score)(product))]
        found = [by_polar(z, jnp.conj(g)) for z, g in at]
        for one, (z, _) in zip(found, at, strict=True):
            np.testing.assert_allclose(one.phase, found[2].phase, rtol=1e-10)
            np.testing.assert_allclose(
                one.magnitude * abs(z), found[2].magnitude * abs(product), rtol=1e-10, atol=1e-12
            )


def test_at_the_variants_the_global_part_lies_along_the_text_and_the_local_part_across_it():
    w, weights = rng.normal(size=(5, 4)), rng.normal(size=(2, 5, 4))

    def of_wave(Z):
        return jnp.sum(weights[0] * Z.real**2 + jnp.cos(weights[1] * Z).real)

    @jax.jit
    def derivatives(w):
        waves = wave.encode(w)
        by_w = jax.grad(lambda w: of_wave(wave.encode(w)))(w)
        turns = jax.jacobian(lambda w: wave.phase(wave.encode(w))[:, 0])(w)[..., 0]
        return waves, by_polar(waves, jnp.conj(jax.grad(of_wave)(waves))), by_w, turns

    with jax.enable_x64(True):
        waves, (by_size, by_angle), by_w, turns_of_first = jax.device_get(derivatives(jnp.asarray(w)))
    G, s = np.abs(waves), waves.imag
    turns = w[:, None] * w[None] / (s * G**2)[:, None]  # ∂α_j/∂w_m as [j, m, k]
    turns[range(5), range(5)] = -s / G**2
    np.testing.assert_allclose(turns[..., 0], turns_of_first, rtol=1e-9)
    together = w / G * by_size.sum(axis=0)
    own = np.einsum("jk,jmk->mk", by_angle, turns)
    np.testing.assert_allclose(together + own, by_w, rtol=1e-9)
    np.testing.assert_allclose(np.sum(w * own, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.sum(together**2) + np.sum(own**2), np.sum(by_w**2), rtol=1e-9)


def test_layers_have_their_own_and_other_networks_none():
    assert len(wave_shares(build(CONFIGS["two layers"]), BATCH)["Z"]) == 2
    with pytest.raises(ValueError, match="Transformer has no waves: give wave_shares a Wave Network"):
        wave_shares(build(CONFIGS["Transformer"]), BATCH)
