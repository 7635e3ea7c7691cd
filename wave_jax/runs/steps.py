"""Saved steps: named arrays in one directory per step, written by Orbax, with digests of arrays and files.

A step is written beside its place and renamed when it is whole. Orbax does not notice numbers that changed on
disk, and says what else is wrong in hundreds of lines. So files are compared with their SHA-256, and names
and shapes with what is wanted, before Orbax reads them, and arrays with theirs afterwards.
"""

import hashlib
import logging
import os
import re
import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from wave_jax.disk import sealed, write_whole
from wave_jax.errors import CheckpointError, first_few, one_line
from wave_jax.runs.notes import CURE, NOTE, Note, note_of

__all__ = [
    "Writing",
    "check_path",
    "clean",
    "describe",
    "load",
    "named",
    "put_aside",
    "remove",
    "write",
]

# What goes wrong inside Orbax is raised here as one sentence; its own log would bury that.
logging.getLogger("absl").addFilter(lambda record: f"{os.sep}orbax{os.sep}" not in record.pathname)

_ARRAYS = "arrays"
_WRITING = threading.Lock()  # Orbax mixes up the folders of two saves at a time, of one process
_UNFINISHED = re.compile(r"\d+\.(writing|deleted)")
_PATTERN = re.compile(r"[*?\[\\]")  # Orbax, by etils, reads a path with these as a pattern, and saves nothing


def named(tree: Any) -> dict[str, Any]:
    """Return the leaves of a state or network under their names, as `layers.0.norm.scale`."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value"): leaf
        for path, leaf in pairs
    }


def describe(arrays: Mapping[str, Any]) -> dict[str, list]:
    """Return shape, dtype and SHA-256 of each array, as JSON holds them.

    >>> describe({"step": np.int32(3)})["step"][:2]
    [[], 'int32']
    """
    return {
        name: [list(array.shape), str(array.dtype), hashlib.sha256(_bytes(array)).hexdigest()]
        for name, array in arrays.items()
    }


def _bytes(array: Any) -> memoryview:
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        array = multihost_utils.process_allgather(array, tiled=True)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


# --- on disk ------------------------------------------------------------------------------------------------


def check_path(folder: Path) -> None:
    """Raise a CheckpointError if Orbax would take the path of a folder for a pattern."""
    if found := _PATTERN.search(str(folder.absolute())):
        raise CheckpointError(
            f"{folder.absolute()} cannot hold saved steps because of the {found[0]} in its path: take a"
            " folder without any of * ? [ \\ in its path."
        )


class Writing(NamedTuple):
    """A step on its way to disk, behind the training that goes on."""

    folder: Path
    step: int
    done: Future

    def finish(self) -> None:
        """Wait until the step is on disk."""
        try:
            self.done.result()
        except Exception as error:
            clean(self.folder)  # a full disk gets back what the half-written step took
            raise CheckpointError(
                f"Step {self.step} could not be saved in {self.folder} ({one_line(error)}): the steps saved"
                " before are intact; make room or mend the disk, then resume."
            ) from None


def write(folder: Path, step: int, arrays: Mapping[str, Any], note: Note) -> Writing:
    """Begin to save a step; the arrays are copied before this returns, so training may use them up.

    Args:
      folder: where steps are saved.
      step: number of the step.
      arrays: arrays by name.
      note: what is written beside them.
    """
    check_path(folder)
    beside = folder / f"{step}.writing"
    _WRITING.acquire()
    try:
        if jax.process_index() == 0:
            beside.mkdir()
        response = _orbax().save_async(str(beside.absolute() / _ARRAYS), dict(arrays))
    except BaseException as error:
        _WRITING.release()
        if not isinstance(error, Exception):
            raise
        raise CheckpointError(f"Step {step} could not be saved in {folder} ({one_line(error)}).") from None

    def commit() -> None:
        try:
            response.result()
        finally:
            _WRITING.release()
        if jax.process_index() == 0:
            parts = beside.rglob("ocdbt.process_*")
            if not all((part.parent / "manifest.ocdbt").exists() for part in parts):  # Orbax only logs it
                raise ValueError("Orbax has not merged what its processes wrote")
            files = {str(file.relative_to(beside)): _sha256(file) for file in _files(beside)}
            write_whole(beside / NOTE, sealed(note._replace(files=files, step=step)._asdict()))
            os.replace(beside, folder / str(step))

    thread = ThreadPoolExecutor(1)
    done = thread.submit(commit)
    thread.shutdown(wait=False)  # it ends with its work, at the latest before the interpreter does
    return Writing(folder, step, done)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def load(folder: Path, step: int, like: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Load the arrays that `like` names, in its shapes, dtypes and shardings, and check their digests."""
    where = f"Step {step} in {folder}"
    check_path(folder)
    _, _, written, files, _ = note_of(folder, step)
    _compare(where, written, like)
    changed = [name for name, digest in files.items() if not _is_intact(folder / str(step) / name, digest)]
    if changed:
        raise CheckpointError(
            f"{where} is damaged: {first_few(changed)} changed since it was written, or cannot be read;"
            f" {CURE}."
        )
    ocp = _orbax()
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    try:
        with context:
            arrays = ocp.load(
                str(folder.absolute() / str(step) / _ARRAYS),
                {name: _target(leaf) for name, leaf in like.items()},
            )
    except Exception as error:
        raise CheckpointError(f"{where} is damaged: {one_line(error)}; {CURE}.") from None
    damaged = [name for name, found in describe(arrays).items() if found != written[name]]
    if damaged:
        raise CheckpointError(
            f"{where} is damaged: the numbers of {first_few(damaged)} are not those that were saved"
            f" (SHA-256); {CURE}."
        )
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def _is_intact(file: Path, digest: str) -> bool:
    try:
        return file.is_file() and _sha256(file) == digest
    except OSError:
        return False


def _target(leaf: Any) -> Any:
    """Return what Orbax loads into: the shards that are wanted, or one array that JAX may put anywhere."""
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        return np.empty(leaf.shape, leaf.dtype)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _compare(where: str, written: Mapping[str, list], like: Mapping[str, Any]) -> None:
    wrong = [
        f"{name} is {_kind(written.get(name))} there, {_kind(here)} here"
        for name, leaf in like.items()
        if (here := [list(leaf.shape), str(leaf.dtype)]) != written.get(name, [])[:2]
    ]
    if wrong:
        raise CheckpointError(
            f"{where} is of another model: {first_few(wrong)}; build the network as it was trained."
        )


def _kind(found: list | None) -> str:
    return f"{found[1]}{tuple(found[0])}" if found else "missing"


def remove(folder: Path, step: int) -> None:
    """Remove a step. It is renamed first, so that a step that is there is whole."""
    beside = folder / f"{step}.deleted"
    os.replace(folder / str(step), beside)
    shutil.rmtree(beside)


def put_aside(folder: Path, step: int) -> None:
    """Move a damaged step out of the way of the run, so that it can be looked at."""
    beside = folder / f"{step}.damaged"
    shutil.rmtree(beside, ignore_errors=True)
    os.replace(folder / str(step), beside)


def clean(folder: Path) -> None:
    """Remove what a killed or failed save left half-written, and a killed removal half-removed."""
    for entry in folder.glob("*"):
        if _UNFINISHED.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)


def _orbax() -> Any:
    """Import Orbax, which takes half a second: where a step is read or written, and nowhere else."""
    from orbax.checkpoint import v1

    return v1
