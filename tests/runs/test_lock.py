"""One run at a time writes into a folder, and a lock ends with its process."""

import os
import signal
import subprocess
import sys

import pytest

from wave_jax.errors import CheckpointError
from wave_jax.runs.lock import is_first, locked, together, unlock


def test_a_lock_is_held_once_and_names_its_owner(tmp_path):
    file = tmp_path / ".lock"
    handle = locked(file)
    with pytest.raises(CheckpointError, match=rf"is being written by another run \(process {os.getpid()}\)"):
        locked(file)
    unlock(handle)
    unlock(locked(file))


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    """It would go on holding it after its parent was killed, under the name of a dead process."""
    code = (
        "import os, sys, time; from pathlib import Path; from wave_jax.runs.lock import locked\n"
        "locked(Path(sys.argv[1]))\n"
        "if os.fork() == 0: print('forked', flush=True)\n"  # the child, once its lock is closed
        "time.sleep(60)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"forked\n"
            with pytest.raises(CheckpointError, match=f"process {process.pid}"):
                locked(tmp_path / ".lock")
            process.kill()
            process.wait()
            unlock(locked(tmp_path / ".lock"))
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        locked(tmp_path / ".lock")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_single_process_is_the_first_and_waits_for_nobody():
    assert is_first()
    together("test")
