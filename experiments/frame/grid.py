"""A grid of cells: each computed once, kept as soon as it is there, and found again by its key."""

import contextlib
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from wave_jax.disk import write_whole
from wave_jax.runs.environment import machine

__all__ = ["Key", "cells", "finished", "origins", "packed", "unpacked"]

Key = Mapping[str, Any]


def cells(out: Path, keys: Sequence[Key], find: Callable[[Key], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `find(key)` for every key, in order, as JSON gives it back; compute only what cells.jsonl lacks.

    A cell is kept with its origin: the report may be written elsewhere. A key holds all that its cell follows
    from: data and their digest, model, seed, and settings, which may be dataclasses. A folder of weights
    counts as what is in it, wherever it is. A changed key is another cell. What is None in a key is as if it
    were not there: a new setting that is not set changes no cell of before. Lines that cannot be read, as of
    a disk that was full, are as if they were not there.
    """
    path = out / "cells.jsonl"
    lines = {_name(line["key"]): line for line in _lines(path)}
    left = {name: key for key in keys if (name := _name(key)) not in lines}
    print(f"{len(left)} of {len(keys)} cells are left to compute.", flush=True)
    for name, key in tqdm(left.items(), desc="cells", disable=not left):
        lines[name] = json.loads(_json({"key": key, "origin": machine(), "found": find(key)}))
        write_whole(path, "".join(f"{_json(line)}\n" for line in lines.values()).encode())
    return [lines[_name(key)]["found"] for key in keys]


def finished(out: Path, keys: Sequence[Key]) -> list[Key]:
    """Return the keys whose cells are in cells.jsonl."""
    known = {_name(line["key"]) for line in _lines(out / "cells.jsonl")}
    return [key for key in keys if _name(key) in known]


def origins(out: Path) -> str:
    """Return with what the cells were computed, each origin with the number of its cells, one a line."""
    counts = Counter(line["origin"] for line in _lines(out / "cells.jsonl") if "origin" in line)
    return "\n".join(f"- {count} cells: {where}" for where, count in counts.items())


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines


def _name(key: Key) -> str:
    """Return a key as text, without what is None in it."""

    def told(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: told(of) for name, of in value.items() if of is not None}

    return json.dumps(told(json.loads(_json(key))), sort_keys=True)


def _json(value: Any) -> str:
    """Write JSON that is equal for what is equal, whatever the order of its names."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {"kind": type(value).__name__, **dataclasses.asdict(value)}
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        if isinstance(value, Path):
            return f"{value.name} {_digest(value / 'model.safetensors')}"
        return str(value)

    return json.dumps(value, sort_keys=True, default=plain)


@cache
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def packed(right: np.ndarray) -> str:
    """Pack which texts are answered right, as a cell keeps it.

    >>> packed(np.array([True, False, True]))
    'a0'
    """
    return np.packbits(right).tobytes().hex()


def unpacked(right: str) -> np.ndarray:
    """Unpack which texts are answered right, and nothing after them.

    >>> unpacked("a0").nonzero()[0].tolist()
    [0, 2]
    """
    return np.unpackbits(np.frombuffer(bytes.fromhex(right), np.uint8)) == 1
