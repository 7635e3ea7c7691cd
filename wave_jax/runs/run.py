"""One training run, from texts and a preset to the network that it keeps.

    prepared = prepare(dataset, SMALL)                              # tokenizer, token arrays, network
    for turn in train(prepared):                                    # or train(prepared, folder)
        print(turn.record)                                          # show, stop or study here
    metrics = result.measure(prepared, turn.kept, [turn.record, ...])

Nothing here prints, and nothing needs a folder. With one (`run_folder`) the run can be stopped at any moment
and resumed.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.sharding import Mesh

from wave_jax.data import batches, datasets, weights
from wave_jax.data.datasets import Dataset
from wave_jax.data.splits import Split
from wave_jax.data.targets import is_several
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.tokens import rounded_up
from wave_jax.errors import CheckpointError, DataError
from wave_jax.networks import bert_weights
from wave_jax.networks.configs import BertConfig, TransformerConfig
from wave_jax.networks.trace import Network
from wave_jax.runs import continued
from wave_jax.runs.condition import condition, occupied
from wave_jax.runs.continued import Start
from wave_jax.runs.folder import RunFolder, Settings
from wave_jax.runs.presets import Preset, max_length, most_rows, rows_of, within
from wave_jax.runs.trained import Trained, tokens_of
from wave_jax.training import compiled, programs, progress
from wave_jax.training.loop import NonFinite, Record, fit
from wave_jax.training.step import TrainState

__all__ = ["Prepared", "Turn", "followed", "prepare", "run_folder", "texts_of", "tokenizer_of", "train"]

_EVERY = 16  # steps to a record; a run that is resumed keeps to it, to come to the same bits
_SAVE_AFTER = 60.0  # seconds without a saved step

_log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """All that a run starts from."""

    settings: Settings
    start: Trained
    """The network before its first step, with its tokenizer."""
    train: batches.TokenArrays
    valid: batches.TokenArrays
    calibrate: bool = False
    """Whether answers get a temperature, chosen on the validation texts."""

    @property
    def network(self) -> Network:
        """The network before its first step."""
        return self.start.network

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the run."""
        return self.start.tokenizer

    def trained(self, network: Network) -> Trained:
        """Return a network of this run with its tokenizer and classes."""
        return self.start._replace(network=network)

    @property
    def steps(self) -> int:
        """Number of steps of the whole run."""
        return self.settings.training.steps_for(self.train.asked)


class Turn(NamedTuple):
    """What `train` yields after every few steps."""

    state: TrainState
    """Valid until the next turn, which uses it up."""
    record: Record
    kept: Any
    """The network to keep so far (`TrainConfig.keep`), a copy of yours; None before the first validation."""


def prepare(
    dataset: Dataset,
    preset: Preset,
    *,
    cache: str | os.PathLike[str] | None = None,
    origin: Mapping[str, Any] | None = None,
    start: Start | None = None,
) -> Prepared:
    """Make tokenizer, token arrays and network of a run: functions of the texts and the preset.

    Args:
      dataset: the texts.
      preset: all settings.
      cache: folder for tokenizers and token arrays.
      origin: the arguments of `datasets.load`, kept in the settings so that the texts are found again.
      start: a trained network to start from (`continued.opened`); its classes are the first of the texts'.
    """
    _check_labels(dataset.train, preset)
    compiled.check_process()
    programs.keep()
    if len(dataset.classes) < 2:
        only = ", ".join(dataset.classes) or "none"
        raise DataError(f"{dataset.name}: all texts are of one class ({only}): add texts of another one.")
    if start is not None:
        preset = continued.adopted(start, preset, dataset.classes)
    tokenizer, c = tokenizer_of(dataset, preset, cache, start), len(dataset.classes)
    v = _rows(preset, tokenizer.v, c, start)
    settings = Settings(
        network=within(preset, v, c) if start is None else preset.network,
        training=preset.training,
        v=v,
        classes=dataset.classes,
        max_length=max_length(preset.network),
        tokenizer=tokenizer.digest,
        data={"name": dataset.name, "digest": dataset.digest, **({"origin": dict(origin)} if origin else {})},
        start=None if start is None else start.said(tokenizer, dataset.classes),
    )
    if few := preset.training.starves(dataset.train.asked):
        _log.warning(few)
    counts = weights.of_texts(dataset.train, dataset.classes, preset.training.class_weight)
    read = partial(
        tokens_of, network=settings.network, tokenizer=tokenizer, max_length=settings.max_length, cache=cache
    )
    with ThreadPoolExecutor(1) as beside:  # by NumPy, while XLA compiles what makes the network
        train, valid = beside.submit(read, dataset.train), beside.submit(read, dataset.valid)
        if start is None:
            before = _fresh(settings, preset)
            if is_several(dataset.train.targets):  # from even odds, most steps would be spent on saying no
                before.classifier.bias[...] = jax.numpy.asarray(weights.log_odds(dataset.train.asked, counts))
        else:
            before = continued.network(start, settings, tokenizer)
    trained = Trained.of(settings, before, tokenizer)
    return Prepared(
        settings, trained, train.result()._replace(weights=counts), valid.result(), preset.calibrates
    )


def _check_labels(train: Split, preset: Preset) -> None:
    """Raise a ValueError unless texts and settings agree on how many labels a text has."""
    several = preset.training.labels == "several"
    if several != is_several(train.targets):
        has = "one label each, and the settings ask for several" if several else "several labels each"
        raise ValueError(f"The texts have {has}: set labels={None if several else 'several'!r} (--labels).")
    if preset.calibrate and train.targets is not None:
        raise ValueError("A temperature is chosen for one known label a text: leave calibrate out.")


def tokenizer_of(
    dataset: Dataset,
    preset: Preset,
    cache: str | os.PathLike[str] | None = None,
    start: Start | None = None,
) -> Tokenizer:
    """Make the tokenizer of a run: trained on its texts, grown by them, or read with the preset's weights.

    Args:
      dataset: the texts.
      preset: all settings.
      cache: folder for tokenizers.
      start: what the run starts from, if it does not start anew.
    """
    texts, labels = dataset.train.texts, dataset.train.labels
    words, stems, pairs = preset.whole_words, preset.stems, preset.pairs
    if start is not None:
        known, rows = start.kept.tokenizer, most_rows(preset, len(dataset.classes))
        return batches.grow_tokenizer(
            known, texts, preset.v, cache, labels=labels, pairs=pairs, stems=stems, rows=rows
        )
    if preset.weights is None:
        return batches.train_tokenizer(
            texts, preset.v, cache, labels=labels, stems=stems, pairs=pairs, clean=True, whole_words=words
        )
    file = preset.weights / "tokenizer.json"
    return Tokenizer.read(file if file.exists() else preset.weights / "vocab.txt")


def _rows(preset: Preset, v: int, c: int, start: Start | None) -> int:
    """Return the rows of the network's table for a vocabulary of v rows."""
    if start is not None:
        return max(start.settings.v, v, min(rounded_up(v), most_rows(preset, c)))
    return rows_of(preset, v, c) if preset.weights is None else BertConfig.read(preset.weights).vocab_size


def _fresh(settings: Settings, preset: Preset) -> Any:
    """Make the network before training, at random from the seed or from the weights of a BERT."""
    v, c, rngs = settings.v, len(settings.classes), nnx.Rngs(settings.training.seed)
    network, weights = settings.network, preset.weights
    if weights is None:
        return network.build(v=v, c=c, rngs=rngs)
    if isinstance(network, BertConfig):
        return bert_weights.load(weights, c, rngs)
    if isinstance(network, TransformerConfig):
        return network.build(v=v, c=c, rngs=rngs, words=bert_weights.word_embeddings(weights))
    raise ValueError(f"weights={weights} are for bert and transformer: leave them out for {settings.kind}.")


def texts_of(settings: Settings, place: str | None = None) -> Dataset:
    """Load the texts of a run from where they were, or from another folder if they are the same."""
    origin = {**settings.data.get("origin", {}), **(datasets.origin_of(place) if place else {})}
    if not origin:
        raise CheckpointError("The run was trained on texts in memory: name a folder that holds them.")
    dataset = datasets.load(**origin)
    if dataset.digest != settings.data["digest"]:
        raise CheckpointError(f"{dataset.name} holds other texts than those of the run: name their folder.")
    return dataset


def run_folder(path: str | os.PathLike[str], prepared: Prepared, *, resume: bool = False) -> RunFolder:
    """Create the folder of this run, or with `resume` open the one that exists, if it is of this run."""
    path = Path(path)
    if condition(path) == "missing":
        return RunFolder.create(path, prepared.settings, prepared.tokenizer)
    if not resume:
        raise occupied(path)
    folder, settings = RunFolder.open(path), prepared.settings
    there = folder.settings  # texts and the start may have moved: their digests tell
    data = {**settings.data, "origin": there.data.get("origin")}
    start = settings.start and there.start and {**settings.start, "path": there.start["path"]}
    folder.expect(
        replace(settings, data=data if data["origin"] else settings.data, start=start or settings.start)
    )
    return folder


def train(
    prepared: Prepared, folder: RunFolder | None = None, *, every: int = _EVERY, mesh: Mesh | None = None
) -> Iterator[Turn]:
    """Train, and yield a turn after every `every` steps and at the end of each epoch.

    With a folder the run goes on from the newest step saved there, and saves after every validation, at its
    end, after a minute without saving, and before a step that is not finite. To stop in between,
    `folder.save(turn.state)`.

    Args:
      prepared: what `prepare` made.
      folder: the run folder, if there is one.
      every: steps from turn to turn.
      mesh: devices that batches are sharded over.
    """
    start, kept, valid = prepared.network, None, prepared.valid if len(prepared.valid.labels) else None
    best = valid is not None and prepared.settings.training.keep == "best"
    if folder is not None:
        start = folder.resume() or start
        kept = None if folder.best is None else folder.network()
    saved = time.monotonic()
    config = prepared.settings.training
    turns = fit(start, prepared.train, config, valid=valid, every=every, mesh=mesh)
    for state, record in _saving_the_last(turns, folder):
        whole = record.valid is not None or (valid is None and record.step == prepared.steps)
        if whole and (not best or int(state.stale) == 0):
            kept = state.network
        if folder is not None:
            folder.append(record)
            if whole or time.monotonic() - saved > _SAVE_AFTER:
                folder.save(state, metric=record.valid.accuracy if best and record.valid else None)
                saved = time.monotonic()
        yield Turn(state, record, kept)


def followed(
    prepared: Prepared, verbose: bool | None = None, measure: Callable[[Trained], Any] | None = None
) -> tuple[Network, list[Record], list[Any]]:
    """Train under a bar; return the network that is kept, the records, and what is measured at each."""
    network, history, measured = prepared.network, [], []
    with progress.bar(prepared.steps, verbose) as bar:
        for turn in train(prepared):
            network = turn.kept
            history.append(turn.record)
            if measure is not None:
                measured.append(measure(prepared.trained(turn.state.network)))
            bar.show(turn.record)
    return network, history, measured


def _saving_the_last(turns: Iterator[Any], folder: RunFolder | None) -> Iterator[Any]:
    """Yield what `fit` does, and save the last good state if it meets NaN or infinity."""
    try:
        yield from turns
    except NonFinite as error:
        if folder is not None:
            folder.save(error.state)
        raise
