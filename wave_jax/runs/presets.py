"""What can be trained by name: a network, its training and its vocabulary, as one value.

A preset says all of a run but its texts. A variation of it is `dataclasses.replace`.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.tokens import rounded_up
from wave_jax.errors import check_choices, check_setting
from wave_jax.networks.configs import (
    PAPER_INTERFERENCE,
    PAPER_MODULATION,
    BagConfig,
    BertConfig,
    TransformerConfig,
    WaveConfig,
)
from wave_jax.networks.kinds import NetworkConfig, check_kind
from wave_jax.runs.settings import Settings
from wave_jax.training.config import PAPER, PAPER_BERT, TrainConfig

__all__ = ["PRESETS", "SMALL", "Preset", "filled", "max_length", "most_rows", "preset", "rows_of", "within"]


@dataclass(frozen=True)
class Preset:
    """All settings of a run but its texts."""

    network: NetworkConfig
    """What is trained."""
    training: TrainConfig
    """How it is trained."""
    v: int = 30_000
    """Maximum number of rows of the vocabulary, which is trained on the texts."""
    whole_words: bool = False
    """Whole words instead of pieces; unknown words are represented by their look (`Tokenizer.train`)."""
    stems: int = 0
    """How many of these rows are for stems: beginnings that many words share."""
    pairs: int = 0
    """Rows for the pairs of neighbouring tokens that say most about the labels of the training texts."""
    parameters: int | None = None
    """Maximum number of parameters, tables included; with many rows the network is narrower than d."""
    valid: float | Path = 0.2
    """Share of the training texts held out for validation, if the corpus has no validation texts; or a file
    of validation texts; 0 trains on all texts."""
    calibrate: bool | None = None
    """Whether a temperature is chosen on the validation texts; None for where label smoothing, which leaves
    a network too modest, is on."""
    weights: Path | None = None
    """Folder of a BERT to start from, with its tokenizer: all of it for bert, its words for a Transformer. A
    pooler that it lacks starts at random."""

    def __post_init__(self):
        check_choices(self)
        for name in ("stems", "pairs"):
            check_setting(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")

    @property
    def calibrates(self) -> bool:
        """Return whether answers get a temperature: of the presets, those of SMALL alone.

        >>> [PRESETS[name].calibrates for name in PRESETS]
        [True, False, False]
        """
        return self.training.smoothing > 0 if self.calibrate is None else self.calibrate

    def build(self, *, v: int, c: int, rngs: Any) -> Any:
        """Build the preset's network for v rows of vocabulary and c classes, narrowed to fit `parameters`.

        >>> from flax import nnx
        >>> from wave_jax.networks.layers import count_parameters
        >>> count_parameters(SMALL.build(v=30_000, c=4, rngs=nnx.Rngs(0))).total
        2162956
        """
        return within(self, v, c).build(v=v, c=c, rngs=rngs)


_PAPER_V = 30_522  # BERT's
_STEP = 8  # dimensions that `within` takes away at a time: SMALL's voice

SMALL = Preset(
    WaveConfig(d=96, voice_width=8, dropout=0.3, max_length=512),
    TrainConfig(
        epochs=None,
        rate=3e-3,
        schedule="cosine",
        smoothing=0.1,
        drop_tokens=0.6,
        keep_tokens=30,
        keep="last",
    ),
    v=20_000,
    whole_words=True,
    stems=8_000,
    pairs=29_000,
    parameters=2_400_000,
    valid=0.05,
)
PRESETS = {
    "small": SMALL,
    "paper-modulation": Preset(PAPER_MODULATION, PAPER, _PAPER_V),
    "paper-interference": Preset(PAPER_INTERFERENCE, PAPER, _PAPER_V),
}


def preset(
    name: str = "small",
    model: str = "wave",
    weights: str | Path | None = None,
    start: Settings | None = None,
) -> Preset:
    """Return the preset of this name, for the Wave Network or for a baseline of its size and training.

    Args:
      name: one of `PRESETS`.
      model: kind of the network.
      weights: folder of a BERT to start from.
      start: settings of the run that is started from, whose network it takes over.

    >>> preset("small", "transformer").network.d == preset("small").network.d
    True
    """
    check_setting("preset", name, name in PRESETS, f"one of {', '.join(PRESETS)}")
    check_kind(model)
    chosen = PRESETS[name]
    if start is not None:
        check_setting("model", model, model == start.kind, f"{start.kind}, as what is started from")
        check_setting("weights", weights, weights is None, "left out where a run is started from")
    if weights is not None:
        chosen = replace(chosen, weights=Path(weights), parameters=None)  # as wide as the weights are
    if model == "bert":
        there = weights is not None or start is not None
        check_setting("weights", weights, there, "the folder of a BERT where the model is bert")
        network = start.network if start else BertConfig.read(str(weights))
        tuned = replace(chosen, network=network, training=PAPER_BERT, pairs=0)
        return replace(tuned, whole_words=False, stems=0) if start else tuned  # its tokens are pieces
    if model == "transformer":  # it sees order by itself, and places: as many rows, all for words
        chosen = replace(chosen, v=chosen.v + chosen.pairs, stems=0, pairs=0)
    return replace(chosen, network=start.network if start else _of_size(chosen.network, model))


def _of_size(network: NetworkConfig, model: str) -> NetworkConfig:
    """Return a baseline as wide as this Wave Network, that reads as much of a text."""
    assert isinstance(network, WaveConfig)
    d, length = network.d, network.max_length
    if model == "transformer":  # it drops at every sum, where a tenth is usual
        rate = min(network.dropout, 0.1)
        return TransformerConfig(d, max(4, d // 64), width=4 * d, dropout=rate, max_length=length)
    return BagConfig(d, network.dropout, length) if model == "bag" else network


def within(preset: Preset, v: int, c: int) -> NetworkConfig:
    """Return the widest network of the preset's kind, no wider than its own, that holds at most `parameters`.

    >>> [within(preset("small"), v, c=4).d for v in (9_000, 30_000, 49_000)]
    [96, 72, 48]
    """
    network = preset.network
    if preset.parameters is None or isinstance(network, BertConfig):
        return network
    for d in range(network.d, 0, -_STEP):
        if v * d > preset.parameters:  # the table alone: a network is drawn up only where that fits
            continue
        narrow = _of_width(network, d)
        if _parameters(narrow, v, c) <= preset.parameters:
            return narrow
    raise ValueError(
        f"{v:,} rows are too many for {preset.parameters:,} parameters: ask for fewer rows (v, pairs), or "
        "allow more parameters."
    )


def rows_of(preset: Preset, v: int, c: int) -> int:
    """Return the rows of the network's table for a vocabulary of v rows: some more, as the preset allows.

    Folds of a corpus, whose vocabularies differ by a few rows, so share compiled programs.

    >>> rows_of(SMALL, 1_412, 4), rows_of(SMALL, 49_000, 4)
    (1536, 49000)
    """
    more = max(v, min(rounded_up(v), preset.v + preset.pairs))
    return more if within(preset, more, c) == within(preset, v, c) else v


def most_rows(preset: Preset, c: int) -> int:
    """Return how many rows of vocabulary `parameters` and the maxima of the preset allow its own network.

    >>> most_rows(replace(SMALL, network=replace(SMALL.network, d=48)), c=4), most_rows(SMALL, c=4)
    (49000, 24958)
    """
    one, two = (_parameters(preset.network, v, c) for v in (1, 2))
    room = preset.v + preset.pairs
    return room if preset.parameters is None else min(room, 1 + (preset.parameters - one) // (two - one))


def filled(preset: Preset, tokenizer: Tokenizer) -> Preset:
    """Return the preset with as many rows for words, stems and pairs as its tokenizer has on some texts.

    >>> tokenizer = Tokenizer.train(["planned cats", "planning cats"], v=40, whole_words=True, stems=9)
    >>> (of_texts := filled(SMALL, tokenizer)).v, of_texts.stems, of_texts.pairs
    (11, 3, 0)
    """
    if preset.weights is not None:
        return preset
    stems = sum(token.endswith("##") for token in tokenizer.vocabulary) if preset.whole_words else 0
    return replace(preset, v=len(tokenizer.vocabulary), stems=stems, pairs=len(tokenizer.pairs))


def _of_width(network: WaveConfig | TransformerConfig | BagConfig, d: int) -> NetworkConfig:
    if isinstance(network, TransformerConfig):
        return replace(network, d=d, width=network.width * d // network.d)
    return replace(network, d=d)


@lru_cache(256)
def _parameters(network: NetworkConfig, v: int, c: int) -> int:
    from flax import nnx  # here alone: options and settings need no JAX

    from wave_jax.networks.layers import count_parameters

    return count_parameters(nnx.eval_shape(lambda: network.build(v=v, c=c, rngs=nnx.Rngs(0)))).total


def max_length(network: NetworkConfig) -> int:
    """Return the number of tokens of a text that a network reads."""
    return network.max_position_embeddings if isinstance(network, BertConfig) else network.max_length
