"""The Wave Network in JAX and Flax. `import wave_jax as wj` is light: names load when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wave_jax.classifier import WaveClassifier
    from wave_jax.gradients import by_parameter, by_stage, by_token
    from wave_jax.model import PAPER_INTERFERENCE, PAPER_MODULATION, WaveConfig, WaveNetwork
    from wave_jax.network import Trace, count_parameters
    from wave_jax.presets import SMALL
    from wave_jax.train import NonFinite, TrainConfig, fit
    from wave_jax.wave import encode, interfere, magnitude, mix, modulate, phase, read_out

# Where each name of the face lives; the modules are reachable too: wj.wave, wj.datasets, ...
_HOME = {
    **dict.fromkeys(("encode", "interfere", "magnitude", "mix", "modulate", "phase", "read_out"), "wave"),
    **dict.fromkeys(("Trace", "count_parameters"), "network"),
    **dict.fromkeys(("PAPER_INTERFERENCE", "PAPER_MODULATION", "WaveConfig", "WaveNetwork"), "model"),
    **dict.fromkeys(("by_parameter", "by_stage", "by_token"), "gradients"),
    "SMALL": "presets",
    "WaveClassifier": "classifier",
    **dict.fromkeys(("NonFinite", "TrainConfig", "fit"), "train"),
}
_MODULES = (
    "answers",
    "attribution",
    "baselines",
    "batches",
    "bert",
    "checkpoint",
    "classifier",
    "datasets",
    "evaluate",
    "explain",
    "export",
    "gradients",
    "measures",
    "model",
    "network",
    "numerics",
    "objective",
    "parallel",
    "planted",
    "plots",
    "predictor",
    "study",
    "tables",
    "text",
    "train",
    "wave",
)

__all__ = [
    "PAPER_INTERFERENCE",
    "PAPER_MODULATION",
    "SMALL",
    "NonFinite",
    "Trace",
    "TrainConfig",
    "WaveClassifier",
    "WaveConfig",
    "WaveNetwork",
    "by_parameter",
    "by_stage",
    "by_token",
    "count_parameters",
    "encode",
    "fit",
    "interfere",
    "magnitude",
    "mix",
    "modulate",
    "phase",
    "read_out",
]


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(f"wave_jax.{name}")
    if name in _HOME:
        return getattr(import_module(f"wave_jax.{_HOME[name]}"), name)
    raise AttributeError(f"module 'wave_jax' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__, *_MODULES])
