"""Files that are whole or absent, JSON with its own digest, and arrays cached by their origin."""

import errno
import hashlib
import io
import json
import logging
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = [
    "cached",
    "digest_of",
    "flush",
    "is_trusted",
    "key_of",
    "open_regular",
    "read_regular",
    "sealed",
    "unsealed",
    "whole_file",
    "write_whole",
]

_VERSION = 1  # of the cached files, and of what makes them: files of another version are not read
_SIZE = 32  # bytes of the checksum that ends a cached file
_MOST = 2**27  # bytes of a file that is read as a whole
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # opening a pipe does not wait for who writes into it

_log = logging.getLogger(__name__)
_told: set[Path] = set()  # folders that nothing is cached in


def write_whole(path: str | os.PathLike[str], content: bytes | memoryview, *, flushed: bool = False) -> None:
    """Write a file beside its place, then rename: whoever reads it finds the old one or the new one.

    With `flushed` that also holds after a power cut. A link is replaced and not followed, an older file keeps
    its permissions, and what is no file, as a device, is left alone. An OSError names the file.
    """
    with whole_file(path, flushed=flushed) as file, _naming(path):
        file.write(content)


@contextmanager
def whole_file(path: str | os.PathLike[str], *, flushed: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write in parts; it is there, as `write_whole` leaves it, when the block has ended."""
    path = Path(path)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with _naming(path):
            mode = _mode_to_keep(path)
            file = open(beside, "xb")  # noqa: SIM115
        with file:
            if mode is not None:
                os.chmod(beside, mode)
            yield file
        with _naming(path):
            if flushed:
                _sync(beside)
            os.replace(beside, path)
            if flushed:
                _sync(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError of the block name this file, not the one beside it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def _mode_to_keep(path: Path) -> int | None:
    """Return the permissions of the file that is to be replaced; None if there is none."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is there already and is no file: name another one")
    return stat.S_IMODE(mode)


def flush(folder: Path) -> None:
    """Force all files of a folder to the disk: they are there after a power cut."""
    for path in (*folder.rglob("*"), folder):
        if path.is_dir() or path.is_file():
            _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_regular(path: str | os.PathLike[str], most: int = _MOST) -> bytes:
    """Read a file; raise an OSError if it is no file, as a pipe without an end, or too large."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, where {most:,} are read", str(path))
        return file.read(most)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading; raise an OSError if it is no file, as a pipe or a device."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _AT_ONCE))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return file


def is_trusted(path: str | os.PathLike[str]) -> bool:
    """Return whether nobody but this user (and root) can have written here."""
    status = os.stat(path)
    if not hasattr(os, "getuid"):  # Windows has other permissions
        return True
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def key_of(texts: Sequence[str], *settings: object) -> str:
    """Compute the SHA-256 of texts and settings.

    >>> key_of(["ab", "c"], 8) == key_of(["a", "bc"], 8)
    False
    """
    key = hashlib.sha256(json.dumps([_VERSION, len(texts), *settings]).encode())
    for i in range(0, len(texts), 1024):
        part = [text.encode("utf-8", "surrogatepass") for text in texts[i : i + 1024]]
        key.update(np.array([len(text) for text in part], "<i8").tobytes())
        key.update(b"".join(part))
    return key.hexdigest()


def digest_of(content: Any) -> str:
    """Compute the SHA-256 of what JSON can hold.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sealed(content: dict[str, Any]) -> bytes:
    """Write JSON that ends with the SHA-256 of its content.

    >>> unsealed(sealed({"d": 64}))
    {'d': 64}
    """
    return json.dumps({**content, "sha256": digest_of(content)}, indent=1, ensure_ascii=False).encode()


def unsealed(raw: bytes, *needed: str) -> dict[str, Any]:
    """Read what `sealed` wrote; raise a ValueError for anything else, or if it lacks what is needed."""
    try:
        content = json.loads(raw)
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None
    if not isinstance(content, dict) or content.pop("sha256", None) != digest_of(content):
        raise ValueError("its content does not agree with its SHA-256")
    if missing := [name for name in needed if name not in content]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    return content


def cached(
    folder: str | os.PathLike[str], key: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays of this key from the folder; make and store them if they are missing or damaged.

    What others may have written is not read, and a folder that cannot be written only costs time: both are
    told once, as a warning.
    """
    folder = Path(folder)
    path = folder / f"{key}.npz"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_trusted(folder):
            raise OSError(errno.EPERM, "others may write there: take their right away by `chmod go-w`")
    except OSError as error:
        _say_once(folder, error)
        return make()
    arrays = _load(path, key)
    if arrays is not None:
        return arrays
    arrays = make()
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    archive.write(_checksum(key, archive.getbuffer()))
    try:
        with archive.getbuffer() as content:
            write_whole(path, content)
    except OSError as error:
        _say_once(folder, error)
    return arrays


def _say_once(folder: Path, error: OSError) -> None:
    if folder not in _told:
        _told.add(folder)
        _log.warning("Nothing is cached in %s (%s), so it is made anew each time.", folder, error.strerror)


def _load(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """Load the arrays of a cached file; None if it is missing, of others, or not as written under this key.

    Nothing is parsed before the checksum at the end of the file holds.
    """
    try:
        if not is_trusted(path):
            return None
        with open_regular(path) as file:
            content = memoryview(file.read())
    except OSError:
        return None
    archive, checksum = content[:-_SIZE], content[-_SIZE:]
    if checksum != _checksum(key, archive):
        return None
    with np.load(io.BytesIO(archive), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _checksum(key: str, content: memoryview) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()
