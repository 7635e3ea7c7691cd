"""What can be chosen in the formulas, by name, for the settings of networks and files: no JAX is loaded."""

from collections.abc import Callable
from typing import Any, Literal

__all__ = ["Activation", "Combine", "Function", "ReadOut"]

Function = Callable[..., Any]  # of one's own, where a setting may hold one besides a name

Combine = Literal["interfere", "modulate"]
ReadOut = Literal["real", "magnitude", "real_imag"]
Activation = Literal["none", "relu", "gelu", "tanh"]
