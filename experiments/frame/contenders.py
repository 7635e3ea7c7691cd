"""Who is compared: the papers' networks at their size or at SMALL's, and variants of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from wave_jax.data.splits import Split
from wave_jax.networks import bert_weights
from wave_jax.networks.configs import BagConfig, BertConfig, WaveConfig
from wave_jax.runs import presets
from wave_jax.runs.presets import Preset

__all__ = ["FEWER", "Networks", "berts", "every", "fewer", "given", "grid", "models", "with_seed"]

Networks = Literal["paper", "small"]
FEWER = 3  # seeds at most of what costs more than a wave
LONG = 512  # tokens, where a text is not cut to the preset's 128


def models(networks: Networks, weights: Sequence[str] = (), names: Sequence[str] = ()) -> dict[str, Preset]:
    """Return these models of `every`; if none is named, all but those that read more and the grid.

    >>> list(models("small"))
    ['modulation', 'interference', 'Transformer', 'bag']
    """
    known = every(networks, weights)
    if unknown := [name for name in names if name not in known]:
        more = "" if weights else ", and with weights of what starts from them"
        raise ValueError(f"There is no model {unknown[0]!r}: choose of {', '.join(known)}{more}.")
    usual = [name for name in known if "warm-up" not in name and f"{LONG} tokens" not in name]
    return {name: known[name] for name in names or usual}


def every(networks: Networks, weights: Sequence[str] = ()) -> dict[str, Preset]:
    """Return what the papers compare, at their size and settings or at SMALL's, and its variants.

    A wave has one voice, as the papers' have. A Transformer on given words is as wide as they are. At the
    papers' size there are also waves without positions, and modulation read out as G·G', which no phase
    reaches.

    Args:
      networks: whose size and settings.
      weights: folders of BERTs, or of words alone; each is called as its folder is.
    """
    name = "paper-modulation" if networks == "paper" else "small"
    wave = presets.preset(name)
    wave = replace(wave, network=replace(wave.network, voice_width=None))
    waves = {"modulation": wave, "interference": _changed(wave, combine="interfere")}
    known = waves | {kind: presets.preset(name, kind.lower()) for kind in ("Transformer", "bag")}
    if networks == "paper":
        known |= {f"{of}, no positions": _changed(each, positions="none") for of, each in waves.items()}
        known |= {"modulation, no phase": _changed(wave, read_out="magnitude")}
    for folder in weights:
        known |= given(name, folder)
    longer = {f"{of}, {LONG} tokens": _changed(each, max_length=LONG) for of, each in waves.items()}
    return known | longer | {at: each for of in known for at, each in grid(of, known[of]).items()}


def given(name: str, folder: str) -> dict[str, Preset]:
    """Return what starts from the weights in a folder: a Transformer on its words, and the BERT if it is one.

    Args:
      name: of the preset whose Transformer it is.
      folder: holds a BERT, or its words alone.
    """
    called, size = Path(folder).name, BertConfig.read(folder)
    words = presets.preset(name, "transformer", folder)
    wide = {"d": size.hidden_size, "heads": size.num_attention_heads, "width": 4 * size.hidden_size}
    found = {f"Transformer on words of {called}": _changed(words, **wide)}
    if bert_weights.is_whole(folder):
        whole = presets.preset(name, "bert", folder)
        found |= {called: whole, f"{called}, random start": replace(whole, weights=None)}
    return found


def berts(weights: Sequence[str]) -> list[str]:
    """Return the names of the BERTs in these folders, as they are and from a random start."""
    whole = [Path(folder).name for folder in weights if bert_weights.is_whole(folder)]
    return [name for called in whole for name in (called, f"{called}, random start")]


# Peak rates, with shares of warm-up, that a network is tried with; the rate falls linearly to 0.
RATES = {
    "Transformer": tuple((rate, warm_up) for rate in (1e-4, 3e-4, 1e-3) for warm_up in (0.0, 0.1)),
    "BERT": tuple((rate, 0.1) for rate in (2e-5, 5e-5, 1e-4)),
}


def grid(name: str, preset: Preset) -> dict[str, Preset]:
    """Return a model trained with each of its `RATES`, if it has any: the Transformer and given BERTs do."""
    is_bert = isinstance(preset.network, BertConfig) and preset.weights is not None
    tried = RATES["BERT"] if is_bert else RATES.get(name, ())
    return {
        f"{name}, rate {rate:g}, warm-up {warm_up:g}": replace(
            preset, training=replace(preset.training, rate=rate, warm_up=warm_up, schedule="linear")
        )
        for rate, warm_up in tried
    }


def _changed(preset: Preset, **changes: object) -> Preset:
    return replace(preset, network=replace(preset.network, **changes))  # pyright: ignore[reportArgumentType]


def fewer(preset: Preset, seeds: int) -> int:
    """Return the number of seeds of a model: what costs more than a wave or a bag has at most `FEWER`."""
    cheap = isinstance(preset.network, WaveConfig | BagConfig)
    return seeds if cheap else min(seeds, FEWER)


def with_seed(preset: Preset, seed: int, epochs: int | None, train: Split) -> Preset:
    """Return a preset trained with this seed, for so many epochs if they are given.

    Else they are as many as the preset has for these texts, as a number: a cell is known by it.
    """
    epochs = epochs or preset.training.epochs_for(train.asked)
    return replace(preset, training=replace(preset.training, seed=seed, epochs=epochs))
