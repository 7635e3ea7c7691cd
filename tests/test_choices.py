"""Each choice has its formula, in JAX and in an exported file."""

from typing import get_args

from wave_jax import wave
from wave_jax.choices import Activation, Combine, ReadOut
from wave_jax.networks import wave_network
from wave_jax.serving import file


def test_every_choice_has_a_formula():
    assert set(wave.COMBINE) == set(get_args(Combine))
    assert set(wave_network.ACTIVATIONS) == set(file.ACTIVATIONS) == set(get_args(Activation))
    assert (wave.Combine, wave.ReadOut) == (Combine, ReadOut)
