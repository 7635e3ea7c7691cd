"""What is left of the accuracy when texts are spoilt?

    python -m experiments robustness --data FOLDER ... [--networks paper]

Ours, of neither paper. Wave (modulation), the one-layer Transformer and the bag of embeddings, all at SMALL's
size or at the papers', are trained on clean texts. Then test texts get typos, lose words, have words trade
places, letters change their case, or are cut short, at growing rates: the same spoilt texts for all models,
others for every seed. The network is that of the best validation accuracy, at SMALL's size that of the last
epoch, and the test split is read once, for it: what is spoilt is a copy.

Price: a minute on 2 cores for a run of SMALL on 60,000 short texts, about ten for one of the Transformer. A
stopped run goes on where it was.

To expect: of case nothing, the vocabularies are lower case; of shuffled words little in Wave and bag, which
know of order by SMALL's pairs of neighbours alone; of typos most, as a word is then another one, or none that
has a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import compare, contenders, corpora, grid, loops, page
from wave_jax.data.datasets import Dataset
from wave_jax.data.splits import Split
from wave_jax.serving.live import Answers
from wave_jax.study import plots, statistics

ABOUT = """\
Accuracy in per cent on {texts} test texts, spoilt at a rate: *typos*, the share of letters that are left out,
doubled, replaced or swapped with what follows; *dropped words*, the share left out; *shuffled words*, the
share that trade places; *changed case*, the share of letters; *cut short*, the share of words cut off at the
end. Networks are trained on clean texts. Mean and 95 % interval over seeds of training and of what is hit."""
AGAINST = """\
At rate {at}. *Lost* are points of per cent against the clean texts; the verdict says whether modulation loses
more or less than the other, by more than the 95 % interval over seeds of the difference. *Only* counts texts,
spoilt, that one of the two alone answers right, mean over seeds; p is of McNemar's exact test on them, the
median over seeds."""


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    networks: contenders.Networks = "small"
    """Whose size and settings: the papers' or SMALL's."""
    models: tuple[str, ...] = ("Transformer", "bag")
    """What is trained besides modulation."""
    seeds: int = 5
    """Of training, and of what is hit."""
    rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8)
    """Shares of letters or words that are hit."""
    at: float = 0.2
    """The rate at which models are compared."""
    texts: int = 2000
    """Test texts, drawn once for all, that are spoilt."""
    epochs: int | None = None
    """Another number of epochs than that of the settings."""
    size: int | None = None
    """Planted training texts."""

    def __post_init__(self):
        if self.at not in self.rates:
            raise ValueError(f"at must be one of rates = {self.rates}, got {self.at}.")


PRESETS = {"full": Config(), "smoke": Config(seeds=1, rates=(0.2, 0.8), texts=20, epochs=1, size=40)}


def main(config: Config, out: Path) -> None:
    models = contenders.models(config.networks, (), ("modulation", *config.models))
    loaded = corpora.load(config.data, models["modulation"].valid, config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    keys: list[dict[str, Any]] = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"model": name, "seed": seed, "rates": config.rates, "at": config.at, "texts": config.texts}
        | {"preset": contenders.with_seed(preset, seed, config.epochs, dataset.train)}
        for dataset in loaded
        for seed in range(config.seeds)
        for name, preset in models.items()
    ]
    found = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key))
    rows = [
        {**key, **cell, **corpora.setting(texts[key["digest"]], config.networks)}
        for key, cell in zip(keys, found, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT.format(texts=f"{config.texts:,}")}
    for dataset in loaded:
        runs = {
            model: [row for row in rows if (row["digest"], row["model"]) == (dataset.digest, model)]
            for model in models
        }
        for name in SPOILT:
            parts[f"{name.capitalize()}: {dataset.name}"] = accuracy_table(runs, name)
            parts[f"Curve of {name}: {dataset.name}"] = plots.bands(
                np.array([0, *config.rates]),
                {model: np.array([run["accuracy"][name] for run in of]) for model, of in runs.items()},
                along=f"rate ({name})",
            )
        parts[f"Modulation against the others: {dataset.name}"] = AGAINST.format(at=config.at)
        parts[f"Losses: {dataset.name}"] = loss_table(runs, config.at)
    parts["Data"] = [
        {"data": dataset.name, "train": len(dataset.train), "valid": len(dataset.valid)}
        | {"spoilt": len(chosen(dataset.test, config.texts)), "digest": dataset.digest}
        for dataset in loaded
    ]
    page.write(out, "What is left of the accuracy when texts are spoilt", parts, {"accuracy": points(rows)})


# --- how texts are spoilt -----------------------------------------------------------------------------------
# Functions of a text, a rate and random numbers: what is hit at one rate is hit at a higher one too.


def typos(text: str, rate: float, random: np.random.Generator) -> str:
    """Leave letters out, double them, replace them by another, or swap them with what follows.

    >>> typos("oil prices", 0.4, np.random.default_rng(1))
    'oi lrpicess'
    """
    hit = random.random(len(text)) < rate
    kinds, letters = random.integers(4, size=len(text)), random.integers(26, size=len(text))
    chars = list(text)
    for i in np.flatnonzero(hit):
        if chars[i].isalpha() and kinds[i] == 3:
            chars[i : i + 2] = chars[i : i + 2][::-1]
        elif chars[i].isalpha():
            chars[i] = ("", 2 * chars[i], chr(ord("a") + letters[i]))[kinds[i]]
    return "".join(chars)


def drop_words(text: str, rate: float, random: np.random.Generator) -> str:
    """Leave words out, but never all.

    >>> drop_words("oil prices fall again", 0.1, np.random.default_rng(0))
    'oil prices'
    """
    words = text.split()
    u = random.random(len(words))
    return " ".join(word for word, x in zip(words, u, strict=True) if x >= min(rate, u.max()))


def shuffle_words(text: str, rate: float, random: np.random.Generator) -> str:
    """Let words trade positions among each other.

    >>> shuffle_words("oil prices fall again", 1.0, np.random.default_rng(0))
    'prices fall oil again'
    """
    words = text.split()
    at = np.flatnonzero(random.random(len(words)) < rate)
    moved = list(words)
    for i, j in zip(at, random.permutation(at), strict=True):
        moved[i] = words[j]
    return " ".join(moved)


def change_case(text: str, rate: float, random: np.random.Generator) -> str:
    """Make small letters large, and large ones small.

    >>> change_case("Oil prices", 0.5, np.random.default_rng(0))
    'OIL prices'
    """
    hit = random.random(len(text)) < rate
    return "".join(c.swapcase() if h else c for c, h in zip(text, hit, strict=True))


def cut_short(text: str, rate: float, random: np.random.Generator) -> str:
    """Keep the first words alone, one at least. Nothing is random.

    >>> cut_short("oil prices fall again", 0.5, np.random.default_rng(0))
    'oil prices'
    """
    words = text.split()
    return " ".join(words[: max(1, round((1 - rate) * len(words)))])


SPOILT: dict[str, Callable[[str, float, np.random.Generator], str]] = {
    "typos": typos,
    "dropped words": drop_words,
    "shuffled words": shuffle_words,
    "changed case": change_case,
    "cut short": cut_short,
}


def spoil(texts: Sequence[str], name: str, rate: float, seed: int) -> list[str]:
    """Copy the texts, each hit by random numbers of its own."""
    return [SPOILT[name](text, rate, np.random.default_rng([seed, i])) for i, text in enumerate(texts)]


# --- one run ------------------------------------------------------------------------------------------------


def chosen(test: Split, most: int) -> Split:
    """Draw so many texts, the same for every run."""
    return test.take(np.sort(np.random.default_rng(0).permutation(len(test))[:most]))


def judge(dataset: Dataset, key: grid.Key) -> dict[str, Any]:
    """Measure the accuracy of one network at every rate, and which texts it answers right at `at`."""
    prepared = loops.prepared(dataset, key["preset"])
    _, network = loops.trained(prepared, "{data}, {model}, seed {seed}".format_map(key))
    test, answers = (
        chosen(dataset.test, key["texts"]),
        Answers(prepared.trained(network)),
    )

    def right(texts: Sequence[str]) -> np.ndarray:
        return answers.predict_proba(texts).argmax(axis=-1) == test.labels

    clean, accuracy, compared = right(test.texts).mean(), {}, {}
    for name in SPOILT:
        of_rate = {rate: right(spoil(test.texts, name, rate, key["seed"])) for rate in key["rates"]}
        accuracy[name] = [clean, *(of_rate[rate].mean() for rate in key["rates"])]
        compared[name] = grid.packed(of_rate[key["at"]])
    return {"accuracy": accuracy, "right": compared}


# --- tables -------------------------------------------------------------------------------------------------

Rows = Sequence[dict[str, Any]]


def accuracy_table(runs: Mapping[str, Rows], name: str) -> Rows:
    def row(model: str, of: Rows) -> dict[str, Any]:
        by_rate = zip(*(run["accuracy"][name] for run in of), strict=True)
        rates = ("clean", *map(str, of[0]["rates"]))
        return {"model": model} | dict(zip(rates, (compare.over_seeds(a, 100) for a in by_rate), strict=True))

    return [row(model, of) for model, of in runs.items()]


def loss_table(runs: Mapping[str, Rows], at: float) -> Rows:
    """Write what modulation loses beside what every other model does."""

    def losses(model: str, name: str) -> list[float]:
        curves, k = [run["accuracy"][name] for run in runs[model]], runs[model][0]["rates"].index(at)
        return [100 * (curve[0] - curve[1 + k]) for curve in curves]

    def row(name: str, other: str) -> dict[str, Any]:
        ours, theirs = losses("modulation", name), losses(other, name)
        tests = [
            statistics.mcnemar(*(grid.unpacked(run["right"][name]) for run in pair))
            for pair in zip(runs["modulation"], runs[other], strict=True)
        ]
        return {
            "spoilt by": name,
            "other": other,
            "modulation lost": compare.over_seeds(ours),
            "other lost": compare.over_seeds(theirs),
            "modulation loses": compare.against(ours, theirs),
            "only modulation": f"{np.mean([test.only_a for test in tests]):.0f}",
            "only other": f"{np.mean([test.only_b for test in tests]):.0f}",
            "p": f"{np.median([test.p for test in tests]):.2g}",
        }

    return [row(name, other) for name in SPOILT for other in runs if other != "modulation"]


def points(rows: Rows) -> Rows:
    """Return every point of every curve."""
    return [
        {column: row[column] for column in ("data", "model", "seed", "networks", "labelled")}
        | {"spoilt by": name, "rate": rate, "accuracy": accuracy}
        for row in rows
        for name, curve in row["accuracy"].items()
        for rate, accuracy in zip((0, *row["rates"]), curve, strict=True)
    ]
