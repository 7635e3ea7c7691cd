"""Where a result was made: the devices and the versions."""

import platform
from collections import Counter
from importlib.metadata import version

import jax

__all__ = ["PACKAGES", "device", "versions"]

PACKAGES = ("wave_jax", "jax", "flax", "optax", "numpy", "orbax-checkpoint", "tokenizers")


def device() -> str:
    """Count the devices that JAX computes on, by kind.

    >>> " x " in device()
    True
    """
    kinds = Counter(device.device_kind for device in jax.devices())
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
