"""The Wave Network as an estimator: texts and labels in, answers out.

    classifier = WaveClassifier(epochs=4).fit(texts, labels)        # labels: strings, numbers, tuples, ...
    classifier.predict(["Stocks fell again on Monday"])
    classifier.explain("Stocks fell again on Monday")               # in a notebook: the text, shaded
    classifier.save("runs/news")                                    # a run folder: WaveClassifier.load

It keeps the conventions of scikit-learn (pipelines, `clone`, cross-validation, searches), which need not be
installed. The box opens: `network`, `tokenizer`, `history` (the records of training), `measured` (one's own
measure beside them), `metrics`, `settings`.
"""

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from wave_jax.data import labels as label_column
from wave_jax.data import targets, weights
from wave_jax.data.datasets import Dataset
from wave_jax.data.targets import Targets
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks.trace import Network
from wave_jax.runs import continued, hub, result, run, saved
from wave_jax.runs.continued import Start
from wave_jax.runs.hub import Saved
from wave_jax.runs.parameters import Parameters, names_of, of_run, share_of, told
from wave_jax.runs.presets import Preset
from wave_jax.runs.settings import Settings
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, size
from wave_jax.serving.export import Exported
from wave_jax.serving.file import Dtype, bytes_in
from wave_jax.serving.live import Answers
from wave_jax.study.explanation import Explanation, Method
from wave_jax.training.loop import Record

__all__ = ["NotFitted", "WaveClassifier"]

_FITTED = ("network", "tokenizer", "history", "measured", "metrics", "settings", "classes_")


class NotFitted(ValueError, AttributeError):
    """What `fit` makes was asked for before `fit`."""


class WaveClassifier(Parameters):
    """A Wave Network that `fit` trains.

    `preset` names a preset ("small", "paper-modulation", "paper-interference"). Every other setting is that
    of the preset until it is given: `runs.parameters.Parameters` lists them all.

    >>> WaveClassifier(epochs=2, seed=1)
    WaveClassifier(preset='small', epochs=2, seed=1)
    """

    network: Network
    tokenizer: Tokenizer
    history: list[Record]
    measured: list[Any]
    """What `fit(..., measure=)` found, beside each record of the history."""
    metrics: dict[str, Any]
    settings: Settings
    classes_: np.ndarray
    """The labels, a column of `predict_proba` each: sorted if they can be, else as they came."""

    def __getattr__(self, name: str) -> Any:
        if name in _FITTED:
            raise NotFitted(f"This WaveClassifier has no {name} yet: call fit(texts, labels) first.")
        raise AttributeError(f"'WaveClassifier' object has no attribute {name!r}")

    # --- what scikit-learn asks of an estimator ---

    _estimator_type = "classifier"

    def __sklearn_is_fitted__(self) -> bool:
        return "classes_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # only scikit-learn asks this

        texts = InputTags(one_d_array=True, two_d_array=False, string=True)
        target = TargetTags(required=True, one_d_labels=True, two_d_labels=True)
        return Tags("classifier", target, classifier_tags=ClassifierTags(multi_label=True), input_tags=texts)

    # --- texts and labels ---

    def fit(
        self,
        texts: Iterable[Any],
        labels: Any,
        sample_weight: Any = None,
        *,
        valid: tuple[Iterable[Any], Any] | None = None,
        classes: Iterable[Any] | None = None,
        measure: Callable[[Trained], Any] | None = None,
        start: "str | os.PathLike[str] | WaveClassifier | None" = None,
        new_classes: bool = False,
    ) -> "WaveClassifier":
        """Train on these texts; the same texts, labels and settings give the same network, bit for bit.

        Texts and labels may be lists, arrays, or columns of pandas, polars, pyarrow or `datasets`. A text has
        several labels where its label is a set or a list, or where all labels are a matrix of 0 and 1
        (integers or booleans) with a column a class. A matrix of floats holds soft targets: the probabilities
        of each text's classes, as another model's `predict_proba` gives them.

        Args:
          texts: training texts.
          labels: their labels.
          sample_weight: how much each text counts in the loss; all alike if not given.
          valid: (texts, labels) for validation; without them a share of the training texts is held out, the
            setting `valid`, or none if it is 0.
          classes: labels of the columns of a matrix; those of a table, else those of `start`, else their
            numbers, if not given.
          measure: a function of the network so far, with its tokenizer, that is called at every record of the
            history; what it returns comes into `measured`.
          start: a fitted classifier, or the folder of one or of a finished run, whose network is trained on.
          new_classes: whether labels that `start` does not know become classes behind its own.
        """
        if measure is not None and not callable(measure):
            raise TypeError(f"measure must be a function of a Trained, got {measure!r:.60}.")
        began, known = self._begun(start)
        plain, given = self._read(texts, labels, classes, known, new_classes)
        preset = self._preset(given, began)
        if valid is not None:
            names = given.classes if targets.is_matrix(valid[1]) else None
            bars = self.labels == "several"
            tried, held = targets.columns(*valid, several=bars, classes=names, known=given)
            valid = tried, held.numbered
        dataset = Dataset.from_texts(
            plain,
            given.numbered,
            valid=valid,
            classes=[str(i) for i in range(len(given.classes))],
            known=[str(i) for i in range(len(known))],
            weights=None if sample_weight is None else weights.checked(sample_weight, len(plain)),
            seed=preset.training.seed,
            share=share_of(preset.valid),
        )
        if self.size is not None:
            if began is not None:
                raise ValueError("size is for a new network: leave it out where one is started from.")
            names = names_of(label_column.as_array(given.classes).tolist())  # they stand in the file
            preset = size.fitted(replace(dataset, classes=names), preset, bytes_in(self.size))
        prepared = run.prepare(dataset, preset, start=began)
        network, history, measured = run.followed(prepared, self.verbose, measure)
        self.network, self.tokenizer, self.settings = network, prepared.tokenizer, prepared.settings
        self.metrics = result.measure(prepared, network, history, preset=self.preset)
        self.history, self.measured, self.classes_ = history, measured, label_column.as_array(given.classes)
        self._matrix = given.matrix
        return self

    def predict_proba(self, texts: Iterable[Any]) -> Float[np.ndarray, "texts c"]:
        """Return the probability of each class, a column for each of `classes_`.

        They add up to one; but where a text has several labels, each is a probability of its own.
        """
        answers, plain = Answers(self._trained()), label_column.as_list(texts)
        targets.check_texts(plain)
        return answers.predict_proba(plain)

    def predict_log_proba(self, texts: Iterable[Any]) -> Float[np.ndarray, "texts c"]:
        """Return the logarithm of the probability of each class; one that is 0 counts as the least number."""
        return np.log(np.maximum(self.predict_proba(texts), np.finfo(np.float32).tiny))

    def predict(self, texts: Iterable[Any]) -> np.ndarray:
        """Return the likeliest label of each text.

        Where a text has several, return those above the threshold (`metrics["threshold"]`): a matrix of 0 and
        1 if `fit` was given one, else a set for each text.
        """
        found = self._answers(texts)
        if not found.several:
            return self.classes_[found.given.argmax(axis=-1)]
        return found.given.astype(int) if found.matrix else label_column.as_array(found.each)

    def score(self, texts: Iterable[Any], labels: Any) -> float:
        """Return the share of texts that get their label; of several, exactly these."""
        answers, names = self._answers(texts), self.classes_.tolist()
        bars, matrix = self.labels == "several", targets.is_matrix(labels)
        given = targets.read(labels, several=bars, classes=names if matrix else None)
        if len(answers.given) != len(given.given) or not len(given.given):
            raise ValueError(
                f"score needs as many labels as texts, got {len(answers.given)} and {len(given.given)}."
            )
        return float(np.mean([a == b for a, b in zip(answers.each, given.each, strict=True)]))

    def _answers(self, texts: Iterable[Any]) -> Targets:
        """Return the probabilities of each text, or the labels above the threshold where it has several."""
        shares, threshold = self.predict_proba(texts), self._trained().threshold
        found = shares if threshold is None else shares >= threshold
        return Targets(self.classes_.tolist(), found, self._matrix)

    def explain(self, text: str, label: Hashable = ..., *, method: Method = "leave_one_out") -> Explanation:
        """Explain what each token of a text adds to a label; to the likeliest one if none is given."""
        number = self._numbers()
        if label is not ... and label not in number:
            raise ValueError(f"{label!r} is none of the labels {list(number)!r:.80}.")
        names = [str(i) for i in range(len(number))]
        chosen = None if label is ... else names[number[label]]
        explanation = self._trained()._replace(classes=names).explain(text, chosen, method)
        return replace(explanation, classes=tuple(map(str, number)))

    # --- on disk ---

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run folder, which must not exist yet; `load` and the command line read it."""
        kept = self._saved()
        raw = Trained.of(self.settings, self.network, self.tokenizer)  # without its temperature
        saved.write(path, kept.settings, raw, self.history, self.metrics)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "WaveClassifier":
        """Return the classifier in a folder: a run of `save` or of the command line, or of `save_pretrained`.

        A run of the command line answers with the names of its classes. Another kind of network answers too;
        `fit` then trains a Wave Network.
        """
        return cls._of(continued.read(path))

    def save_pretrained(self, path: str | os.PathLike[str], *, license: str = "unknown") -> None:
        """Write a folder as the Hugging Face Hub has it: safetensors, config.json, tokenizer.json, a card."""
        hub.save(path, self._saved(), license=license)

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> "WaveClassifier":
        """Return the classifier of a folder of `save_pretrained`, or of a repository of the Hub."""
        return cls._of(hub.load(path))

    def export(self, path: str | os.PathLike[str], *, dtype: Dtype = "int8") -> Exported:
        """Write one small file that answers without JAX, or a page if the name ends in .html."""
        return export.save(path, Trained.of(*self._saved()[:4]), dtype=dtype)

    def push_to_hub(self, repository: str, *, private: bool = False, license: str = "unknown") -> str:
        """Write what `save_pretrained` does into a repository of the Hub; return its address."""
        return hub.push(repository, self._saved(), private=private, license=license)

    # --- inside ---

    def _saved(self) -> Saved:
        """Return all that is saved, with the labels as JSON holds them."""
        params = {"preset": self.preset, **self.given()}
        settings = told(self.settings, params, self.classes_.tolist(), self._matrix)
        return Saved(settings, self.network, self.tokenizer, self.metrics, self.history)

    @classmethod
    def _of(cls, kept: Saved) -> "WaveClassifier":
        """Return the classifier of what was saved."""
        settings, metrics = kept.settings, dict(kept.metrics)
        classifier = cls(**of_run(settings, metrics.get("preset")))
        classifier.network, classifier.tokenizer = kept.network, kept.tokenizer
        classifier.history, classifier.settings, classifier.metrics = list(kept.records), settings, metrics
        classifier.measured = []
        labels = settings.data.get("labels", settings.classes)
        classifier.classes_ = label_column.as_array([*map(label_column.from_json, labels)])
        classifier._matrix = settings.data.get("matrix", False)
        return classifier

    def _begun(self, start: Any) -> tuple[Start | None, list[Any]]:
        """Return what is started from, its classes called by their numbers, and its labels."""
        if start is None:
            return None, []
        place = None if isinstance(start, WaveClassifier) else os.fspath(start)
        old = start if place is None else self._of(continued.opened(place).kept)
        labels = old.classes_.tolist()
        settings = replace(old.settings, classes=[str(i) for i in range(len(labels))])
        return Start(Saved(settings, old.network, old.tokenizer, old.metrics, old.history), place), labels

    def _read(
        self, texts: Any, labels: Any, classes: Any, known: list[Any], new: bool
    ) -> tuple[list[str], Targets]:
        """Return texts and targets; with known labels these come first, and others are asked for."""
        if known and classes is None and targets.is_matrix(labels) and not hasattr(labels, "columns"):
            classes = known
        plain, given = targets.columns(texts, labels, several=self.labels == "several", classes=classes)
        if known or new:
            given = given.under(label_column.with_new(known, given.classes, new))
        if len(given.classes) < 2:
            raise ValueError(
                f"fit needs texts of at least 2 classes, got {len(given.classes)}: {given.classes!r:.60}."
            )
        given.check_complete(known)
        return plain, given

    def _preset(self, asked: Targets, start: Start | None) -> Preset:
        """Return the preset with the settings that were given; classes are called by their numbers."""
        rule, several = self.class_weight, {"labels": "several" if asked.several else None}
        weighed = {"class_weight": targets.rule_of(rule, asked.numbers)} if isinstance(rule, dict) else {}
        return self.chosen(None if start is None else start.settings, **several, **weighed)

    def _trained(self) -> Trained:
        return Trained.of(self.settings, self.network, self.tokenizer, self.metrics)

    def _numbers(self) -> dict[Any, int]:
        """Return the number of each label."""
        return {label: i for i, label in enumerate(self.classes_.tolist())}
