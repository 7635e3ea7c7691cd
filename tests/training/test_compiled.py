"""Programs: only so many are kept, whatever they are compiled for, and the answers are those of `jax.jit`."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wave_jax.training.compiled import few


def powers(tree, power):
    return jax.tree.map(lambda x: x**power, tree)


def test_the_same_kind_of_call_is_compiled_once():
    compiled = []

    @few(3, static_argnames="power")
    def function(tree, power):
        compiled.append(power)
        return powers(tree, power)

    for x in (np.float32(2), jnp.float32(3), np.arange(4.0)):
        for _ in range(2):
            np.testing.assert_allclose(function({"a": x}, 2)["a"], x**2)
    assert compiled == [2, 2]  # a number, and four of them


def test_never_more_programs_than_said():
    function = few(3, static_argnames="power")(powers)
    for power in [*range(9), *range(9)]:
        assert function(np.float32(2), power) == 2**power
        assert function.jitted._cache_size() == len(function.known) <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="memory maps are counted where Linux tells them")
def test_what_a_forgotten_program_held_is_given_back():
    def held(function):
        before = len(Path("/proc/self/maps").read_text().splitlines())
        for power in range(40):
            function(np.ones(3, np.float32), power + 0.5)
        return len(Path("/proc/self/maps").read_text().splitlines()) - before

    kept = held(jax.jit(powers, static_argnames="power"))
    assert held(few(4, static_argnames="power")(powers)) < kept / 4
