"""The settings that a search tries: a preset, and others drawn around it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from wave_jax.networks.kinds import NetworkConfig
from wave_jax.runs.presets import Preset

__all__ = ["SPACE", "changes", "drawn"]

SPACE = {
    "rate": "from a third of the preset's to three times as much, evenly by its logarithm",
    "epochs": "1½ times or twice as many; so many steps if steps are given",
    "dropout": "from 0 to 0.5",
    "drop_tokens": "from 0 to 0.8",
    "smoothing": "from 0 to 0.2",
    "d": "½ or ¼ as wide at most",
    "words": "½ or ¼ of the rows for words that the texts fill",
    "stems": "0 or ½ of theirs",
    "pairs": "0, ¼ or ½ of theirs",
}
"""What is drawn, and from where. Each keeps the preset's value in half of all draws."""

_STEP = 8  # a width is a multiple of it: the voice of SMALL
_LEAST = 16  # rows for words: special tokens and a few more


def drawn(preset: Preset, epochs: int, seed: int, count: int) -> list[Preset]:
    """Return a preset and others drawn around it, all different; more of them begin with the same ones.

    Args:
      preset: the preset, with its rows as the texts fill them (`presets.filled`).
      epochs: how often a run of it reads each text.
      seed: seed of the draws.
      count: how many.
    """
    rng, found = np.random.default_rng(seed), [preset]
    while len(found) < count:
        if (another := _draw(preset, epochs, rng)) not in found:
            found.append(another)
    return found


def changes(preset: Preset, other: Preset) -> dict[str, Any]:
    """Return the settings of a preset that differ from those of another, by their names as options.

    >>> from wave_jax.runs.presets import SMALL
    >>> changes(replace(SMALL, pairs=0, network=replace(SMALL.network, d=48)), SMALL)
    {'d': 48, 'pairs': 0}
    """
    ours, theirs = _flat(asdict(preset)), _flat(asdict(other))
    return {name: value for name, value in ours.items() if value != theirs.get(name)}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(settings)
    return {**plain.pop("network"), **plain.pop("training"), **plain}


def _draw(preset: Preset, epochs: int, rng: np.random.Generator) -> Preset:
    """Draw settings around a preset; those that its network or its vocabulary lacks are left out."""
    network, training, words = preset.network, preset.training, preset.v - preset.stems
    values = {
        "rate": float(f"{training.rate * 3 ** rng.uniform(-1, 1):.2g}"),
        "epochs": float(rng.choice([1.5, 2])),
        "dropout": round(rng.uniform(0, 0.5), 2),
        "drop_tokens": round(rng.uniform(0, 0.8), 2),
        "smoothing": round(rng.uniform(0, 0.2), 2),
        "d": _narrower(network, float(rng.choice([0.5, 0.25]))),
        "words": max(_LEAST, int(words * rng.choice([0.5, 0.25]))),
        "stems": int(preset.stems * rng.choice([0, 0.5])),
        "pairs": int(preset.pairs * rng.choice([0, 0.25, 0.5])),
    }
    values = {name: value for name, value in values.items() if rng.random() < 0.5}
    if times := values.pop("epochs", None):
        name = "steps" if training.steps else "epochs"
        values[name] = max(1, round((training.steps or epochs) * times))
    values["v"] = values.pop("words", words) + values.get("stems", preset.stems)
    if preset.weights is not None:  # its vocabulary is not trained here, and its width is that of the weights
        values = {name: value for name, value in values.items() if name not in ("v", "stems", "pairs", "d")}
    return replace(preset, network=_with(network, values), training=_with(training, values), **_own(values))


def _narrower(network: NetworkConfig, share: float) -> int:
    """Return a share of the width, as a width that the network can have."""
    d, step = getattr(network, "d", 0), math.lcm(_STEP, getattr(network, "heads", 1))
    return max(min(d, step), int(d * share) // step * step)


def _with(settings: Any, values: Mapping[str, Any]) -> Any:
    """Return settings with those of the values that they have."""
    known = {field.name for field in fields(settings)} & {*values}
    return replace(settings, **{name: values[name] for name in known})


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are a preset's own, not its network's nor its training's."""
    return {name: values[name] for name in ("v", "stems", "pairs") if name in values}
