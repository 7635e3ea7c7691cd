"""Before anything of JAX: eight CPU devices, and shapes checked at run time by beartype."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

from jaxtyping import install_import_hook

install_import_hook("wave_jax", "beartype.beartype")


def unchecked(function):
    """The function as a user has it, without the shape checks of the tests: for tests of its own errors."""
    return getattr(function, "__wrapped__", function)
