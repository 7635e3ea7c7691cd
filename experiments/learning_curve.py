"""From how many labelled texts on is SMALL the better choice?

    python -m experiments learning_curve --data FOLDER ... --weights MINILM

As many texts as a user may have are drawn from the training texts, five times each: those of fewer texts are
among those of more. On the same texts are trained, each as it is usually taken:
- SMALL, as `wave-jax train` has it, a twentieth of the texts held out for validation, which chooses nothing;
- fastText with bigrams, where it is installed, rate 0.5; five epochs, and more where these are few steps;
- logistic regression (C = 10) on the TF-IDF of words and pairs of words;
- with weights, logistic regression on frozen vectors of that BERT: the mean of its last layer's tokens. It
  was trained on outside texts, as the others are not.

The test split is read once per run.

Price: hours on 2 cores for AG News. A stopped run goes on where it was; `--finished` writes the page of the
runs that are there.

To expect: all gain with more texts, and SMALL, which starts from nothing, most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page, peer, rivals
from wave_jax.data.datasets import Dataset
from wave_jax.data.splits import Split, hold_out
from wave_jax.runs import presets, result, run
from wave_jax.study import plot_style, plots

ABOUT = """\
Test accuracy in per cent, mean and 95 % interval over draws of the training texts. *Less* and *more*: than
SMALL on the same texts, by more than the 95 % interval of the difference; one of twenty such differences is
significant by chance."""

_READ = 25_000  # texts that fastText reads at least, an epoch being all of them


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, each with its tokenizer, whose vectors are taken."""
    counts: tuple[int, ...] = (100, 300, 1_000, 3_000, 10_000)
    """Numbers of training texts; all of them come on top."""
    models: tuple[str, ...] = ()
    """Who is compared, as the page names them; else all."""
    draws: int = 5
    """How often so many texts are drawn; the draw is the seed of the network too."""
    epochs: int | None = None
    """Another number of epochs than SMALL's."""
    size: int | None = None
    """Planted training texts."""
    finished: bool = False
    """Train nothing: the page is of the runs in cells.jsonl."""


PRESETS = {"full": Config(), "smoke": Config(counts=(40,), draws=1, epochs=1, size=60)}


def main(config: Config, out: Path) -> None:
    small = presets.preset("small")
    loaded = corpora.load(config.data, small.valid, config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    vectors: dict[str, dict[str, np.ndarray]] = {str(Path(folder)): {} for folder in config.weights}
    keys = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"texts": count, "model": model, "draw": draw, "settings": settings}
        for draw in range(config.draws)
        for dataset in loaded
        for count in counts_of(dataset, config.counts)
        for model, settings in models_of(config, drawn(dataset, count, draw), draw).items()
    ]
    keys = grid.finished(out, keys) if config.finished else keys
    found = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key, vectors))
    rows = [
        {name: key[name] for name in ("data", "digest", "texts", "model", "draw")} | cell
        for key, cell in zip(keys, found, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT}
    for dataset in loaded:
        of = [row for row in rows if row["digest"] == dataset.digest]
        parts[f"Test accuracy: {dataset.name}"] = accuracy_table(of)
        parts[f"Learning curve: {dataset.name}"] = figure(of)
    parts["Data"] = corpora.table(loaded)
    page.write(out, "From how many texts on SMALL is the better choice", parts, {"runs": rows})


def counts_of(dataset: Dataset, counts: Sequence[int]) -> list[int]:
    """Return the numbers of texts that are drawn, and that of all.

    >>> counts_of(Dataset.from_texts(list("abcd"), list("xyxy")), (2, 9))
    [2, 4]
    """
    every = len(labelled(dataset))
    return [*(count for count in counts if count < every), every]


def models_of(config: Config, train: Split, draw: int) -> dict[str, Any]:
    """Return who is compared on these texts, each with its settings."""
    small = presets.preset("small")
    assert isinstance(small.valid, float)
    models: dict[str, Any] = {
        "SMALL": contenders.with_seed(small, draw, config.epochs, hold_out(train, small.valid, draw)[0]),
        "TF-IDF": "logistic regression",
    }
    if find_spec("fasttext"):
        models["fastText"] = peer.SETTINGS | {"epoch": max(5, -(-_READ // len(train))), "seed": draw}
    models |= {f"vectors of {Path(folder).name}": Path(folder) for folder in config.weights}
    return {name: settings for name, settings in models.items() if not config.models or name in config.models}


def labelled(dataset: Dataset) -> Split:
    """Return all labelled texts but those of the test split."""
    train, valid = dataset.train, dataset.valid
    return Split(train.texts + valid.texts, np.concatenate([train.labels, valid.labels]))


def drawn(dataset: Dataset, count: int, draw: int) -> Split:
    """Draw so many texts: the first of one order, so that few are among many."""
    every = labelled(dataset)
    return every.take(np.random.default_rng(draw).permutation(len(every))[:count])


def judge(dataset: Dataset, key: grid.Key, vectors: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Train one model; return its numbers."""
    train = drawn(dataset, key["texts"], key["draw"])
    if key["model"] == "SMALL":
        return of_small(dataset, train, key)
    if key["model"] == "TF-IDF":
        rival = rivals.tfidf(train)
    elif key["model"] == "fastText":
        model, seconds = peer.trained(train, key["settings"])
        return {"test_accuracy": peer.accuracy(model, dataset.test), "seconds": seconds}
    else:
        rival = rivals.vectors(train, key["settings"], vectors[str(key["settings"])])
    return {"test_accuracy": rival.accuracy(dataset.test), "seconds": rival.seconds}


def of_small(dataset: Dataset, every: Split, key: grid.Key) -> dict[str, Any]:
    preset = key["settings"]
    train, valid = hold_out(every, preset.valid, key["draw"])
    part = replace(dataset, train=train, valid=valid)
    prepared = run.prepare(part, preset)
    records, network = loops.trained(prepared, "{data}, {texts} texts, draw {draw}".format_map(key))
    metrics = result.measure(prepared, network, records, test=dataset.test)
    return {name: metrics[name] for name in ("test_accuracy", "seconds")}


# --- tables -------------------------------------------------------------------------------------------------

Rows = Sequence[dict[str, Any]]


def by_draw(rows: Rows) -> dict[tuple[int, str], dict[int, float]]:
    """Group the accuracies by texts and model, each by its draw."""
    found: dict[tuple[int, str], dict[int, float]] = {}
    for row in rows:
        found.setdefault((row["texts"], row["model"]), {})[row["draw"]] = row["test_accuracy"]
    return found


def accuracy_table(rows: Rows) -> Rows:
    """Write a row for each number of texts, a column for each model."""
    found = by_draw(rows)
    counts, models = sorted({count for count, _ in found}), dict.fromkeys(model for _, model in found)

    def shown(count: int, model: str) -> str:
        own, small = found.get((count, model), {}), found.get((count, "SMALL"), {})
        both = own.keys() & small.keys()
        if not own:
            return ""
        told = compare.against([own[i] for i in both], [small[i] for i in both]) if both else ""
        mean = compare.over_seeds(list(own.values()), 100)
        return f"{mean} {told}" if told in ("less", "more") else mean

    return [{"texts": count} | {model: shown(count, model) for model in models} for count in counts]


def figure(rows: Rows) -> plot_style.Figure:
    """Draw the accuracies of the draws that all have, over the number of texts that all were trained on."""
    found = by_draw(rows)
    counts, models = sorted({count for count, _ in found}), dict.fromkeys(model for _, model in found)
    whole = [count for count in counts if all((count, model) in found for model in models)]
    draws = set.intersection(*(set(found[count, model]) for count in whole for model in models))
    curves = {
        model: np.array([[100 * found[count, model][draw] for count in whole] for draw in sorted(draws)])
        for model in models
    }
    drawn = plots.bands(np.array(whole), curves, "test accuracy, %", "training texts", "draws")
    drawn.axes[0].set(xscale="log")
    return drawn
