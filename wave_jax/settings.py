"""What a run is made of, and `config.json`, which says so: a network can be rebuilt from it alone."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from wave_jax import train
from wave_jax.baselines import BagConfig, TransformerConfig
from wave_jax.bert import BertConfig
from wave_jax.disk import write_whole
from wave_jax.model import WaveConfig
from wave_jax.network import check_setting
from wave_jax.train import TrainConfig, TrainState

__all__ = ["CheckpointError", "Settings", "digest_of", "sealed", "unsealed"]

_FORMAT = 1  # of config.json, and of the folder it stands for; another one is refused
_KINDS = {"wave": WaveConfig, "transformer": TransformerConfig, "bag": BagConfig, "bert": BertConfig}


class CheckpointError(Exception):
    """A run folder cannot be written, read or trusted: one sentence says what, where, and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a run is made of: enough to rebuild its network and to go on training it."""

    network: WaveConfig | TransformerConfig | BagConfig | BertConfig
    training: TrainConfig
    v: int
    """Rows of the network's vocabulary: the tokenizer's, or more."""
    classes: Sequence[str]
    """Their names, in the order of the logits."""
    max_length: int
    """Tokens of a text that are read."""
    tokenizer: str
    """Digest of the tokenizer."""
    data: Mapping[str, Any]
    """Name and digest of the texts, and whatever else finds them again, as JSON holds it."""

    def __post_init__(self):
        check_setting("classes", self.classes, len(self.classes) >= 2, "at least 2 names")
        check_setting("data", self.data, _is_json(self.data), "what JSON can hold")
        object.__setattr__(
            self, "classes", tuple(self.classes)
        )  # so that what is read equals what was written

    @property
    def kind(self) -> str:
        """The kind of network: wave, transformer, bag or bert."""
        return next(kind for kind, config in _KINDS.items() if isinstance(self.network, config))

    @property
    def digest(self) -> str:
        """SHA-256 of all settings."""
        return digest_of(_to_json(self))

    def abstract(self) -> TrainState:
        """The state of such a run, of shapes in place of arrays."""

        def state() -> TrainState:
            return train.init(self.network.build(v=self.v, c=len(self.classes), rngs=nnx.Rngs(0)))

        return jax.eval_shape(state)

    def save(self, file: Path) -> None:
        """Write config.json. It ends with a digest of itself, so that a change is noticed."""
        write_whole(file, sealed({"format": _FORMAT, **_to_json(self)}))

    @classmethod
    def read(cls, file: Path) -> "Settings":
        """The settings in a config.json."""
        content = _checked(file)
        try:
            return _from_json(content)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{file} holds settings unknown here ({error}): take the wave_jax that wrote it."
            ) from None

    def differences(self, other: "Settings") -> list[str]:
        """What differs, as `network.d is 64, not 128`: here, not in the other."""
        here, there = _flat(_to_json(self)), _flat(_to_json(other))
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        return [
            f"{name} is {here.get(name, 'missing')!r}, not {there.get(name, 'missing')!r}" for name in names
        ]


def digest_of(content: Any) -> str:
    """SHA-256 of what JSON can hold.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_json(content: Any) -> bool:
    try:
        return json.loads(json.dumps(content)) == content
    except TypeError:
        return False


def sealed(content: dict[str, Any]) -> bytes:
    """JSON that ends with the SHA-256 of its content.

    >>> unsealed(sealed({"d": 64}))
    {'d': 64}
    """
    return json.dumps({**content, "sha256": digest_of(content)}, indent=1, ensure_ascii=False).encode()


def unsealed(raw: bytes) -> dict[str, Any]:
    """What `sealed` made JSON of; raises ValueError for anything else."""
    content = json.loads(raw)
    if not isinstance(content, dict) or content.pop("sha256", None) != digest_of(content):
        raise ValueError("its content does not agree with its SHA-256")
    return content


def _to_json(settings: Settings) -> dict[str, Any]:
    content = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return content | {
        "network": {"kind": settings.kind, **dataclasses.asdict(settings.network)},
        "training": dataclasses.asdict(settings.training),
        "classes": list(settings.classes),
        "data": dict(settings.data),
    }


def _from_json(content: dict[str, Any]) -> Settings:
    network = dict(content["network"])
    config = _KINDS[network.pop("kind")](**network)
    return Settings(**{**content, "network": config, "training": TrainConfig(**content["training"])})


def _checked(file: Path) -> dict[str, Any]:
    """The content of a config.json that is whole, unchanged, and of this format."""
    try:
        content = unsealed(file.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: name the folder of a run.") from None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise CheckpointError(f"{file} is damaged or was changed ({error}): put back a copy of it.") from None
    version = content.pop("format", None)
    if version != _FORMAT:
        raise CheckpointError(
            f"{file} is of format {version}, not {_FORMAT}: take the wave_jax that wrote it."
        )
    return content


def _flat(content: dict[str, Any], within: str = "") -> dict[str, Any]:
    """Nested settings under names with dots.

    >>> _flat({"v": 9, "network": {"d": 2}})
    {'v': 9, 'network.d': 2}
    """
    flat = {}
    for name, value in content.items():
        flat |= _flat(value, f"{within}{name}.") if isinstance(value, dict) else {within + name: value}
    return flat
