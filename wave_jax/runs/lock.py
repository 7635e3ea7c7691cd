"""Who may write into a run folder: one run at a time, and of many processes the first."""

import fcntl
import os
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from wave_jax.errors import CheckpointError

__all__ = []


def locked(file: Path) -> int:
    """Lock a file until this process ends, however it ends."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 20).decode() or "unknown"
        os.close(handle)
        raise CheckpointError(
            f"{file.parent} is being written by another run (process {owner}): wait for it, stop it, or name"
            " another folder."
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle


def is_first() -> bool:
    """Return whether this process is the one of many that writes what is not an array."""
    return jax.process_index() == 0


def together(place: str) -> None:
    """Wait until all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"wave_jax {place}")
