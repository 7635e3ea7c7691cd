"""Before anything of JAX: eight CPU devices, and shapes checked at run time by beartype."""

import contextlib
import os

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
# Most of the time of a test is compilation: the compiler need not try hard for arrays of a few numbers.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

from jaxtyping import config, install_import_hook

install_import_hook("wave_jax", "beartype.beartype")

from wave_jax.training import programs  # noqa: E402

# One folder for all workers and all processes that tests start, wherever these look for their data.
if folder := programs.folder():
    os.environ["WAVE_JAX_PROGRAMS"] = str(folder.parent)
programs.keep()


@contextlib.contextmanager
def unchecked():
    """wave_jax as a user has it, without the shape checks of the tests: for tests of its own errors."""
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", False)


def pytest_collection_modifyitems(config, items):
    """Leave the examples in docstrings out where JAX computes in float64: they print float32."""
    if os.environ.get("JAX_ENABLE_X64") == "1":
        examples = [item for item in items if isinstance(item, pytest.DoctestItem)]
        config.hook.pytest_deselected(items=examples)
        items[:] = [item for item in items if item not in examples]
