"""One run at a time writes into a folder, and a lock ends with its process."""

import os

import pytest

from wave_jax.errors import CheckpointError
from wave_jax.runs.lock import is_first, locked, together


def test_a_lock_is_held_once_and_names_its_owner(tmp_path):
    file = tmp_path / ".lock"
    handle = locked(file)
    with pytest.raises(CheckpointError, match=rf"is being written by another run \(process {os.getpid()}\)"):
        locked(file)
    os.close(handle)
    os.close(locked(file))


def test_a_single_process_is_the_first_and_waits_for_nobody():
    assert is_first()
    together("test")
