"""Who may write into a run folder: one run at a time, and of many processes the first."""

import fcntl
import os
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from wave_jax.errors import CheckpointError

__all__ = []

_held: set[int] = set()


def locked(file: Path) -> int:
    """Lock a file until `unlock`, or until this process ends, however it ends; a link is not followed."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
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
    _held.add(handle)
    return handle


def unlock(handle: int) -> None:
    """Let others lock the file again. In a forked child, whose lock it is not, nothing is left to do."""
    if handle in _held:
        _held.discard(handle)
        os.close(handle)


def _forget() -> None:
    """Close the locks in a forked child: it would keep them after its parent's death."""
    for handle in list(_held):
        unlock(handle)


os.register_at_fork(after_in_child=_forget)


def is_first() -> bool:
    """Return whether this process is the one of many that writes what is not an array."""
    return jax.process_index() == 0


def together(place: str) -> None:
    """Wait until all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"wave_jax {place}")
