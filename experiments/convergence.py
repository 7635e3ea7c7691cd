"""How fast does a Wave Network learn, in batches, beside the Transformer and BERT?

    python -m experiments convergence --data FOLDER FOLDER ... [--weights BERT ...] [--networks small]

P2's study of convergence: test accuracy after every 10 of the first 500 batches, of 64 texts (BERT: 32). Here
alone the test split is read more than once: it is drawn, and nothing is chosen by it. The same on validation
texts is shown beside it.

With `--networks small` the rate falls, as SMALL's does, to 0 at the last batch; the papers' stays as it is.

Price: on 2 cores 5 minutes for the 500 batches of the papers' Wave Network, 25 for the Transformer's, 3 hours
for BERT base's. Reading all texts of a large data set 50 times takes longer still: `--texts 1000` reads so
many at every point. A stopped run goes on where it was.

To expect: no numbers of P2 are known; in P1 figure 7 validation accuracy is flat from the second epoch on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page
from wave_jax.data.datasets import Dataset
from wave_jax.data.splits import Split
from wave_jax.runs.presets import Preset
from wave_jax.study import plots
from wave_jax.training.evaluate import evaluate

ABOUT = """\
Accuracy in per cent after so many batches: mean and 95 % interval over seeds. The test split is read at every
point, as P2 does, and is only drawn: it chooses no network, setting or number of batches. *Batches to 90 %*
is the first point at which a curve, the mean over seeds, has come nine tenths of its way from chance to the
best that any of the models reaches on this data; none where it does not."""


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, each with its tokenizer: without one, what needs it is left out."""
    networks: contenders.Networks = "paper"
    """Whose size and settings: the papers' or SMALL's."""
    models: tuple[str, ...] = ()
    """What is trained, else all."""
    seeds: int = 5
    """Of training; the cut between training and validation texts is the same for all."""
    steps: int = 500
    """Batches of a run."""
    every: int = 10
    """Batches between two points of a curve."""
    texts: int | None = None
    """Test texts that are read at every point, and as many validation texts; else all."""
    size: int | None = None
    """Planted training texts."""


PRESETS = {
    "full": Config(),
    "smoke": Config(networks="small", seeds=2, steps=4, every=2, size=200),
}


def main(config: Config, out: Path) -> None:
    models = contenders.models(config.networks, config.weights, config.models)
    loaded = corpora.load(config.data, next(iter(models.values())).valid, config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    keys = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"model": name, "seed": seed, "preset": with_seed(preset, seed, config.steps)}
        | {"every": config.every, "texts": config.texts}
        for dataset in loaded
        for seed in range(config.seeds)
        for name, preset in models.items()
        if seed < contenders.fewer(preset, config.seeds)
    ]
    found = grid.cells(out, keys, lambda key: follow(texts[key["digest"]], key))
    rows = [
        {**key, **cell, **corpora.setting(texts[key["digest"]], config.networks)}
        for key, cell in zip(keys, found, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT}
    for dataset in loaded:
        of = [row for row in rows if row["digest"] == dataset.digest]
        for split in ("test", "valid"):
            curves = {name: curves_of(of, name, split) for name in models}
            steps, name = of[0]["steps"], {"test": "Test", "valid": "Validation"}[split]
            parts[f"{name}: {dataset.name}"] = plots.bands(
                np.array(steps), curves, f"{name.lower()} accuracy", along="batches"
            )
            parts[f"{name} accuracy, %: {dataset.name}"] = table(steps, curves, len(dataset.classes))
    parts["Data"] = data_table(loaded, config)
    page.write(out, "How fast a Wave Network learns", parts, {"curves": points(rows)})


def with_seed(preset: Preset, seed: int, steps: int) -> Preset:
    return replace(preset, training=replace(preset.training, seed=seed, steps=steps))


def follow(dataset: Dataset, key: grid.Key) -> dict[str, Any]:
    """Train one network; return test and validation accuracy along training."""
    prepared = loops.prepared(dataset, key["preset"])
    read = {
        name: prepared.start.tokens(split.take(range(len(split))[: key["texts"]]))
        for name, split in (("test", dataset.test), ("valid", dataset.valid))
    }
    found: dict[str, list[float]] = {"steps": [], "test": [], "valid": []}
    for turn in loops.turns(prepared, "{data}, {model}, seed {seed}".format_map(key), key["every"]):
        if turn.record.step % key["every"]:
            continue  # the end of an epoch
        found["steps"].append(turn.record.step)
        for name, tokens in read.items():
            found[name].append(evaluate(turn.state.network, tokens).accuracy)
    return found


# --- tables -------------------------------------------------------------------------------------------------

Rows = Sequence[dict[str, Any]]


def curves_of(rows: Rows, model: str, split: str) -> np.ndarray:
    """Return the curves of a model, (seeds, points)."""
    return np.array([row[split] for row in rows if row["model"] == model])


def table(steps: Sequence[int], curves: dict[str, np.ndarray], classes: int) -> Rows:
    """Write each curve at some of its points."""
    chance, top = 1 / classes, max(values.mean(axis=0).max() for values in curves.values())
    goal = chance + 0.9 * (top - chance)
    shown = sorted({max(0, round(share * len(steps)) - 1) for share in (0.02, 0.1, 0.2, 0.4, 1)})

    def row(model: str, values: np.ndarray) -> dict[str, Any]:
        there = values.mean(axis=0) >= goal
        return {
            "model": model,
            **{f"{steps[i]}": compare.over_seeds([*values[:, i]], 100) for i in shown},
            "batches to 90 %": steps[int(there.argmax())] if there.any() else "none",
            "seeds": len(values),
        }

    return [row(model, values) for model, values in curves.items()]


def data_table(loaded: Sequence[Dataset], config: Config) -> Rows:
    def read(split: Split) -> int:
        return min(len(split), config.texts or len(split))

    return [
        {"data": dataset.name, "train": len(dataset.train), "test texts read": read(dataset.test)}
        | {"validation texts read": read(dataset.valid), "digest": dataset.digest}
        for dataset in loaded
    ]


def points(rows: Rows) -> Rows:
    names = ("data", "model", "seed", "networks", "labelled")
    return [
        {name: row[name] for name in names} | {"step": step, "test": test, "valid": valid}
        for row in rows
        for step, test, valid in zip(row["steps"], row["test"], row["valid"], strict=True)
    ]
