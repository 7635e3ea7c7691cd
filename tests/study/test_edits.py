"""Edits of waves: what each leaves, and what a network answers then."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import BATCH, CONFIGS, build

from wave_jax import wave
from wave_jax.networks.trace import Trace
from wave_jax.study.edits import central, scaled, shuffled

rng = np.random.default_rng(0)
Z = jnp.asarray(rng.normal(size=(2, 6, 4)) + 1j * np.abs(rng.normal(size=(2, 6, 4))), jnp.complex64)


def test_scaling_against_the_formula_and_its_ends():
    around = central(Z)
    R, rho = np.asarray(around.magnitude), np.asarray(around.phase)
    want = R * (abs(Z) / R) ** 0.3 * np.exp(1j * (rho + 0.6 * (np.angle(Z) - rho)))
    np.testing.assert_allclose(scaled(0.3, 0.6, around)(Z), want, rtol=1e-5)
    np.testing.assert_allclose(scaled()(Z), Z, rtol=1e-5)
    np.testing.assert_allclose(
        scaled(0.0, 0.0, around)(Z), np.broadcast_to(R * np.exp(1j * rho), Z.shape), rtol=1e-5
    )
    np.testing.assert_allclose(scaled(magnitude=0.0)(Z), Z / abs(Z), rtol=1e-5)
    np.testing.assert_allclose(scaled(phase=0.0)(Z), abs(Z), rtol=1e-5)


def test_a_phase_that_is_left_needs_no_angle_and_a_derivative_by_it_does():
    plain = jax.jit(lambda phase: scaled(0.5, phase)(Z))  # a traced phase takes the way by angles
    np.testing.assert_allclose(scaled(0.5)(Z), plain(1.0), rtol=1e-5)
    length = lambda scale: lambda z: jnp.sum(scale(z).real ** 3)
    slopes = [jax.grad(length(scale))(Z) for scale in (scaled(0.5), scaled(0.5, jnp.float32(1)))]
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-5)


def test_at_0_scaling_is_0_and_its_derivative_finite():
    @jax.jit
    @jax.value_and_grad
    def length(Z):
        return jnp.sum(wave.magnitude(scaled(0.5, 0.5)(Z)))

    zero = jnp.zeros((2, 2), jnp.complex64)
    value, slope = length(zero)
    assert value == 0
    np.testing.assert_array_equal(slope, 0)


def test_the_centre_counts_what_the_mask_says():
    few = central(Z, BATCH.mask)
    waves = np.asarray(Z)[np.asarray(BATCH.mask)]
    np.testing.assert_allclose(few.magnitude, np.exp(np.log(abs(waves)).mean(0)), rtol=1e-5)
    np.testing.assert_allclose(few.phase, np.angle(waves).mean(0), rtol=1e-5)


@pytest.mark.parametrize("part", ["phase", "magnitude"])
def test_shuffling_permutes_one_part_over_the_tokens_of_each_text(part):
    other = {"phase": "magnitude", "magnitude": "phase"}[part]
    before, after = wave.polar(Z), wave.polar(shuffled(jax.random.key(1), BATCH.mask, part)(Z))
    np.testing.assert_allclose(getattr(after, other), getattr(before, other), rtol=1e-5)
    a, b, mask = np.asarray(getattr(before, part)), np.asarray(getattr(after, part)), np.asarray(BATCH.mask)
    for i in range(2):
        real, pad = mask[i], ~mask[i]
        np.testing.assert_allclose(b[i][pad], a[i][pad], rtol=1e-5)
        np.testing.assert_allclose(np.sort(b[i][real], axis=0), np.sort(a[i][real], axis=0), rtol=1e-5)
        rows = [np.abs(a[i] - row).sum(axis=1).argmin() for row in b[i]]  # whole rows move
        assert sorted(rows) == list(range(6))
    assert np.abs(a - b).max() > 0.1
    with pytest.raises(ValueError, match="part must be phase or magnitude, got 'imag'"):
        shuffled(jax.random.key(1), BATCH.mask, "imag")


def test_a_network_without_magnitudes_answers_by_phases_alone():
    """With all magnitudes set to one, a louder text is the same text; without the edit it is another."""
    network = build(CONFIGS["modulation"])
    for layer in network.layers:
        for variant in (layer.variant1, layer.variant2):
            variant.bias[...] = jnp.zeros(6)
    louder = lambda w: 3 * w
    both = lambda edit, w: network.trace(*BATCH[:2], edit=Trace(w=w, Z1=edit, Z2=edit)).logits
    unit = scaled(magnitude=0.0)
    np.testing.assert_allclose(both(unit, louder), both(unit, None), rtol=1e-4, atol=1e-5)
    assert np.abs(both(None, louder) - both(None, None)).max() > 1e-3
