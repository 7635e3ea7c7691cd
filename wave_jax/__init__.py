"""The Wave Network in JAX and Flax: encode texts as complex waves, train on them, study their gradients.

    import wave_jax as wj

    wj.encode, wj.polar, wj.interfere, wj.modulate  the papers' formulas, on bare arrays
    wj.WaveClassifier                               texts and labels in, answers out
    wj.SMALL, wj.PAPER_MODULATION                   networks by name; `.build(v=, c=, rngs=)` makes one
    wj.fit, wj.by_stage, wj.gradient_study          train a network, differentiate it, measure its gradients

Everything is loaded when it is first used, so `import wave_jax` is light. Every module is an attribute,
whatever its folder: `wj.batches` is `wave_jax.data.batches`.
"""

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wave_jax.classifier import WaveClassifier
    from wave_jax.data.batches import Batch
    from wave_jax.data.tokenizer import Tokenizer
    from wave_jax.networks.configs import (
        PAPER_INTERFERENCE,
        PAPER_MODULATION,
        BagConfig,
        BertConfig,
        TransformerConfig,
        WaveConfig,
    )
    from wave_jax.networks.layers import count_parameters
    from wave_jax.networks.trace import Network, Trace
    from wave_jax.networks.wave_network import WaveNetwork
    from wave_jax.runs.presets import SMALL
    from wave_jax.study.gradients import by_parameter, by_stage, by_token
    from wave_jax.study.papers import gradient_study
    from wave_jax.study.shares import by_polar
    from wave_jax.training.config import TrainConfig
    from wave_jax.training.loop import NonFinite, fit
    from wave_jax.wave import encode, interfere, magnitude, mix, modulate, phase, polar, read_out

# The module of each public name.
_HOME = {
    "BagConfig": "networks.configs",
    "Batch": "data.batches",
    "BertConfig": "networks.configs",
    "Network": "networks.trace",
    "NonFinite": "training.loop",
    "PAPER_INTERFERENCE": "networks.configs",
    "PAPER_MODULATION": "networks.configs",
    "SMALL": "runs.presets",
    "Tokenizer": "data.tokenizer",
    "Trace": "networks.trace",
    "TrainConfig": "training.config",
    "TransformerConfig": "networks.configs",
    "WaveClassifier": "classifier",
    "WaveConfig": "networks.configs",
    "WaveNetwork": "networks.wave_network",
    "by_parameter": "study.gradients",
    "by_polar": "study.shares",
    "by_stage": "study.gradients",
    "by_token": "study.gradients",
    "count_parameters": "networks.layers",
    "encode": "wave",
    "fit": "training.loop",
    "gradient_study": "study.papers",
    "interfere": "wave",
    "magnitude": "wave",
    "mix": "wave",
    "modulate": "wave",
    "phase": "wave",
    "polar": "wave",
    "read_out": "wave",
}
# What modules were called that earlier notebooks use.
_FORMER = {
    "baselines": "wave_jax.networks.bag",
    "objective": "wave_jax.training.loss",
    "text": "wave_jax.data.tokenizer",
}

__all__ = [
    "PAPER_INTERFERENCE",
    "PAPER_MODULATION",
    "SMALL",
    "BagConfig",
    "Batch",
    "BertConfig",
    "Network",
    "NonFinite",
    "Tokenizer",
    "Trace",
    "TrainConfig",
    "TransformerConfig",
    "WaveClassifier",
    "WaveConfig",
    "WaveNetwork",
    "by_parameter",
    "by_polar",
    "by_stage",
    "by_token",
    "count_parameters",
    "encode",
    "fit",
    "gradient_study",
    "interfere",
    "magnitude",
    "mix",
    "modulate",
    "phase",
    "polar",
    "read_out",
]


@cache
def _modules() -> dict[str, str]:
    """Return the full name of every module of the library, commands apart, by its own name."""
    names = [module.name for module in pkgutil.walk_packages(__path__, "wave_jax.")]
    return _FORMER | {
        name.rpartition(".")[2]: name for name in names if ".cli" not in name and "__" not in name
    }


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"wave_jax.{_HOME[name]}"), name)
    if not name.startswith("_") and name in _modules():
        return import_module(_modules()[name])
    raise AttributeError(f"module 'wave_jax' has no attribute {name!r}")


def __dir__():
    return sorted(["__doc__", "__version__", *_HOME, *_modules()])
