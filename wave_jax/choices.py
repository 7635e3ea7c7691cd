"""What can be chosen in the formulas, by name, for the settings of networks and files: no JAX is loaded."""

from typing import Literal

__all__ = ["Activation", "Combine", "ReadOut"]

Combine = Literal["interfere", "modulate"]
ReadOut = Literal["real", "magnitude", "real_imag"]
Activation = Literal["none", "relu", "gelu", "tanh"]
