"""What carries the accuracy of SMALL: the wave, or the parts around it?

    python -m experiments ablation --data FOLDER [--epochs 3 --texts 20000]

Ours; neither paper has controls. Every way to combine with every read-out; then one change at a time, from
modulation and from interference as SMALL is set up (both parts for a read-out, [CLS], one layer); and
controls, which take from the network what may not matter. The test split is read once per run.

Price: an hour and a half on 2 cores for a data set of 65,000 texts, 30 networks from 3 seeds at about a
minute a run of 6 epochs. Compiling, some ten seconds, is done once for all seeds of a network. Four layers
take about twice as long a text as one. A stopped run goes on where it was.

To expect, by algebra: at [CLS], whose word is the same in every text, one layer sees no more of a text than s
and s', the norms of its other tokens. An interference's real part then tells nothing, its imaginary part all.
The magnitude of a modulation is G·G', which no phase reaches.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page
from experiments.frame.less import LessConfig
from wave_jax.data.datasets import Dataset
from wave_jax.data.splits import Split
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs import presets, result, run
from wave_jax.runs.presets import Preset
from wave_jax.study import plot_style, plots, statistics
from wave_jax.training import evaluate

ABOUT = """\
Accuracy in per cent of the network kept (SMALL's: the last), mean and 95 % interval over {seeds}
seeds, after {epochs} epochs of {texts} training texts. *Difference*: from the base, which has
no change, with the same seed, on the same test texts, in points of per cent. *Only it* and *only base* are
test texts that one of them alone answers right, mean over seeds; p is of McNemar's exact test on them, the
median over seeds. A verdict needs a difference larger than its interval, thus two seeds or more, and
p < 0.05. *Seconds* are those of training, compiling included, the median over seeds. The controls:

- *magnitude* of a modulation: G·G' for a read-out, which no phase reaches;
- *imaginary part*: the read-out without its real half;
- *one map*: w' = w, both waves from one linear map, so that an interference is twice a wave;
- *shuffled words*: of every text, training and test, before it is tokenized; pairs are chance neighbours;
- *mean of embeddings*: instead of the wave, with the same feed forward, norm, dropout and classifier;
- *bag of embeddings*: the mean, dropout and classifier alone."""

Change = dict[str, Any]  # settings of the network; or "shuffled", or "bag"
NONE = "(no change)"
BASES = {"modulation": "modulate", "interference": "interfere"}
READ_OUTS: dict[str, Change] = {"magnitude": {"read_out": "magnitude"}, "real part": {"read_out": "real"}}
FACTORS: dict[str, Change] = {
    "mean pooling": {"pool": "mean"},
    "sinusoidal positions": {"positions": "sinusoidal"},
    "learned positions": {"positions": "learned"},
    "G of the sentence": {"levels": "sentence"},
    "one voice": {"voice_width": None},
    **{f"{layers} layers": {"layers": layers} for layers in (2, 3, 4)},
}
LESS: dict[str, Change] = {
    "imaginary part": {"less": "real part", "read_out": "real"},
    "one map": {"less": "second map"},
    "shuffled words": {"shuffled": True},
}
WAVELESS: dict[str, Change] = {  # these know no combination: beside modulation alone
    "mean of embeddings": {"less": "wave", "read_out": "real"},
    "bag of embeddings": {"bag": True},
}
Table = dict[str, dict[str, Change]]  # the changes made to every base
TABLES: dict[str, Table] = {
    "Read-outs": dict.fromkeys(BASES, READ_OUTS),
    "One change at a time": dict.fromkeys(BASES, FACTORS),
    "Controls": {
        "modulation": {"magnitude": READ_OUTS["magnitude"], **LESS, **WAVELESS},
        "interference": LESS,
    },
}
CARRIERS = {  # what a control takes away
    "imaginary part": "the real part",
    "one map": "the second map",
    "shuffled words": "the order of words",
    "mean of embeddings": "the wave",
}


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    changes: tuple[str, ...] = ()
    """What is changed, else everything."""
    seeds: int = 3
    """Of training, and of how words are shuffled; the cut of validation texts is the same for all."""
    epochs: int | None = None
    """Another number of epochs than SMALL's."""
    texts: int | None = None
    """Training texts, drawn once for all runs; else all."""
    size: int | None = None
    """Planted training texts."""


PRESETS = {
    "full": Config(),
    "smoke": Config(changes=("mean of embeddings",), seeds=1, epochs=1, size=60),
}

# --- networks that lack something ---------------------------------------------------------------------------


def preset(base: str, change: Change, seed: int, epochs: int | None, train: Split) -> Preset:
    """Return SMALL with one change, from modulation or interference."""
    small = presets.preset("small", "bag" if "bag" in change else "wave")
    network, settings = (
        small.network,
        {name: change[name] for name in change if name not in ("bag", "shuffled")},
    )
    if "bag" not in change:
        kind: Any = LessConfig if "less" in change else WaveConfig
        network = kind(**(vars(network) | {"combine": BASES[base]} | settings))
    return contenders.with_seed(replace(small, network=network), seed, epochs, train)


# --- texts --------------------------------------------------------------------------------------------------


def fewer(dataset: Dataset, texts: int | None) -> Dataset:
    """Return a data set with so many training texts, drawn by chance."""
    order = np.random.default_rng(0).permutation(len(dataset.train))
    return replace(dataset, train=dataset.train.take(np.sort(order[:texts]))) if texts else dataset


def shuffle(dataset: Dataset, seed: int) -> Dataset:
    """Shuffle the words of every text."""

    def of(split: Split) -> Split:
        random = np.random.default_rng(seed)
        return Split(tuple(" ".join(random.permutation(t.split())) for t in split.texts), split.labels)

    test = partial(of, dataset.test)
    return replace(dataset, train=of(dataset.train), valid=of(dataset.valid), read_test=test)


# --- runs ---------------------------------------------------------------------------------------------------


def main(config: Config, out: Path) -> None:
    small = presets.preset("small")
    loaded = [fewer(each, config.texts) for each in corpora.load(config.data, small.valid, config.size)]
    texts = {dataset.digest: dataset for dataset in loaded}
    tables = {name: found for name, table in TABLES.items() if (found := chosen(table, config.changes))}
    points = {  # what is in several tables, once
        (base, name): change
        for table in tables.values()
        for base, changes in table.items()
        for name, change in {NONE: {}, **changes}.items()
    }
    keys: list[dict[str, Any]] = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"base": base, "change": name, "shuffled": "shuffled" in change, "seed": seed}
        | {"preset": preset(base, change, seed, config.epochs, dataset.train)}
        for dataset in loaded
        for (base, name), change in points.items()
        for seed in range(config.seeds)
    ]
    with tempfile.TemporaryDirectory() as cache:  # most runs have one tokenizer
        found = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key, cache))
    about = ABOUT.format(seeds=config.seeds, texts=config.texts or "all", epochs=config.epochs or "SMALL's")
    parts: dict[str, Any] = {"What is measured": about}
    for dataset in loaded:
        runs: Runs = {point: [] for point in points}
        for key, cell in zip(keys, found, strict=True):
            if key["digest"] == dataset.digest:
                runs[key["base"], key["change"]].append(cell)
        parts[f"What carries the accuracy: {dataset.name}"] = verdict(runs)
        for name, table in tables.items():
            parts[f"{name}: {dataset.name}"] = difference_table(runs, table)
        parts[f"What each change does: {dataset.name}"] = figure(runs)
    parts["Data"] = corpora.table(loaded)
    rows = [
        {**key, **cell, **corpora.setting(texts[key["digest"]], "small")}
        | {"epochs": key["preset"].training.epochs}
        for key, cell in zip(keys, found, strict=True)
    ]
    names = ("data", "base", "change", "seed", "valid_accuracy", "test_accuracy", "parameters", "seconds")
    names += ("networks", "labelled", "epochs")
    page.write(out, "What carries the accuracy of SMALL", parts, {"runs": page.distinct(rows, names)})


def chosen(table: Table, names: Sequence[str]) -> Table:
    """Return the changes of these names, or all."""
    found = {
        base: {name: change for name, change in changes.items() if not names or name in names}
        for base, changes in table.items()
    }
    return {base: changes for base, changes in found.items() if changes}


def judge(dataset: Dataset, key: grid.Key, cache: str) -> dict[str, Any]:
    """Train one network; return its numbers, and which test texts it answers right."""
    if key["shuffled"]:
        dataset = shuffle(dataset, key["seed"])
    prepared = run.prepare(dataset, key["preset"], cache=cache)
    records, network = loops.trained(prepared, "{data}, {base}, {change}, seed {seed}".format_map(key))
    test = prepared.start.tokens(dataset.test, cache)
    right = evaluate.predict(network, test).argmax(axis=-1) == test.labels
    metrics = result.measure(prepared, network, records)
    numbers = {name: metrics[name] for name in ("valid_accuracy", "parameters", "seconds")}
    return {"test_accuracy": right.mean(), **numbers, "right": grid.packed(right)}


# --- tables -------------------------------------------------------------------------------------------------

Runs = dict[tuple[str, str], list[dict[str, Any]]]  # of every base and change, over seeds


def difference_table(runs: Runs, table: Table) -> list[dict[str, Any]]:
    def row(base: str, change: str) -> dict[str, Any]:
        of = runs[base, change]
        return {
            "base": base,
            "change": change,
            "test": compare.over_seeds([each["test_accuracy"] for each in of], 100, digits=2),
            "validation": compare.over_seeds([each["valid_accuracy"] for each in of], 100, digits=2),
            **({} if change == NONE else compare.difference(of, runs[base, NONE], "base")),
            "parameters": f"{of[0]['parameters']:,}",
            "seconds": f"{np.median([each['seconds'] for each in of]):.0f}",
        }

    return [row(base, change) for base, changes in table.items() for change in (NONE, *changes)]


def verdict(runs: Runs) -> str:
    """Say what makes each base worse and better, and what carries its accuracy."""
    if any(len(of) == 1 for of in runs.values()):
        return "Cannot be judged: one seed has no interval."
    lines = []
    for base in dict.fromkeys(base for base, _ in runs):
        changes = {change: of for (b, change), of in runs.items() if b == base and change != NONE}
        told = {name: compare.difference(of, runs[base, NONE], "base") for name, of in changes.items()}
        for kind in ("worse", "better", "not significant"):
            of_kind = {name: each["difference"] for name, each in told.items() if each["verdict"] == kind}
            said = ", ".join(f"{name} ({points})" for name, points in of_kind.items())
            lines.append(f"- {base}, {kind}: {said or 'nothing'}.")
        carriers = CARRIERS | ({"magnitude": "the phase"} if base == "modulation" else {})
        taken = {what: told[name]["verdict"] for name, what in carriers.items() if name in told}
        if taken:
            carry = ", ".join(what for what, kind in taken.items() if kind == "worse") or "nothing taken away"
            idle = ", ".join(what for what, kind in taken.items() if kind != "worse") or "nothing"
            lines.append(f"- **{base}: the accuracy is carried by {carry}; not significantly by {idle}.**")
    return "\n".join(lines)


def figure(runs: Runs) -> plot_style.Figure:
    """Draw the difference that each change makes to its base."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for (base, change), of in runs.items():
        pairs = zip(of, runs[base, NONE], strict=True)
        points = [100 * (a["test_accuracy"] - b["test_accuracy"]) for a, b in pairs]
        if change != NONE:
            mean, _, half = statistics.interval(points)
            found.setdefault(base, {})[change] = mean, half
    return plots.differences(found, "test accuracy less that of the base, points of per cent")
