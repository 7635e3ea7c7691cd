"""Files that are whole or absent, JSON with its own digest, and arrays cached by their origin."""

import hashlib
import io
import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["cached", "digest_of", "key_of", "sealed", "unsealed", "write_whole"]

_VERSION = 1  # of the cached files, and of what makes them: files of another version are not read
_SIZE = 32  # bytes of the checksum that ends a cached file


def write_whole(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file beside its place, then rename: whoever reads it finds the old one or the new one."""
    path = Path(path)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(beside, "xb") as file:
            file.write(content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


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


def unsealed(raw: bytes) -> dict[str, Any]:
    """Read what `sealed` wrote; raise a ValueError for anything else."""
    content = json.loads(raw)
    if not isinstance(content, dict) or content.pop("sha256", None) != digest_of(content):
        raise ValueError("its content does not agree with its SHA-256")
    return content


def cached(
    folder: str | os.PathLike[str], key: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays of this key from the folder; make and store them if they are missing or damaged."""
    path = Path(folder) / f"{key}.npz"
    arrays = _load(path, key)
    if arrays is not None:
        return arrays
    arrays = make()
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    archive.write(_checksum(key, archive.getbuffer()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, archive.getbuffer())
    except OSError as error:
        raise OSError(f"The cache folder {folder} cannot be written ({error}): name another one.") from None
    return arrays


def _load(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """Load the arrays of a cached file; None if it is missing or not what was written under this key.

    Nothing is parsed before the checksum at the end of the file holds.
    """
    try:
        content = memoryview(path.read_bytes())
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
