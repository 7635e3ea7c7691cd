"""The installed command, as a user runs it: in a pipe."""

import subprocess
import sys

import pytest


def wave_jax(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "wave_jax.cli", *arguments], capture_output=True, text=True)


def test_demo_shows_versions_devices_and_a_worked_encoding():
    run = wave_jax("demo")
    assert (run.returncode, run.stderr) == (0, "")
    assert "wave_jax 0.1.0" in run.stdout
    assert " x cpu" in run.stdout
    assert "3.00+4.00j 1.00+1.41j" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [[], ["dance"]])
def test_wrong_usage_ends_with_2_and_shows_the_usage(arguments):
    run = wave_jax(*arguments)
    assert run.returncode == 2
    assert "usage: wave-jax" in run.stderr
    assert "Traceback" not in run.stderr
