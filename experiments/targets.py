"""What do class weights, soft targets and several labels a text give, and what do they cost?

    python -m experiments targets --weighted TREC50 --soft SST2 TREC6 --several TREC50 --weights MINILM

Ours, of neither paper. All networks are SMALL, trained as `wave-jax train` has it.
- Class weights: all classes count alike in the loss (`balanced`), beside plain training.
- Soft targets: few texts have labels, and a logistic regression on frozen vectors of that BERT learns them.
  It answers all training texts, and SMALL learns its probabilities: of the few texts, or of all. Beside it
  stands SMALL on the few labels. The teacher has read outside texts; the student is a file of 3 MB.
- Several labels: the planted corpus with two topics a text, and corpora whose labels have parts, as
  ENTY:animal, of which each is a label, shared by all classes that have it. Beside SMALL stands logistic
  regression on TF-IDF, one for each label against the rest, on the same texts, at a threshold chosen on the
  same validation texts. The share of texts answered with exactly their labels is called exact.

Price: half an hour on 2 cores for TREC and 10,000 texts of SST-2. The test split is read once a run. A
stopped run goes on where it was.

To expect: balanced classes lift macro-F1 on TREC-50, whose classes are of very different sizes; students of
all texts come near their teacher, for better or worse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page, rivals
from wave_jax.data import datasets
from wave_jax.data.datasets import Dataset
from wave_jax.data.splits import Split, hold_out
from wave_jax.runs import presets, result
from wave_jax.runs.presets import Preset
from wave_jax.training.evaluate import counted
from wave_jax.training.threshold import best_threshold

ABOUT = """\
Per cent of the test texts, mean and 95 % interval over seeds; a seed draws the network and, for soft targets,
the texts. Seconds are those of training, compiling included; of a regression, vectors that were computed for
another one excluded."""


@dataclass(frozen=True)
class Config:
    weighted: tuple[str, ...] = ()
    """Folders of texts for class weights; without one, the planted corpus."""
    soft: tuple[str, ...] = ()
    """Folders of texts for soft targets."""
    several: tuple[str, ...] = ()
    """Folders of texts whose labels have parts; the planted corpus with two topics a text comes on top."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, each with its tokenizer; the teacher reads vectors of the first one. Without it there
    are no soft targets."""
    labelled: int = 1_000
    """Texts that the teacher learns from."""
    most: int = 10_000
    """Texts that the teacher answers."""
    seeds: int = 3
    epochs: int | None = None
    """Another number of epochs than SMALL's."""
    size: int = 5_000
    """Planted training texts."""


PRESETS = {"full": Config(), "smoke": Config(seeds=1, epochs=1, size=60, labelled=30, most=50)}


def main(config: Config, out: Path) -> None:
    several = [datasets.load("planted", size=config.size, labels="several")]
    if config.several:
        several += map(in_parts, corpora.load(config.several, small_share()))
    loaded = {
        "class weights": corpora.load(config.weighted, small_share(), config.size),
        "soft targets": corpora.load(config.soft, small_share(), config.size) if config.weights else [],
        "several labels": several,
    }
    texts = {(part, dataset.digest): dataset for part, some in loaded.items() for dataset in some}
    keys = [key for (part, _), dataset in texts.items() for key in keys_of(part, dataset, config)]
    vectors: dict[str, np.ndarray] = {}
    found = grid.cells(out, keys, lambda key: judge(texts[key["part"], key["digest"]], key, vectors))
    rows = [
        {name: key[name] for name in ("part", "data", "model", "seed")} | cell
        for key, cell in zip(keys, found, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT}
    for part, dataset in ((part, dataset) for part, some in loaded.items() for dataset in some):
        of = [row for row in rows if (row["part"], row["data"]) == (part, dataset.name)]
        parts[f"{part.capitalize()}: {dataset.name}"] = table(of)
    parts["Data"] = corpora.table(list(texts.values()))
    page.write(out, "Class weights, soft targets, several labels", parts, {"runs": rows})


def small_share() -> float:
    """Return the share of texts that SMALL holds out."""
    share = presets.preset("small").valid
    assert isinstance(share, float)
    return share


def in_parts(dataset: Dataset) -> Dataset:
    """Return a data set with the parts of each label, between colons, as labels of their own.

    >>> of_one = Dataset.from_texts(["x", "y"] * 2, ["a:b", "a:c"] * 2)
    >>> of_one.classes, in_parts(of_one).classes, in_parts(of_one).train.targets.astype(int).tolist()
    (('a:b', 'a:c'), ('a', 'b', 'c'), [[1, 1, 0], [1, 0, 1]])
    """
    names = tuple(sorted({part for name in dataset.classes for part in name.split(":")}))
    has = np.array([[part in name.split(":") for part in names] for name in dataset.classes])

    def split(of: Split) -> Split:
        return Split.of_matrix(of.texts, has[of.labels])

    read_test = (lambda: split(dataset.test)) if dataset.has_test else None
    return Dataset(f"{dataset.name}, in parts", names, split(dataset.train), split(dataset.valid), read_test)


def keys_of(part: str, dataset: Dataset, config: Config) -> list[dict[str, Any]]:
    """Return a key for each model of a part and each seed."""
    small = contenders.with_seed(presets.preset("small"), 0, config.epochs, dataset.train)
    encoder, rival = Path(*config.weights[:1]), "logistic regression"
    models: dict[str, Any] = {
        "class weights": {"plain": small, "balanced": changed(small, class_weight="balanced")},
        "soft targets": {"teacher": encoder}
        | {name: presets.preset("small") for name in ("few labels", "teacher of few", "teacher of all")},
        "several labels": {"SMALL": changed(small, labels="several"), "TF-IDF": rival},
    }[part]
    drawn = {"labelled": config.labelled, "most": config.most, "epochs": config.epochs}
    drawn |= {"weights": encoder}
    return [
        {"part": part, "data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"model": model, "seed": seed, "settings": seeded(settings, seed)}
        | ({"drawn": drawn} if part == "soft targets" else {})
        for model, settings in models.items()
        for seed in range(1 if settings is rival else config.seeds)
    ]


def changed(preset: Preset, **changes: Any) -> Preset:
    return replace(preset, training=replace(preset.training, **changes))


def seeded(settings: Any, seed: int) -> Any:
    return changed(settings, seed=seed) if isinstance(settings, Preset) else settings


def judge(dataset: Dataset, key: grid.Key, vectors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Train one model; return its numbers."""
    if key["part"] == "soft targets":
        return of_soft(dataset, key, vectors)
    if key["model"] == "TF-IDF":
        return of_tfidf(dataset)
    return of_small(dataset, key["settings"], key)


def of_small(dataset: Dataset, preset: Preset, key: grid.Key) -> dict[str, Any]:
    prepared = loops.prepared(dataset, preset)
    records, network = loops.trained(prepared, "{data}, {model}, seed {seed}".format_map(key))
    metrics = result.measure(prepared, network, records, test=dataset.test)
    names = "test_accuracy", "test_micro_f1", "test_macro_f1", "threshold", "seconds"
    return {name: metrics[name] for name in names if name in metrics}


def of_tfidf(dataset: Dataset) -> dict[str, Any]:
    """Train the regressions on the training texts, and choose their threshold on the validation texts."""
    rival, valid, test = rivals.tfidf(dataset.train), dataset.valid, dataset.test
    assert valid.targets is not None
    assert test.targets is not None
    threshold = best_threshold(rival.shares(valid.texts), valid.targets)
    found = counted(rival.shares(test.texts) >= threshold, test.targets)
    scores = {"accuracy": found.accuracy, "micro_f1": found.micro_f1, "macro_f1": found.macro_f1}
    return {f"test_{name}": value for name, value in scores.items()} | {
        "threshold": threshold,
        "seconds": rival.seconds,
    }


def of_soft(dataset: Dataset, key: grid.Key, vectors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Train a teacher on few texts, or its student."""
    drawn, seed, preset = key["drawn"], key["seed"], key["settings"]
    train, order = dataset.train, np.random.default_rng(key["seed"]).permutation(len(dataset.train))
    few = train.take(order[: drawn["labelled"]])
    if key["model"] == "few labels":
        part = few
    else:
        teacher = rivals.vectors(few, drawn["weights"], vectors)
        if key["model"] == "teacher":
            return {"test_accuracy": teacher.accuracy(dataset.test), "seconds": teacher.seconds}
        part = few if key["model"] == "teacher of few" else train.take(order[: drawn["most"]])
        shares = np.zeros((len(part), len(dataset.classes)), np.float32)
        shares[:, np.unique(few.labels)] = teacher.shares(part.texts)
        part = Split.of_matrix(part.texts, shares)
    kept, valid = hold_out(part, small_share(), seed)
    preset = contenders.with_seed(preset, seed, drawn["epochs"], kept)
    return of_small(replace(dataset, train=kept, valid=valid), preset, key)


def table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write a row for each model: its scores, its seconds and, of several labels, its threshold."""
    shown = {"test_accuracy": "accuracy", "test_micro_f1": "micro-F1", "test_macro_f1": "macro-F1"}
    if any("test_micro_f1" in row for row in rows):
        shown["test_accuracy"] = "exact"

    def told(model: str) -> dict[str, Any]:
        of = [row for row in rows if row["model"] == model]
        scores = {
            name: compare.over_seeds([row[key] for row in of], 100)
            for key, name in shown.items()
            if all(key in row for row in of)
        }
        means = {
            name: float(np.mean([row[name] for row in of]))
            for name in ("threshold", "seconds")
            if name in of[0]
        }
        return {"model": model} | scores | means

    return [told(model) for model in dict.fromkeys(row["model"] for row in rows)]
