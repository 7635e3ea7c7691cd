"""Compiled functions that forget the programs of long ago.

`jax.jit` keeps every program for ever. On a CPU each of a training step's takes hundreds of memory maps of
the 65,530 that Linux grants a process, and the small programs that make, copy and measure a network of a new
shape take 200 together: a long search over settings would end in a segmentation fault. Their memory is some
40 MB a shape.
"""

import contextlib
import ctypes
import gc
import os
from collections.abc import Callable
from functools import cached_property, partial, update_wrapper
from typing import Any

import jax

from wave_jax.training import programs

__all__ = ["Few", "check_process", "few"]

_process: int | None = None  # the one that JAX was started in


class Few:
    """`jax.jit(function)` that starts anew, with all of JAX, when it keeps more than `most` programs.

    `jax.clear_caches` forgets the small programs too. What is needed again is compiled or loaded anew. A
    program counts twice if it is called with NumPy's arrays and with JAX's.
    """

    def __init__(self, function: Callable[..., Any], most: int, **options: Any):
        self.function, self.most, self.options = function, most, options
        update_wrapper(self, function)

    @cached_property
    def jitted(self) -> Any:
        """The function compiled by JAX, made at the first call: which device there is decides how."""
        return jax.jit(self.function, compiler_options=_of_device(), **self.options)

    def __call__(self, *args: Any) -> Any:
        check_process()
        programs.keep()
        result = self.jitted(*args)
        if self.jitted._cache_size() > self.most:
            jax.clear_caches()
            _give_back()
        return result


def few(most: int, **options: Any) -> Callable[[Callable[..., Any]], Few]:
    """Make a decorator that applies `Few`."""
    return partial(Few, most=most, **options)


def _of_device() -> dict[str, Any] | None:
    """Return what XLA is told: on a CPU to optimise by LLVM's second level, unless `XLA_FLAGS` names one.

    XLA's own choice, the third, compiles longer, and what it makes for narrow networks is slower.
    """
    named = "xla_backend_optimization_level" in os.environ.get("XLA_FLAGS", "")
    return None if named or jax.default_backend() != "cpu" else {"xla_backend_optimization_level": 2}


def _give_back() -> None:
    """Return free memory to the system: the GNU C library keeps it, in pieces too small for what follows."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def check_process() -> None:
    """Raise an error in a forked child, where JAX would wait for its parent's threads for ever."""
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise RuntimeError(
            "This process was forked after JAX had started, and JAX cannot compute here: start processes by"
            ' spawn (multiprocessing.get_context("spawn")), or answer from an exported file.'
        )
