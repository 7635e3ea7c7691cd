"""Programs: only so many are kept, whatever they are compiled for, and the answers are those of `jax.jit`."""

import gc
import os
import platform
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rooms import ROOT

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


@pytest.mark.parametrize(
    ("flags", "backend", "level"),
    [("", "cpu", 2), ("--xla_backend_optimization_level=0", "cpu", None), ("", "gpu", None)],
)
def test_a_cpu_compiles_by_the_second_level_unless_flags_name_one(flags, backend, level, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    options = []
    with monkeypatch.context() as context:
        context.setattr(jax, "jit", lambda f, **given: options.append(given["compiler_options"]) or f)
        assert few(1)(lambda x: x + 1).jitted(1) == 2
    assert options == [level and {"xla_backend_optimization_level": level}]


def test_never_more_programs_than_said():
    function = few(3, static_argnames="power")(powers)
    for power in [*range(5), *range(5)]:
        assert function(np.float32(2), power) == 2**power
        assert function.jitted._cache_size() <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="memory maps are counted where Linux tells them")
def test_what_a_forgotten_program_held_is_given_back():
    def held(function):
        before = len(Path("/proc/self/maps").read_text().splitlines())
        for power in range(40):
            function(np.ones(3, np.float32), power + 0.5)
        return len(Path("/proc/self/maps").read_text().splitlines()) - before

    kept = held(jax.jit(powers, static_argnames="power"))
    assert held(few(4, static_argnames="power")(powers)) < kept / 4


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is known to keep it")
def test_free_memory_goes_back_to_the_system():
    def held():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    function = few(1, static_argnames="power")(powers)
    for power in range(2):  # what it needs for itself
        function(np.float32(2), power)
    parts = [bytearray(2000) for _ in range(50_000)]
    last = bytearray(2000)  # memory is given back unasked from the end alone
    full = held()
    del parts
    kept = held()
    for power in range(2, 4):
        function(np.float32(2), power)
    assert kept > full - 50e6 > held()
    assert len(last) == 2000


def test_small_programs_beside_them_are_forgotten_too():
    def kept():
        gc.collect()
        return len(jax.local_devices()[0].client.live_executables())

    function = few(2)(lambda x: x + 1)
    before = kept()
    for n in range(1000, 1020):
        np.testing.assert_array_equal(function(jnp.ones(n) * 2), np.full(n, 3.0))  # each n has its own ones
    assert kept() - before < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_gets_an_error_instead_of_waiting_for_ever():
    script = (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "from tiny import DATA, PRESET\n"
        "from wave_jax.runs import run\n"
        "from wave_jax.serving.live import Answers\n"
        "answers = Answers(run.prepare(DATA, PRESET).start)\n"
        "alone = answers.predict_proba(['up'])\n"
        "for act in (lambda: answers.predict_proba(['up']), lambda: run.prepare(DATA, PRESET)):\n"
        "    if os.fork() == 0:\n"
        "        try: act()\n"
        "        except RuntimeError as error: os._exit(7 if 'was forked after JAX' in str(error) else 1)\n"
        "        os._exit(1)\n"
        "    assert os.waitstatus_to_exitcode(os.wait()[1]) == 7\n"
        "assert (answers.predict_proba(['up']) == alone).all()"
    )
    here = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    subprocess.run([sys.executable, "-c", script], env=os.environ | here, check=True, timeout=120)
