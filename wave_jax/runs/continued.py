"""A run that starts from a trained network: what it takes over, and what is new: words, pairs and classes.

start = opened("runs/first")                                    # a finished run, or a folder for the Hub
dataset = datasets.load("more.csv", known=start.settings.classes)
prepared = run.prepare(dataset, presets.preset("small", start=start.settings), start=start)
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.errors import DataError, first_few
from wave_jax.networks.kinds import NetworkConfig, kind_of
from wave_jax.networks.trace import Network
from wave_jax.runs import hub, steps
from wave_jax.runs.condition import WEIGHTS, settings_to_start
from wave_jax.runs.folder import RunFolder, parameter_digest
from wave_jax.runs.hub import Saved
from wave_jax.runs.presets import Preset, within
from wave_jax.runs.settings import Settings

__all__ = ["Start", "adopted", "network", "opened", "read"]

_LONGEST = 2**10  # tokens of a word


class Start(NamedTuple):
    """A trained network that a run starts from."""

    kept: Saved
    place: str | None = None
    """Where it was read; None if it is in memory."""

    @property
    def settings(self) -> Settings:
        """The settings that it was trained with."""
        return self.kept.settings

    @property
    def name(self) -> str:
        """What an error calls it."""
        return self.place or "The classifier that training starts from"

    def said(self, tokenizer: Tokenizer, classes: Sequence[str]) -> dict[str, Any]:
        """Return what a run tells of it, as JSON holds it: place, texts, digest, and what the run adds."""
        return {
            "path": self.place,
            "data": self.settings.data["name"],
            "digest": parameter_digest(self.kept.network),
            "new_rows": tokenizer.v - self.kept.tokenizer.v,
            "new_classes": len(classes) - len(self.settings.classes),
        }


def read(path: str | os.PathLike[str]) -> Saved:
    """Read all that is kept of a run from its folder, or from one for the Hub."""
    if (Path(path) / WEIGHTS).exists():
        return hub.load(path)
    with RunFolder.open(path) as folder:
        metrics, tokenizer = folder.metrics() or {}, folder.tokenizer()
        return Saved(folder.settings, folder.network(), tokenizer, metrics, folder.records())


def opened(path: str | os.PathLike[str]) -> Start:
    """Open a finished run, or a folder for the Hub, to start from."""
    settings_to_start(path)
    return Start(read(path), os.fspath(path))


def adopted(start: Start, preset: Preset, classes: Sequence[str]) -> Preset:
    """Return the preset with the network that is started from, or raise a ValueError if it asks for another.

    Args:
      start: the trained network.
      preset: the settings of the run.
      classes: those of the texts; the known ones come first.
    """
    known, name = start.settings, start.name
    if known.training.labels != preset.training.labels:
        had, have = (
            "several labels" if labels else "one label"
            for labels in (known.training.labels, preset.training.labels)
        )
        raise ValueError(f"{name} learnt {had} a text, and these texts have {have}: train a new network.")
    whole = start.kept.tokenizer.rules.looks
    if preset.whole_words != whole:
        had, have = ("whole words" if words else "pieces of words" for words in (whole, preset.whole_words))
        cure = f"give whole_words={whole}, or its preset ({start.kept.metrics.get('preset')})"
        raise ValueError(f"{name} reads {had}, and the settings ask for {have}: {cure}.")
    if wrong := _differences(preset, known):
        raise ValueError(f"{name} has another network than the settings: {first_few(wrong)}; leave them out.")
    if tuple(classes[: len(known.classes)]) != known.classes:
        raise DataError(f"The classes of {name} do not come first: load the texts with known=its classes.")
    free = {field: getattr(preset.network, field) for field in _free(known.network)}
    return replace(preset, network=replace(known.network, **free))


def _differences(preset: Preset, known: Settings) -> list[str]:
    """List what the settings ask of a network and the known one lacks; what `parameters` narrowed is fine."""
    found = _between(preset.network, known.network)
    with suppress(ValueError):
        narrowed = within(preset, known.v, len(known.classes)) if found else preset.network
        found = found if _between(narrowed, known.network) else []
    return found


def _between(asked: NetworkConfig, has: NetworkConfig) -> list[str]:
    """List what differs of two networks' settings, but for those that are free."""
    if type(asked) is not type(has):
        return [f"it is a {kind_of(has)}, not a {kind_of(asked)}"]
    ours, theirs, free = vars(asked), vars(has), _free(has)
    names = [name for name in theirs if name not in free and ours[name] != theirs[name]]
    return [f"{name} is {theirs[name]!r}, not {ours[name]!r}" for name in names]


def _free(network: NetworkConfig) -> set[str]:
    """Return the settings that no parameter of a network depends on, so that a run may have its own."""
    read = {"max_length"} if getattr(network, "positions", None) != "learned" else set()
    return {name for name in vars(network) if "dropout" in name or name in read}


def network(start: Start, settings: Settings, tokenizer: Tokenizer) -> Network:
    """Return the network of a run before its first step: what was trained, in the corner of a fresh one.

    A new word begins as the mean of what it was read as so far. New stems and pairs begin at random, from the
    seed, and so does what answers with new classes.

    Args:
      start: the trained network.
      settings: those of the run.
      tokenizer: that of the run, which holds the known words and pairs.
    """
    v, c, rngs = settings.v, len(settings.classes), nnx.Rngs(settings.training.seed)
    fresh = settings.network.build(v=v, c=c, rngs=rngs)
    known = steps.named(start.kept.network)
    arrays = {
        name: array.at[tuple(map(slice, known[name].shape))].set(known[name])
        for name, array in steps.named(fresh).items()
    }
    arrays["embedding"] = jnp.asarray(_table(np.array(fresh.embedding[...]), start.kept, tokenizer))
    return jax.tree.unflatten(jax.tree.structure(fresh), [*arrays.values()])


def _table(rows: np.ndarray, kept: Saved, tokenizer: Tokenizer) -> np.ndarray:
    """Fill the known rows of a fresh table, and those of new words."""
    old, known = np.asarray(kept.network.embedding[...]), kept.tokenizer
    first, moved = known.first_pair, tokenizer.first_pair
    rows[:first] = old[:first]
    rows[moved : moved + len(known.pairs)] = old[first : known.v]
    words = [token for token, row in tokenizer.vocabulary.items() if row >= first and token[-2:] != "##"]
    ids, offsets, _ = known.encode(words, _LONGEST)
    for i, word in enumerate(words):
        read_as = ids[offsets[i] + 1 : offsets[i + 1]]
        read_as = read_as[: int(np.argmax(read_as == known.sep_id))]
        if len(read_as):
            rows[tokenizer.vocabulary[word]] = old[read_as].mean(axis=0)
    return rows
