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
from functools import partial, update_wrapper
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
        self.jitted: Any = jax.jit(function, **options)
        self.most = most
        update_wrapper(self, function)

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
