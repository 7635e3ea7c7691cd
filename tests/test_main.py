"""The package itself is the command line."""

import subprocess
import sys


def test_the_package_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "wave_jax", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wave_jax ")
