"""Before anything of JAX: eight CPU devices, and shapes checked at run time by beartype."""

import contextlib
import gc
import os
from importlib.metadata import version

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the other cores have tests of their own
# Most of the time of a test is compilation: the compiler need not try hard for arrays of a few numbers.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    + " --xla_cpu_parallel_codegen_split_count=1"
)
if version("jax") < "0.11":  # later ones end the process over a flag that they do not know
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"

from jaxtyping import config, install_import_hook

install_import_hook("wave_jax", "beartype.beartype")
gc.disable()  # until all is imported

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


def pytest_collection_finish():
    """Leave what was imported out of every later search for garbage, and search less often."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(config, items):
    """Leave the examples in docstrings out where JAX computes in float64: they print float32."""
    if os.environ.get("JAX_ENABLE_X64") == "1":
        examples = [item for item in items if isinstance(item, pytest.DoctestItem)]
        config.hook.pytest_deselected(items=examples)
        items[:] = [item for item in items if item not in examples]
