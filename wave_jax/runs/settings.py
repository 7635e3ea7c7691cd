"""What a run is made of, and config.json, from which alone its network can be rebuilt."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wave_jax.disk import digest_of, read_regular, sealed, unsealed, write_whole
from wave_jax.errors import CheckpointError, check_setting
from wave_jax.networks.kinds import KINDS, NetworkConfig, kind_of
from wave_jax.training.config import TrainConfig

__all__ = ["Settings"]

_FORMAT = 2  # of config.json, and of its folder; another one is refused


@dataclass(frozen=True)
class Settings:
    """All that a run is made of: enough to rebuild its network and to go on training it."""

    network: NetworkConfig
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
    start: Mapping[str, Any] | None = None
    """The trained network that it started from (`continued.Start.said`); None if it started at random."""

    def __post_init__(self):
        check_setting("classes", self.classes, len(self.classes) >= 2, "at least 2 names")
        for name in ("data", "start"):
            value = getattr(self, name)
            check_setting(name, value, _is_json(value), "what JSON can hold")
        object.__setattr__(
            self, "classes", tuple(self.classes)
        )  # so that what is read equals what was written

    @property
    def kind(self) -> str:
        """The kind of network: wave, transformer, bag or bert."""
        return kind_of(self.network)

    @property
    def digest(self) -> str:
        """SHA-256 of all settings."""
        return digest_of(_to_json(self))

    def save(self, file: Path) -> None:
        """Write config.json. It ends with a digest of itself, so that a change is noticed."""
        for name, value in vars(self.network).items():
            plain = not callable(value)
            check_setting(f"network.{name}", value, plain, "a name, as config.json holds no function")
        write_whole(file, sealed({"format": _FORMAT, **_to_json(self)}))

    @classmethod
    def read(cls, file: Path) -> "Settings":
        """Read the settings in a config.json."""
        content = _checked(file)
        try:
            return _from_json(content)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{file} holds settings unknown here ({error}): take the wave_jax that wrote it."
            ) from None

    def differences(self, other: "Settings") -> list[str]:
        """List what differs, as `network.d is 64, not 128`: 64 here, 128 in the other."""
        here, there = _flat(_to_json(self)), _flat(_to_json(other))
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        return [
            f"{name} is {here.get(name, 'missing')!r}, not {there.get(name, 'missing')!r}" for name in names
        ]


def _is_json(content: Any) -> bool:
    try:
        return json.loads(json.dumps(content)) == content
    except TypeError:
        return False


def _to_json(settings: Settings) -> dict[str, Any]:
    content = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    if settings.start is None:
        del content["start"]  # as if there were no such setting: digests are older than it
    return content | {
        "network": {"kind": settings.kind, **dataclasses.asdict(settings.network)},
        "training": dataclasses.asdict(settings.training),
        "classes": list(settings.classes),
        "data": dict(settings.data),
    }


def _from_json(content: dict[str, Any]) -> Settings:
    network = dict(content["network"])
    config = KINDS[network.pop("kind")](**network)
    return Settings(**{**content, "network": config, "training": TrainConfig(**content["training"])})


def _checked(file: Path) -> dict[str, Any]:
    """Read a config.json that is whole, unchanged, and of this format."""
    try:
        content = unsealed(read_regular(file))
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: name the folder of a run.") from None
    except NotADirectoryError:
        raise CheckpointError(
            f"{file.parent} is a file: name the folder of a run; an exported file can only predict."
        ) from None
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
    """Flatten nested settings to names with dots.

    >>> _flat({"v": 9, "network": {"d": 2}})
    {'v': 9, 'network.d': 2}
    """
    flat = {}
    for name, value in content.items():
        flat |= _flat(value, f"{within}{name}.") if isinstance(value, dict) else {within + name: value}
    return flat
