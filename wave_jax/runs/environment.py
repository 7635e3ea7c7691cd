"""Where a result was made: devices, versions and the state of the code."""

import platform
from collections import Counter
from importlib.metadata import version

import jax

__all__ = ["PACKAGES", "device", "versions"]

PACKAGES = ("wave_jax", "jax", "flax", "optax", "numpy", "orbax-checkpoint", "tokenizers")


def device() -> str:
    """The devices that JAX computes on.

    >>> " x " in device()
    True
    """
    kinds = Counter(device.device_kind for device in jax.devices())
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())


def versions() -> dict[str, str]:
    """Of Python and of the packages that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
