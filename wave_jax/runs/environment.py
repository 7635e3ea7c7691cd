"""Where a result was made: devices, versions, and the commit of the code."""

import os
import platform
import subprocess
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

import jax

__all__ = ["PACKAGES", "device", "hardware", "machine", "origin", "versions"]

PACKAGES = ("wave_jax", "jax", "flax", "optax", "numpy", "orbax-checkpoint", "tokenizers")


def device() -> str:
    """Count the devices that JAX computes on, by kind, and the cores that a CPU's sums are shared by.

    >>> " x " in device()
    True
    """
    kinds = Counter(device.device_kind for device in jax.devices())
    counts = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return f"{counts} of {_cores()} cores" if "cpu" in kinds else counts


def _cores() -> int:
    """Count the cores that this process may use: another number adds up in another order."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def hardware() -> str:
    """Return the device that a time was measured on, with the number of cores of a CPU."""
    first = jax.devices()[0]
    return f"{os.cpu_count()}-core {platform.machine()} CPU" if first.platform == "cpu" else first.device_kind


def machine() -> str:
    """Return versions, device and date: what a number was computed with."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax", "numpy"))
    return f"Python {platform.python_version()}, {packages} · {hardware()} · {date.today()}"


def origin(command: str, folder: Path) -> str:
    """Return command, commit of the folder, versions, device and date, as one Markdown line.

    A result begins with it.
    """
    head = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(head, cwd=folder, capture_output=True, text=True).stdout.strip() or "unknown"
    return f"`{command}` · commit {commit} · {machine()}"
