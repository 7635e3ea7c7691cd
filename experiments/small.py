"""How good is SMALL: 2.4 million parameters in all, random start, no outside data?

    python -m experiments small --data FOLDER FOLDER ...

Beside the papers' tables (P1 tables 1 and 2, 25.8 million parameters with the embeddings: AG News 91.66,
IMDB 87.02, DBpedia14 98.05). Every folder holds a train.csv and a test.csv. On each of them SMALL, with the
same defaults everywhere, is trained from several seeds to the last of its epochs, and the test split is read
once per run. Beside it:
- each of its choices taken back: pairs (all rows are then for words and stems), stems (all of theirs are for
  words), whole words (pieces of words instead, without stems), the width that grows where rows are few (48
  for all), voices (one network as wide as all of them, as the papers have it), dropout, dropped tokens,
  smoothing, the falling rate, the last epoch (the one of the best validation accuracy instead);
- without the wave: |Z Z'| = G·G' for a read-out, which no phase reaches; and with the mean of a text's
  embeddings in the place of the wave, all else SMALL's;
- fastText with bigrams, where it is installed (`pip install fasttext-numpy2-wheel`; 2 million rows for
  bigrams): five epochs at rate 0.5 on the same training texts, the validation texts left out as for all;
  and the same quantized to the size of SMALL's exported file.

What is compared with the papers comes first, then the variants.

Price: half an hour on 2 cores for AG News or IMDB. A stopped run goes on where it was; fastText, where it
comes to be installed later, is added then. `--finished` writes the page of the runs that are there.

To expect: SMALL above fastText; of its choices, pairs are worth most.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page, peer
from experiments.frame.less import LessConfig
from wave_jax.data.datasets import Dataset
from wave_jax.networks.layers import count_parameters
from wave_jax.runs import presets, result
from wave_jax.runs.presets import Preset
from wave_jax.serving import export
from wave_jax.study import plot_style, plots, statistics

ABOUT = """\
Accuracy in per cent, mean and 95 % interval over seeds. *Less* and *more*: than SMALL of the same seeds, by
more than the 95 % interval of the difference; one of twenty such differences is significant by chance.
*Parameters* count every row of every table. *File* is what is shipped, in megabytes: SMALL as int8, fastText
quantized. *Seconds* are those of training, compiling included, of runs on different machines, and some beside
other work: benchmarks/results/whole.md compares times."""


def network(**changes: Any) -> Callable[[Preset], Preset]:
    return lambda small: replace(small, network=replace(small.network, **changes))


def training(**changes: Any) -> Callable[[Preset], Preset]:
    return lambda small: replace(small, training=replace(small.training, **changes))


def mean_of_embeddings(small: Preset) -> Preset:
    """Put the mean of a text's embeddings in the place of the wave; all else is SMALL's."""
    settings: dict[str, Any] = {**vars(small.network), "less": "wave", "read_out": "real"}
    return replace(small, network=LessConfig(**settings))


# SMALL and what it is compared with, each a change of the preset.
VARIANTS: dict[str, Callable[[Preset], Preset]] = {
    "SMALL": network(),
    "without the wave": network(read_out="magnitude"),
    "mean of embeddings": mean_of_embeddings,
    "without pairs": lambda small: replace(small, v=small.v + small.pairs, pairs=0),
    "without stems": lambda small: replace(small, stems=0),
    "pieces of words": lambda small: replace(small, whole_words=False, stems=0),
    "48 numbers": network(d=48),
    "one voice": network(voice_width=None),
    "no dropout": network(dropout=0.0),
    "all tokens": training(drop_tokens=0.0),
    "no smoothing": training(smoothing=0.0),
    "constant rate": training(schedule="constant"),
    "best epoch": training(keep="best"),
}
CHANGED = (
    "without the wave",
    "mean of embeddings",
    "without pairs",
    "without stems",
    "one voice",
    "48 numbers",
)
DRAWN = ("SMALL", *CHANGED, "fastText")
FIRST = ("SMALL", "fastText", "fastText, quantized")  # with more seeds, and before all others


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    seeds: int = 5
    """Of SMALL and of fastText; the cut between training and validation texts is the same for all."""
    seeds_without: int = 3
    """Of its variants."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """What is trained, besides fastText."""
    epochs: int | None = None
    """Another number of epochs than the preset's."""
    size: int | None = None
    """Planted training texts."""
    finished: bool = False
    """Train nothing: the page is of the runs in cells.jsonl."""


PRESETS = {"full": Config(), "smoke": Config(seeds=2, seeds_without=1, epochs=1, size=60)}


def main(config: Config, out: Path) -> None:
    small = presets.preset("small")
    loaded = corpora.load(config.data, small.valid, config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    models: dict[str, Any] = {name: VARIANTS[name](small) for name in config.variants}
    if find_spec("fasttext"):
        models |= {"fastText": peer.SETTINGS, "fastText, quantized": peer.SETTINGS}
    keys = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"model": name, "seed": seed, "settings": with_seed(settings, seed, config.epochs, dataset)}
        for first in (True, False)
        for dataset in loaded
        for name, settings in models.items()
        if (name in FIRST) == first
        for seed in range(config.seeds if first else config.seeds_without)
    ]
    keys = grid.finished(out, keys) if config.finished else keys
    found = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key))
    rows = [
        {"data": key["data"], "digest": key["digest"], **sizes(texts[key["digest"]])}
        | corpora.setting(texts[key["digest"]], "small")
        | {"model": key["model"], "seed": key["seed"], **cell}
        for key, cell in zip(keys, found, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT, "Test accuracy": side_by_side(rows)}
    parts["Model by model"] = accuracy_table(rows)
    for dataset in loaded:
        of = [row for row in rows if row["digest"] == dataset.digest]
        parts[f"Accuracy against parameters: {dataset.name}"] = figure(of)
    parts["Data"] = page.distinct(rows, ("data", "train", "valid", "test", "digest"))
    page.write(out, "SMALL against fastText and without its parts", parts, {"runs": rows})


def with_seed(settings: Any, seed: int, epochs: int | None, dataset: Dataset) -> Any:
    if not isinstance(settings, Preset):
        return settings | {"seed": seed}
    return contenders.with_seed(settings, seed, epochs, dataset.train)


def sizes(dataset: Dataset) -> dict[str, int]:
    return {part: len(getattr(dataset, part)) for part in ("train", "valid", "test")}


def judge(dataset: Dataset, key: grid.Key) -> dict[str, Any]:
    """Train one network; return its numbers."""
    if key["model"].startswith("fastText"):
        return of_fasttext(dataset, key["settings"], "quantized" in key["model"])
    prepared = loops.prepared(dataset, key["settings"])
    records, network = loops.trained(prepared, "{data}, {model}, seed {seed}".format_map(key))
    metrics = result.measure(prepared, network, records, test=dataset.test)
    names = ("valid_accuracy", "test_accuracy", "parameters", "seconds")
    found = {name: metrics[name] for name in names}
    if key["model"] == "SMALL":
        with tempfile.TemporaryDirectory() as folder:
            trained = prepared.trained(network)
            found["bytes"] = export.save(Path(folder) / "small.wave", trained, dtype="int8").size
    return found


def of_fasttext(dataset: Dataset, settings: dict[str, Any], quantized: bool) -> dict[str, Any]:
    """Train fastText; quantized it takes a byte for each of SMALL's parameters, as SMALL's own file does."""
    rows = None
    if quantized:
        small = loops.prepared(dataset, presets.preset("small")).network
        rows = count_parameters(small).total // peer.ROW
    model, seconds = peer.trained(dataset.train, settings, rows)
    kept = model.get_input_matrix().shape[0] if rows is None else rows
    return {
        "valid_accuracy": peer.accuracy(model, dataset.valid),
        "test_accuracy": peer.accuracy(model, dataset.test),
        "parameters": (kept + len(model.labels)) * model.get_dimension(),
        "seconds": seconds,
        **({"bytes": peer.size(model)} if quantized else {}),
    }


# --- tables -------------------------------------------------------------------------------------------------

Rows = Sequence[dict[str, Any]]


def groups(rows: Rows) -> dict[tuple[str, str], Rows]:
    """Group the runs by data set and model."""
    keys = dict.fromkeys((row["data"], row["model"]) for row in rows)
    return {key: [row for row in rows if (row["data"], row["model"]) == key] for key in keys}


def side_by_side(rows: Rows) -> Rows:
    """Write a row for each model, a column for each data set."""
    found = groups(rows)
    data, models = (dict.fromkeys(names) for names in zip(*found, strict=True))
    return [{"model": model} | {name: compared(found, name, model) for name in data} for model in models]


def compared(found: dict[tuple[str, str], Rows], data: str, model: str) -> str:
    """Write the accuracy of a model, and whether it is less or more than SMALL's."""

    def by_seed(model: str) -> dict[int, float]:
        return {row["seed"]: row["test_accuracy"] for row in found.get((data, model), ())}

    own, small = by_seed(model), by_seed("SMALL")
    both = own.keys() & small.keys()
    told = compare.against([own[seed] for seed in both], [small[seed] for seed in both]) if both else ""
    shown = compare.over_seeds(list(own.values()), 100, digits=2)
    return f"{shown} {told}" if told in ("less", "more") else shown


def accuracy_table(rows: Rows) -> Rows:
    return [
        {
            "data": data,
            "model": model,
            "test accuracy": compare.over_seeds([row["test_accuracy"] for row in of], 100, digits=2),
            "validation": compare.over_seeds([row["valid_accuracy"] for row in of], 100, digits=2),
            "seeds": len(of),
            "parameters": f"{of[0]['parameters']:,}",
            "file, MB": f"{of[0]['bytes'] / 1e6:.1f}" if "bytes" in of[0] else "",
            "seconds": f"{np.median([row['seconds'] for row in of]):.0f}",
        }
        for (data, model), of in groups(rows).items()
    ]


def figure(rows: Rows) -> plot_style.Figure:
    """Draw those models alone that differ in what they are; the others are trained in another way."""
    points, drawn = {}, [row for row in rows if row["model"] in DRAWN]
    for (_, model), of in groups(drawn).items():
        mean, _, half = statistics.interval([row["test_accuracy"] for row in of])
        points[model] = (of[0]["parameters"], mean, half)
    return plots.accuracy_against_parameters(points)
