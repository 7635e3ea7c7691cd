"""What can be trained by name: a network, its training and its vocabulary, as one value.

A preset says all of a run but its texts; a variation of it is `dataclasses.replace`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from wave_jax import model, recipe
from wave_jax.baselines import BagConfig, TransformerConfig
from wave_jax.bert import BertConfig
from wave_jax.model import WaveConfig
from wave_jax.network import check_setting
from wave_jax.recipe import TrainConfig

__all__ = ["MODELS", "PRESETS", "Model", "NetworkConfig", "Preset", "max_length", "preset"]

Model = Literal["wave", "transformer", "bag", "bert"]
MODELS: tuple[Model, ...] = ("wave", "transformer", "bag", "bert")
NetworkConfig = WaveConfig | TransformerConfig | BagConfig | BertConfig


@dataclass(frozen=True)
class Preset:
    """The settings of a run but its texts. Those with a name are in PRESETS."""

    network: NetworkConfig
    """What is trained."""
    training: TrainConfig
    """How it is trained."""
    v: int = 30_000
    """Rows of the vocabulary that is trained on the texts, at most."""
    whole_words: bool = False
    """No pieces of words: the unknown are told by their look (`Tokenizer.train`)."""
    pairs: int = 0
    """Rows for pairs of neighbouring tokens, those that say most about the labels of the training texts."""
    valid: float = 0.2
    """Share of the training texts that validate instead, where the source has no texts for it."""
    weights: Path | None = None
    """Folder of a BERT to start from, with its tokenizer: all of it for bert, its words for a Transformer."""


_PAPER_V = 30_522  # BERT's

PRESETS = {
    "small": Preset(model.SMALL, recipe.SMALL, v=20_000, pairs=29_000, valid=0.1),
    "paper-modulation": Preset(model.PAPER_MODULATION, recipe.PAPER, _PAPER_V),
    "paper-interference": Preset(model.PAPER_INTERFERENCE, recipe.PAPER, _PAPER_V),
}


def preset(name: str = "small", model: str = "wave", weights: str | Path | None = None) -> Preset:
    """The preset of this name, for the Wave Network or for a baseline of its size and training.

    >>> preset("small", "transformer").network.d == preset("small").network.d
    True
    """
    check_setting("preset", name, name in PRESETS, f"one of {', '.join(PRESETS)}")
    check_setting("model", model, model in MODELS, f"one of {', '.join(MODELS)}")
    chosen = PRESETS[name]
    if weights is not None:
        chosen = replace(chosen, weights=Path(weights))
    if model == "bert":
        check_setting("weights", weights, weights is not None, "the folder of a BERT where the model is bert")
        return replace(chosen, network=BertConfig.read(str(weights)), training=recipe.PAPER_BERT, pairs=0)
    if model == "transformer":  # it sees order by itself: as many rows, all for words
        chosen = replace(chosen, v=chosen.v + chosen.pairs, pairs=0)
    return replace(chosen, network=_of_size(chosen.network, model))


def _of_size(network: NetworkConfig, model: str) -> NetworkConfig:
    """A baseline as wide as this Wave Network, that reads as much of a text."""
    assert isinstance(network, WaveConfig)
    d, length = network.d, network.max_length
    if model == "transformer":  # it drops at every sum, where a tenth is usual
        rate = min(network.dropout, 0.1)
        return TransformerConfig(d, max(4, d // 64), width=4 * d, dropout=rate, max_length=length)
    return BagConfig(d, network.dropout, length) if model == "bag" else network


def max_length(network: NetworkConfig) -> int:
    """Tokens of a text that a network reads."""
    return network.max_position_embeddings if isinstance(network, BertConfig) else network.max_length
