"""Who is compared: the papers' networks at their size or at SMALL's, and variants of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from wave_jax.networks.bert import BertConfig
from wave_jax.runs import presets
from wave_jax.runs.presets import Preset

__all__ = ["GRID", "Networks", "given", "models", "of_grid", "with_seed"]

Networks = Literal["paper", "small"]


def models(networks: Networks, weights: str | None = None, names: Sequence[str] = ()) -> dict[str, Preset]:
    """Return what the papers compare, at their size and settings or at SMALL's, and its variants.

    A wave has one voice, as the papers' have. A Transformer on given words is as wide as they are. At the
    papers' size there are also waves without positions, and Transformers with rates and warm-ups of `GRID`.

    Args:
      networks: whose size and settings.
      weights: folder of a BERT; without one, what needs it is left out.
      names: which models to return; all but the grid if empty.

    >>> list(models("small"))
    ['modulation', 'interference', 'Transformer', 'bag']
    """
    name = "paper-modulation" if networks == "paper" else "small"
    wave = presets.preset(name)
    wave = replace(wave, network=replace(wave.network, voice_width=None))
    interference = replace(wave, network=replace(wave.network, combine="interfere"))
    known = {
        "modulation": wave,
        "interference": interference,
        "Transformer": presets.preset(name, "transformer"),
        "bag": presets.preset(name, "bag"),
    }
    if networks == "paper":
        for wave_name, with_positions in (("modulation", wave), ("interference", interference)):
            bare = replace(with_positions.network, positions="none")
            known[f"{wave_name}, no positions"] = replace(with_positions, network=bare)
    if weights is not None:
        known |= given(name, weights)
    grid = {grid_name: of_grid(known["Transformer"], *point) for grid_name, point in GRID.items()}
    known_too = known | grid
    if unknown := [name for name in names if name not in known_too]:
        more = "" if weights else ", and with weights of Transformer, given words and BERT"
        raise ValueError(f"There is no model {unknown[0]!r}: choose of {', '.join(known_too)}{more}.")
    return {name: known_too[name] for name in names or known}


def given(name: str, weights: str) -> dict[str, Preset]:
    """Return what starts from the weights of a BERT: a Transformer on its words, and all of it."""
    words, size = presets.preset(name, "transformer", weights), BertConfig.read(weights)
    wide = {"d": size.hidden_size, "heads": size.num_attention_heads, "width": 4 * size.hidden_size}
    return {
        "Transformer, given words": replace(words, network=replace(words.network, **wide)),
        "BERT": presets.preset(name, "bert", weights),
    }


# Peak rates and shares of warm-up that the Transformer is tried with; the rate falls linearly to 0.
GRID = {
    f"Transformer, rate {rate:g}, warm-up {warm_up:g}": (rate, warm_up)
    for rate in (1e-4, 3e-4, 1e-3)
    for warm_up in (0.0, 0.1)
}


def of_grid(transformer: Preset, rate: float, warm_up: float) -> Preset:
    """Return the Transformer trained at another rate, with warm-up, falling linearly to 0."""
    training = replace(transformer.training, rate=rate, warm_up=warm_up, schedule="linear")
    return replace(transformer, training=training)


def with_seed(preset: Preset, seed: int, epochs: int | None) -> Preset:
    """Return a preset trained with this seed, and for another number of epochs if one is given."""
    training = replace(preset.training, seed=seed, epochs=epochs or preset.training.epochs)
    return replace(preset, training=training)
