"""The settings of each network, which need no JAX: what they build is imported when it is built."""

import json
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

from wave_jax.choices import Activation, Combine, Function, ReadOut
from wave_jax.disk import read_regular
from wave_jax.errors import check_choices, check_setting

__all__ = [
    "BERT_BASE",
    "PAPER_INTERFERENCE",
    "PAPER_MODULATION",
    "BagConfig",
    "BertConfig",
    "Config",
    "TransformerConfig",
    "WaveConfig",
    "weights_file",
]

_MOST = 2**20  # bytes of a BERT's config.json


class Config:
    """What the settings of all networks share."""

    builds: ClassVar[tuple[str, str]]
    """Module and name of the network."""

    def build(self, *, v: int, c: int, rngs: Any, **more: Any) -> Any:
        """Build the network of these settings with random parameters.

        Args:
          v: rows of the vocabulary.
          c: number of classes.
          rngs: random numbers for the parameters, `nnx.Rngs`.
          **more: what else the network takes, as the `words` of a Transformer.

        >>> from flax import nnx
        >>> WaveConfig(d=8).build(v=100, c=4, rngs=nnx.Rngs(0)).embedding.shape
        (100, 8)
        """
        check_setting("v", v, v >= 1, "at least 1")
        check_setting("c", c, c >= 2, "at least 2 classes")
        module, name = self.builds
        return getattr(import_module(f"wave_jax.networks.{module}"), name)(self, v, c, rngs, **more)


@dataclass(frozen=True)
class WaveConfig(Config):
    """The settings of a Wave Network. Presets: PAPER_MODULATION, PAPER_INTERFERENCE."""

    builds = "wave_network", "WaveNetwork"

    d: int = 768
    """Width of a token vector."""
    combine: Combine | Function = "modulate"
    """How the two waves of a token are combined; in Python, also a function (Z1, Z2) -> Z."""
    read_out: ReadOut | Function = "real_imag"
    """The way from a wave back to real numbers; in Python, also a function Z -> x of a width k·d."""
    pool: Literal["cls", "mean"] = "cls"
    """One vector for the text: the first token's, or the mean over tokens."""
    positions: Literal["none", "sinusoidal", "learned"] = "none"
    """What is added to a token's embedding to mark its position."""
    levels: Literal["input", "sentence"] = "input"
    """Whose norm is G: the text's for both waves, or for Z1 that of the token's own sentence."""
    voice_width: int | None = None
    """Smallest width of a voice; None for a single one. Voices are narrow Wave Networks side by side, as many
    as divide d. Each learns the labels by itself, and the mean of their logits answers."""
    layers: int = 1
    """Number of wave layers. One has no residual (P1 figure 6); several do (P1 equation 8)."""
    dropout: float = 0.0
    """Share of a layer's output set to 0 in training."""
    activation: Activation = "none"
    """What follows the feed forward's linear map."""
    max_length: int = 128
    """Tokens of a text that are read; also the rows of learned positions."""

    def __post_init__(self):
        check_choices(self)
        check_setting("d", self.d, self.d >= 1, "at least 1")
        wide = self.voice_width is None or self.voice_width >= 2
        check_setting("voice_width", self.voice_width, wide, "None or at least 2")
        check_setting("layers", self.layers, self.layers >= 1, "at least 1")
        check_setting("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        check_setting("max_length", self.max_length, self.max_length >= 2, "at least 2 ([CLS] and [SEP])")

    @property
    def voices(self) -> int:
        """Number of voices; 1 unless `voice_width` is set.

        >>> [WaveConfig(d=d, voice_width=8).voices for d in (7, 8, 20, 48)]
        [1, 1, 2, 6]
        """
        width = self.voice_width or self.d
        return next((k for k in range(self.d // width, 1, -1) if self.d % k == 0), 1)


PAPER_MODULATION = WaveConfig(positions="sinusoidal")
PAPER_INTERFERENCE = WaveConfig(positions="sinusoidal", combine="interfere")


@dataclass(frozen=True)
class BagConfig(Config):
    """The settings of a bag of embeddings."""

    builds = "bag", "Bag"

    d: int = 768
    """Width of a token vector."""
    dropout: float = 0.0
    """Share of h set to 0 in training."""
    max_length: int = 128
    """Tokens of a text that are read."""

    def __post_init__(self):
        check_setting("d", self.d, self.d >= 1, "at least 1")
        check_setting("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        check_setting("max_length", self.max_length, self.max_length >= 2, "at least 2 ([CLS] and [SEP])")


@dataclass(frozen=True)
class TransformerConfig(Config):
    """The settings of a pre-norm Transformer; the defaults are one layer of the size of BERT's."""

    builds = "transformer", "Transformer"

    d: int = 768
    """Width of a token vector."""
    heads: int = 12
    """Attention heads, each of width d / heads."""
    layers: int = 1
    """Layers of attention and feed forward."""
    width: int = 3072
    """Width inside the feed forward."""
    positions: Literal["none", "sinusoidal", "learned"] = "learned"
    """What is added to a token's embedding to mark its position."""
    pool: Literal["cls", "mean"] = "cls"
    """One vector for the text: the first token's, or the mean over tokens."""
    dropout: float = 0.0
    """Share set to 0 in training: of the embeddings, of every addition to them, and of h."""
    max_length: int = 128
    """Tokens of a text that are read; also the rows of learned positions."""

    def __post_init__(self):
        check_choices(self)
        check_setting("d", self.d, self.d >= 1, "at least 1")
        fits = self.heads >= 1 and self.d % self.heads == 0
        check_setting("heads", self.heads, fits, f"at least 1 and divide d = {self.d}")
        check_setting("layers", self.layers, self.layers >= 1, "at least 1")
        check_setting("width", self.width, self.width >= 1, "at least 1")
        check_setting("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        check_setting("max_length", self.max_length, self.max_length >= 2, "at least 2 ([CLS] and [SEP])")


# Where config.json says otherwise, the model is not the one computed here.
_FIXED = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False}
_OF_BERT = ("gelu", "gelu_new", "relu")  # activations; `bert` computes them


@dataclass(frozen=True)
class BertConfig(Config):
    """The settings of a BERT, named as in Hugging Face's config.json; the defaults are bert-base-uncased."""

    builds = "bert", "Bert"

    vocab_size: int = 30522
    """Rows of the table of words."""
    hidden_size: int = 768
    """Width of a token vector."""
    num_hidden_layers: int = 12
    """Layers of attention and feed forward."""
    num_attention_heads: int = 12
    """Attention heads, each of width hidden_size / num_attention_heads."""
    intermediate_size: int = 3072
    """Width inside the feed forward."""
    hidden_act: str = "gelu"
    """Inside the feed forward: gelu (exact), gelu_new (by tanh) or relu."""
    hidden_dropout_prob: float = 0.1
    """Share set to 0 in training: of the embeddings and of every addition to them."""
    attention_probs_dropout_prob: float = 0.1
    """Share of the attention set to 0 in training."""
    classifier_dropout: float | None = None
    """Share of h set to 0 in training; None means hidden_dropout_prob."""
    max_position_embeddings: int = 512
    """Rows of learned positions: the longest text."""
    type_vocab_size: int = 2
    """Rows of the table of token types; every token is of type 0."""
    initializer_range: float = 0.02
    """Standard deviation of random weights."""
    layer_norm_eps: float = 1e-12
    """Added to the variance in every norm."""

    def __post_init__(self):
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        for name in (*sizes, "max_position_embeddings", "type_vocab_size"):
            size = getattr(self, name)
            check_setting(name, size, isinstance(size, int) and size >= 1, "a whole number of at least 1")
        heads = self.num_attention_heads
        fits = self.hidden_size % heads == 0
        check_setting("num_attention_heads", heads, fits, f"a divisor of hidden_size = {self.hidden_size}")
        check_setting("hidden_act", self.hidden_act, self.hidden_act in _OF_BERT, ", ".join(_OF_BERT))
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            rate = getattr(self, name)
            valid = (name == "classifier_dropout" and rate is None) or (
                isinstance(rate, int | float) and 0 <= rate < 1
            )
            check_setting(name, rate, valid, "at least 0 and below 1")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            check_setting(name, value, isinstance(value, int | float) and value > 0, "a number above 0")

    @classmethod
    def read(cls, folder: str | Path) -> "BertConfig":
        """Read the settings in a folder's config.json; what the file does not name keeps its default."""
        file = weights_file(folder, "config.json")
        try:
            found = json.loads(read_regular(file, _MOST).decode("utf-8"))
        except OSError as error:
            raise ValueError(f"{file} cannot be read ({error.strerror}): download it again.") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} is not readable as JSON ({error}): download it again.") from None
        if not isinstance(found, dict):
            raise ValueError(f"{file} must hold a JSON object of settings, got {type(found).__name__}.")
        for name, fixed in _FIXED.items():
            if found.get(name, fixed) != fixed:
                raise ValueError(
                    f"{file}: {name} must be {fixed!r}, got {found[name]!r}: this is no plain BERT encoder."
                )
        try:
            return cls(**{field.name: found[field.name] for field in fields(cls) if field.name in found})
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None

    def build(self, *, v: int | None = None, c: int, rngs: Any, **more: Any) -> Any:
        """Build a BERT with random weights, for vocab_size rows of vocabulary if v is not given."""
        return super().build(v=self.vocab_size if v is None else v, c=c, rngs=rngs, **more)


BERT_BASE = BertConfig()


def weights_file(folder: str | Path, name: str) -> Path:
    """Return the path of a file in a BERT's folder; raise a FileNotFoundError if it is missing."""
    file = Path(folder) / name
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: download config.json and model.safetensors of a BERT model"
            " (Hugging Face names) into this folder."
        )
    return file
