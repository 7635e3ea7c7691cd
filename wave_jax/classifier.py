"""The Wave Network as an estimator: texts and labels in, answers out.

    classifier = WaveClassifier(epochs=4).fit(texts, labels)        # labels: strings, numbers, tuples, ...
    classifier.predict(["Stocks fell again on Monday"])
    classifier.explain("Stocks fell again on Monday")               # in a notebook: the text, shaded
    classifier.save("runs/news")                                    # a run folder: WaveClassifier.load

It keeps the conventions of scikit-learn (pipelines, `clone`, cross-validation, searches), which need not be
installed. The box opens: `network`, `tokenizer`, `history` (the records of training), `metrics`, `settings`.
"""

import json
import math
import os
import secrets
import shutil
from collections.abc import Hashable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from wave_jax.data.datasets import Dataset
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.disk import write_whole
from wave_jax.errors import CheckpointError
from wave_jax.networks.trace import Network
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs import presets, run
from wave_jax.runs.folder import RunFolder, Settings
from wave_jax.runs.presets import Preset
from wave_jax.runs.trained import Trained
from wave_jax.serving.live import Answers
from wave_jax.study import explain
from wave_jax.study.explanation import Explanation, Method
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import Record
from wave_jax.training.step import init

__all__ = ["NotFitted", "WaveClassifier"]

_NETWORK, _TRAINING = ({field.name for field in fields(kind)} for kind in (WaveConfig, TrainConfig))
_ROWS = ("v", "whole_words", "stems", "pairs", "parameters")
_KNOWN = ("preset", "valid", *_ROWS, *sorted(_NETWORK), *sorted(_TRAINING))
_FITTED = ("network", "tokenizer", "history", "metrics", "settings", "classes_")


class NotFitted(ValueError, AttributeError):
    """What `fit` would make is asked for before it."""


class WaveClassifier:
    """A Wave Network that is trained by `fit`.

    `preset` names a preset ("small", "paper-modulation", "paper-interference"), `valid` is the share of the
    texts that validate, which are not trained on. Every setting of `WaveConfig` and `TrainConfig` (`epochs`,
    `rate`, `d`, `seed`, ...) can be given by name, and those of `Preset` on rows and size: `v`,
    `whole_words`, `stems`, `pairs`, `parameters`.

    >>> WaveClassifier(epochs=2, seed=1)
    WaveClassifier(preset='small', valid=0.05, epochs=2, seed=1)
    """

    network: Network
    tokenizer: Tokenizer
    history: list[Record]
    metrics: dict[str, Any]
    settings: Settings
    classes_: np.ndarray
    """The labels, a column of `predict_proba` each: sorted where they can be, else as they came."""

    def __init__(
        self, preset: str = "small", *, valid: float = presets.PRESETS["small"].valid, **settings: Any
    ):
        self.preset, self.valid, self._given = preset, valid, {}
        self.set_params(**settings)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"WaveClassifier({given})"

    def __getattr__(self, name: str) -> Any:
        if name in _FITTED:
            raise NotFitted(f"This WaveClassifier has no {name} yet: call fit(texts, labels) first.")
        raise AttributeError(f"'WaveClassifier' object has no attribute {name!r}")

    # --- what scikit-learn asks of an estimator ---

    _estimator_type = "classifier"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings that were given."""
        return {"preset": self.preset, "valid": self.valid, **self._given}

    def set_params(self, **settings: Any) -> "WaveClassifier":
        """Change settings; they are for the next `fit`, which checks their values."""
        for name in settings:
            if name not in _KNOWN:
                raise ValueError(f"WaveClassifier has no setting {name!r}; it has {', '.join(_KNOWN)}.")
        self.preset, self.valid = settings.pop("preset", self.preset), settings.pop("valid", self.valid)
        self._given |= settings
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return "classes_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # only scikit-learn asks this

        texts = InputTags(one_d_array=True, two_d_array=False, string=True)
        target = TargetTags(required=True, one_d_labels=True)
        return Tags("classifier", target, classifier_tags=ClassifierTags(), input_tags=texts)

    # --- texts and labels ---

    def fit(self, texts: Iterable[Any], labels: Iterable[Any]) -> "WaveClassifier":
        """Train on these texts; the same texts, labels and settings give the same network, bit for bit."""
        preset, plain, given = self._preset(), _listed(texts), _labels(labels)
        if len(plain) != len(given):
            raise ValueError(f"There are {len(plain)} texts but {len(given)} labels.")
        _check_texts(plain)
        classes = _ordered(given)
        if len(classes) < 2:
            raise ValueError(f"fit needs texts of at least 2 classes, got {len(classes)}: {classes!r:.60}.")
        number = {label: i for i, label in enumerate(classes)}
        dataset = Dataset.from_texts(
            plain,
            [number[label] for label in given],
            classes=[str(i) for i in range(len(classes))],
            seed=preset.training.seed,
            share=self.valid,
        )
        prepared, history = run.prepare(dataset, preset), []
        network = prepared.network
        for turn in run.train(prepared):
            network = turn.kept
            history.append(turn.record)
        self.network, self.tokenizer, self.settings = network, prepared.tokenizer, prepared.settings
        self.metrics = run.measure(prepared, network, history, preset=self.preset)
        self.history, self.classes_ = history, _as_array(classes)
        return self

    def predict_proba(self, texts: Iterable[Any]) -> Float[np.ndarray, "texts c"]:
        """The probability of each class; a column for each of `classes_`."""
        answers = Answers(self._trained())
        plain = _listed(texts)
        _check_texts(plain)
        return answers.predict_proba(plain)

    def predict(self, texts: Iterable[Any]) -> np.ndarray:
        """The likeliest label of each text."""
        return self.classes_[self.predict_proba(texts).argmax(axis=-1)]

    def score(self, texts: Iterable[Any], labels: Iterable[Any]) -> float:
        """The share of texts that get their label."""
        answers, given = self.predict_proba(texts).argmax(axis=-1), _labels(labels)
        if len(answers) != len(given) or not given:
            raise ValueError(f"score needs as many labels as texts, got {len(answers)} and {len(given)}.")
        number = self._numbers()
        return float(np.mean([number.get(label) == i for label, i in zip(given, answers, strict=True)]))

    def explain(self, text: str, label: Hashable = ..., *, method: Method = "leave_one_out") -> Explanation:
        """What every token of a text adds to a label; to the likeliest one without `label`."""
        number = self._numbers()
        if label is not ... and label not in number:
            raise ValueError(f"{label!r} is none of the labels {list(number)!r:.80}.")
        return explain.explain(
            self.network,
            self.tokenizer,
            text,
            [str(known) for known in number],
            label=number.get(label),
            method=method,
            max_length=self.settings.max_length,
        )

    # --- on disk ---

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run folder, which must not be there yet: `load` and the command line read it."""
        labels, params = self.classes_.tolist(), _plain(self.get_params())
        data = {**self.settings.data, "labels": [_to_json(label) for label in labels], "classifier": params}
        names = [*map(str, labels)]
        names = names if len({*names}) == len(names) else [*map(repr, labels)]  # "1" and 1
        settings = replace(self.settings, data=data, classes=names)
        path = Path(path)
        if path.exists():
            raise CheckpointError(f"{path} is there already: name another folder.")
        beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
        state = init(self.network)
        state = state._replace(step=state.step + self.history[-1].step)
        try:
            with RunFolder.create(beside, settings, self.tokenizer) as folder:
                for record in self.history:
                    folder.append(record)
                folder.save(state)
            write_whole(beside / "metrics.json", (json.dumps(self.metrics, indent=1) + "\n").encode())
            os.replace(beside, path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "WaveClassifier":
        """The classifier that `save` wrote."""
        with RunFolder.open(path) as folder:
            data = folder.settings.data
            if "labels" not in data or "classifier" not in data:
                raise CheckpointError(f"{path} holds a run that no WaveClassifier saved: open it as a run.")
            classifier = cls(**data["classifier"])
            classifier.network, classifier.tokenizer = folder.network(), folder.tokenizer()
            classifier.history, classifier.settings = folder.records(), folder.settings
            classifier.metrics = run.metrics_of(path) or {}
            classifier.classes_ = _as_array([_from_json(label) for label in data["labels"]])
        return classifier

    # --- inside ---

    def _preset(self) -> Preset:
        """The preset with the settings that were given."""
        chosen, given = presets.preset(self.preset), _plain(self._given)
        return replace(
            chosen,
            network=replace(chosen.network, **{k: x for k, x in given.items() if k in _NETWORK}),
            training=replace(chosen.training, **{k: x for k, x in given.items() if k in _TRAINING}),
            **{k: x for k, x in given.items() if k in _ROWS},
        )

    def _trained(self) -> Trained:
        return self.settings.trained(self.network, self.tokenizer)

    def _numbers(self) -> dict[Any, int]:
        return {label: i for i, label in enumerate(self.classes_.tolist())}


# --- texts --------------------------------------------------------------------------------------------------


def _listed(column: Iterable[Any]) -> list[Any]:
    """A list of what a list, an array or a column of a table holds."""
    if isinstance(column, str | bytes):
        raise TypeError(f"A list is needed, got a single {type(column).__name__}: put it in a list.")
    return column.tolist() if hasattr(column, "tolist") else list(column)  # pyright: ignore


def _check_texts(texts: list[Any]) -> None:
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}: {text!r:.60}.")


# --- labels -------------------------------------------------------------------------------------------------


def _labels(column: Iterable[Any]) -> list[Any]:
    """Labels as Python's own; what is no label is refused."""
    labels = [label.item() if isinstance(label, np.generic) else label for label in _listed(column)]
    for i, label in enumerate(labels):
        try:
            hash(label)
        except TypeError:
            raise TypeError(f"labels[{i}] is {label!r:.60}, which is not hashable: give it a name.") from None
        if label != label:
            raise ValueError(f"labels[{i}] is {label!r}, which is not even itself: leave its text out.")
    return labels


def _ordered(labels: list[Any]) -> list[Any]:
    """The different labels: sorted where that has one meaning, else in the order of their first appearance.

    >>> _ordered(["b", "a", "b"]), _ordered([("x", 2), ("x", 1)]), _ordered([3, "a", None])
    (['a', 'b'], [('x', 1), ('x', 2)], [3, 'a', None])
    """
    different = list(dict.fromkeys(labels))
    if all(map(_has_one_order, different)):
        try:
            return sorted(different)
        except TypeError:  # strings beside numbers
            pass
    return different


def _has_one_order(label: Any) -> bool:
    """Not so for sets, for one: `<` says that one is part of the other."""
    if type(label) is tuple:
        return all(map(_has_one_order, label))
    return type(label) in (str, bytes, bool, int, float)


def _as_array(labels: list[Any]) -> np.ndarray:
    """The labels as one array that gives them back as they were; of objects where no other does."""
    if len({type(label) for label in labels}) == 1 and type(labels[0]) in (str, bool, int, float):
        array = np.array(labels)
        if [(type(x), x) for x in array.tolist()] == [(type(x), x) for x in labels]:
            return array
    array = np.empty(len(labels), object)
    for i, label in enumerate(labels):  # all at once, NumPy would look into tuples
        array[i] = label
    return array


def _to_json(label: Any) -> Any:
    """A label as JSON holds it, where it would come back as it was."""
    if type(label) is tuple:
        return {"tuple": [_to_json(part) for part in label]}
    fine = label is None or type(label) in (bool, int) or (type(label) is float and math.isfinite(label))
    if fine or (type(label) is str and label.encode(errors="ignore").decode() == label):
        return label
    raise CheckpointError(
        f"The label {label!r:.60} cannot be saved: take strings, numbers, None, or tuples of them as labels."
    )


def _from_json(label: Any) -> Any:
    return tuple(map(_from_json, label["tuple"])) if isinstance(label, dict) else label


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with Python's own numbers: a search may set NumPy's."""
    return {name: x.item() if isinstance(x, np.generic) else x for name, x in settings.items()}
