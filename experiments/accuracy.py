"""How good is a Wave Network, beside what it is measured against?

    python -m experiments accuracy --data FOLDER FOLDER ... [--weights BERT BERT ...] [--networks small]

P1 tables 1 and 2, at the papers' size and settings, or all at SMALL's. `--weights` are folders of BERTs: each
is fine-tuned, and its words given to a Transformer. `--grid` also trains Transformer and BERTs with care,
over rates and warm-ups, the best by validation. `--models` and `--seeds` do less.

The network is that of the epoch with the best validation accuracy, at SMALL's size that of the last epoch,
and the test split is read once, for it. Every model is compared with modulation of the same seed, on the same
test texts.

Price: 3 hours on 2 cores for each Wave Network of the papers' size, on 60,000 texts, 4 epochs and 5 seeds. A
step of it takes half a second, one of the Transformer 3 and of BERT base about 20; on a GPU all take minutes.
A stopped run goes on where it was.

To expect: the papers' column of the report; the Transformer, trained with care, far above its number there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page
from wave_jax.data.datasets import Dataset
from wave_jax.runs import result
from wave_jax.runs.presets import Preset, max_length
from wave_jax.study import plot_style, plots, statistics
from wave_jax.training import evaluate

PAPER = {  # P1 table 2; the Transformer of table 1 is given BERT's words
    "ag_news": {
        "interference": 90.91,
        "modulation": 91.66,
        "Transformer on words of bert-base-uncased": 71.68,
        "bert-base-uncased": 94.64,
    },
    "imdb": {"interference": 87.00, "modulation": 87.02, "bert-base-uncased": 93.94},
    "dbpedia14": {"interference": 97.93, "modulation": 98.05, "bert-base-uncased": 99.28},
}
ABOUT = """\
Test accuracy in per cent of the network kept (at SMALL's size the last): mean, standard deviation and 95 %
interval over seeds. *Parameters* count every row of every table. *Tokens* are those of a text that are read.
*Seconds* are those of training, compiling included, the median over seeds."""
AGAINST = """\
Accuracy less that of modulation with the same seed, in points of per cent: mean and 95 % interval over seeds.
*Only it* and *only modulation* are test texts that one of them alone answers right, mean over seeds; p is of
McNemar's exact test on them, the median over seeds. A verdict needs a difference larger than its interval,
thus two seeds or more, and p < 0.05."""


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, each with its tokenizer: without one, what needs it is left out."""
    networks: contenders.Networks = "paper"
    """Whose size and settings: the papers' or SMALL's."""
    models: tuple[str, ...] = ()
    """What is trained besides modulation, else all."""
    seeds: int = 5
    """Of training; the cut between training and validation texts is the same for all."""
    epochs: int | None = None
    """Another number of epochs than that of the settings."""
    grid: bool = False
    """Also train Transformer and BERTs over `contenders.RATES`; the best by validation has three seeds."""
    finished: bool = False
    """Train nothing: write the page of all that is trained already."""
    size: int | None = None
    """Planted training texts."""


PRESETS = {"full": Config(), "smoke": Config(networks="small", seeds=2, epochs=1, size=60)}
Rows = Sequence[dict[str, Any]]


def main(config: Config, out: Path) -> None:
    named = ("modulation", *config.models) if config.models else ()
    models = contenders.models(config.networks, config.weights, named)
    if config.finished:
        models = contenders.every(config.networks, config.weights)
    loaded = corpora.load(config.data, models["modulation"].valid, config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    keys = [
        key_of(dataset, seed, name, preset, config.epochs)
        for dataset, seed in product(loaded, range(config.seeds))
        for name, preset in models.items()
        if seed < contenders.fewer(preset, config.seeds)
    ]
    keys = grid.finished(out, keys) if config.finished else keys

    def judged(keys: Sequence[grid.Key]) -> list[dict[str, Any]]:
        found = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key))
        return [{**key, **cell} for key, cell in zip(keys, found, strict=True)]

    rows = judged(keys)
    searched = models.items() if config.grid and not config.finished else ()
    for dataset, (name, preset) in product(loaded, searched):
        rows += over_rates(judged, dataset, contenders.grid(name, preset), config)
    parts: dict[str, Any] = {
        "What is measured": ABOUT,
        "Test accuracy, %": accuracy_table(rows),
        "Against modulation": AGAINST,
        "Differences": difference_table(rows),
    }
    for dataset in loaded:
        of = [row for row in rows if row["digest"] == dataset.digest]
        parts[f"Accuracy against parameters: {dataset.name}"] = figure(of)
    parts["Data"] = corpora.table(loaded)
    shown = [
        {name: value for name, value in row.items() if name not in ("preset", "right")}
        | {"epochs": row["preset"].training.epochs, "test": len(texts[row["digest"]].test)}
        | corpora.setting(texts[row["digest"]], config.networks)
        for row in rows
    ]
    page.write(out, "The Wave Network beside its baselines", parts, {"runs": shown})


def over_rates(
    judged: Callable[[Sequence[grid.Key]], Rows],
    dataset: Dataset,
    variants: Mapping[str, Preset],
    config: Config,
) -> Rows:
    """Train all variants of a model with one seed, and the best by validation with more.

    Args:
      judged: trains the networks of some keys.
      dataset: the texts.
      variants: of the model, by name; there may be none.
      config: says how many seeds and epochs.
    """

    def trained(seeds: Iterable[int], names: Iterable[str]) -> Rows:
        runs = product(seeds, names)
        return judged([key_of(dataset, seed, name, variants[name], config.epochs) for seed, name in runs])

    if not variants:
        return []
    tried = trained([0], variants)
    best = max(tried, key=lambda row: row["valid_accuracy"])["model"]
    return [*tried, *trained(range(1, contenders.fewer(variants[best], config.seeds)), [best])]


def key_of(
    dataset: Dataset, seed: int, model: str, preset: Preset, epochs: int | None = None
) -> dict[str, Any]:
    """Return all that a run follows from.

    Args:
      dataset: the texts.
      seed: of training.
      model: what it is called.
      preset: all its other settings.
      epochs: another number of epochs than the preset's.
    """
    return {
        "data": dataset.name,
        "digest": dataset.digest,
        "test digest": dataset.test.digest,
        "model": model,
        "seed": seed,
        "preset": contenders.with_seed(preset, seed, epochs, dataset.train),
    }


def judge(dataset: Dataset, key: grid.Key) -> dict[str, Any]:
    """Train one network; return its numbers, and which test texts it answers right."""
    prepared = loops.prepared(dataset, key["preset"])
    records, network = loops.trained(prepared, "{data}, {model}, seed {seed}".format_map(key))
    test = prepared.start.tokens(dataset.test)
    right = evaluate.predict(network, test).argmax(axis=-1) == test.labels
    metrics = result.measure(prepared, network, records)
    names = ("valid_accuracy", "parameters", "parameters_without_embeddings", "seconds", "device")
    return {
        "test_accuracy": right.mean(),
        **{name: metrics[name] for name in names},
        "right": grid.packed(right),
    }


# --- tables -------------------------------------------------------------------------------------------------


def groups(rows: Rows) -> dict[tuple[str, str], Rows]:
    """Group the runs by data set and model."""
    keys = dict.fromkeys((row["data"], row["model"]) for row in rows)
    return {key: [row for row in rows if (row["data"], row["model"]) == key] for key in keys}


def accuracy_table(rows: Rows) -> Rows:
    def row(data: str, model: str, of: Rows) -> dict[str, Any]:
        accuracy = [100 * each["test_accuracy"] for each in of]
        return {
            "data": data,
            "model": model,
            "paper": PAPER.get(data, {}).get(model),
            "test": compare.over_seeds(accuracy, digits=2),
            "std": f"{statistics.interval(accuracy).std:.2f}" if len(of) > 1 else "",
            "validation": compare.over_seeds([each["valid_accuracy"] for each in of], 100, digits=2),
            "seeds": len(of),
            "parameters": f"{of[0]['parameters']:,}",
            "without embeddings": f"{of[0]['parameters_without_embeddings']:,}",
            "tokens": max_length(of[0]["preset"].network),
            "seconds": f"{np.median([each['seconds'] for each in of]):.0f}",
        }

    return [row(data, model, of) for (data, model), of in groups(rows).items()]


def difference_table(rows: Rows) -> Rows:
    """Compare each model with modulation at the seeds that it has."""
    base = {(row["data"], row["seed"]): row for row in rows if row["model"] == "modulation"}
    return [
        {"data": data, "model": model}
        | compare.difference(of, [base[data, row["seed"]] for row in of], "modulation")
        for (data, model), of in groups(rows).items()
        if model != "modulation"
    ]


def figure(rows: Rows) -> plot_style.Figure:
    """Draw the models of several seeds; those of one were tried on validation texts."""
    points, every = {}, groups(rows)
    several = {key: of for key, of in every.items() if len(of) > 1}
    for (_, model), of in (several or every).items():
        mean, _, half = statistics.interval([each["test_accuracy"] for each in of])
        points[model] = (of[0]["parameters"], mean, half)
    return plots.accuracy_against_parameters(points)
