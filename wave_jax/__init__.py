"""The Wave Network in JAX and Flax. `import wave_jax as wj` is light: names load when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Where each name of the face lives. The modules themselves are reachable too: wj.wave, wj.gradients, ...
_HOME = {
    "COMBINE": "wave",
    "encode": "wave",
    "interfere": "wave",
    "magnitude": "wave",
    "mix": "wave",
    "modulate": "wave",
    "phase": "wave",
    "read_out": "wave",
    "Trace": "network",
    "count_parameters": "network",
}
_MODULES = frozenset({"baselines", "bert", "gradients", "model", "network", "numerics", "objective", "wave"})

__all__ = [*_HOME, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from wave_jax.network import Trace as Trace
    from wave_jax.network import count_parameters as count_parameters


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(f"wave_jax.{name}")
    if name in _HOME:
        return getattr(import_module(f"wave_jax.{_HOME[name]}"), name)
    raise AttributeError(f"module 'wave_jax' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
