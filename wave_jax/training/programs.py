"""Compiled programs kept on disk, so that the next process loads what an earlier one compiled.

JAX has such a cache, but only where it is asked for, and it writes its files in place: one that was cut
short brings a warning for ever. Here a file is whole or absent and carries its digest; what does not fit is
compiled again.
"""

import contextlib
import hashlib
import logging
import os
import platform
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import jax

from wave_jax.data.published import data_folder

__all__ = ["Programs", "folder", "keep"]

_LIMIT = 2**28  # bytes of all programs of a machine
_DIGEST = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


class Programs:
    """The programs in a folder by their keys: what JAX asks of a cache. Processes may share the folder."""

    def __init__(self, path: Path):
        self.path, self.full = path, False

    def get(self, key: str) -> bytes | None:
        """Return a program; None if it is missing or damaged, and then it is gone."""
        try:
            content = (self.path / key).read_bytes()
        except OSError:
            return None
        program = content[_DIGEST:]
        whole = hashlib.sha256(program).digest() == content[:_DIGEST]
        with contextlib.suppress(OSError):  # the folder may be read-only
            if whole:
                os.utime(self.path / key)
            else:
                (self.path / key).unlink(missing_ok=True)
        return program if whole else None

    def put(self, key: str, program: bytes) -> None:
        """Keep a program; where that fails, say so once."""
        if self.full:
            return
        beside = self.path / f".{secrets.token_hex(8)}.part"
        try:
            beside.write_bytes(hashlib.sha256(program).digest() + program)
            os.replace(beside, self.path / key)
        except OSError as error:
            self.full = True
            _warn(self.path, error.strerror)
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def trim(self, most: int) -> None:
        """Remove those not used for the longest time, if all together hold more than `most` bytes."""
        with contextlib.suppress(OSError):  # another process removes them too
            found = [(file.stat(), file) for file in self.path.iterdir() if file.is_file()]
            total = sum(stat.st_size for stat, _ in found)
            if total <= most:
                return
            for stat, file in sorted(found, key=lambda pair: pair[0].st_mtime):
                if total > most // 2:
                    file.unlink(missing_ok=True)
                    total -= stat.st_size


def folder() -> Path | None:
    """Return where programs are kept, or None for nowhere.

    That is `$WAVE_JAX_PROGRAMS`, nowhere if it is "off", else the user's cache folder. Machines that share a
    home have folders of their own: a program is compiled for one kind of processor.
    """
    given = os.environ.get("WAVE_JAX_PROGRAMS")
    if given == "off":
        return None
    root = Path(given).expanduser().absolute() if given else data_folder() / "programs"
    return root / hashlib.sha256(_machine().encode()).hexdigest()[:12]


@cache
def keep() -> None:
    """Keep compiled programs in `folder` from now on, unless the user has given JAX a folder of its own."""
    path = folder()
    given = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if path is None or given is not None:
        return
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            raise PermissionError(0, "others may write there")
    except OSError as error:
        _warn(path, error.strerror)
        return
    programs = Programs(path)
    programs.trim(_LIMIT)
    _install(programs)


def _install(programs: Programs) -> None:
    """Make JAX use these programs."""
    from jax._src import compilation_cache  # a cache of one's own has no public door; a test watches this one

    def file_cache(path: str) -> Any:
        return (programs, path) if path == str(programs.path) else jaxs_own(path)

    jaxs_own = compilation_cache.get_file_cache
    compilation_cache.get_file_cache = file_cache
    jax.config.update("jax_compilation_cache_dir", str(programs.path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache.reset_cache()  # what was compiled before has found that there is none


def _machine() -> str:
    """Describe the processor by what it can do."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
    return f"{platform.machine()} {platform.processor()}"


def _warn(path: Path, why: str | None) -> None:
    _log.warning("Compiled programs cannot be kept in %s (%s): every process compiles its own.", path, why)
