"""The kinds of network, listed once: their names for options and config.json, and their settings."""

from typing import Literal, get_args

from wave_jax.errors import check_setting
from wave_jax.networks.configs import BagConfig, BertConfig, TransformerConfig, WaveConfig

__all__ = ["KINDS", "Kind", "NetworkConfig", "check_kind", "kind_of"]

Kind = Literal["wave", "transformer", "bag", "bert"]
NetworkConfig = WaveConfig | TransformerConfig | BagConfig | BertConfig
KINDS: dict[str, type[NetworkConfig]] = dict(zip(get_args(Kind), get_args(NetworkConfig), strict=True))


def kind_of(config: NetworkConfig) -> Kind:
    """Return the name of a network's kind.

    >>> kind_of(BagConfig())
    'bag'
    """
    return next(kind for kind in get_args(Kind) if isinstance(config, KINDS[kind]))


def check_kind(kind: str) -> None:
    """Raise a ValueError unless there is such a kind of network."""
    check_setting("model", kind, kind in KINDS, f"one of {', '.join(KINDS)}")
