"""Which token mattered: do the attributions find the words that carry the label, and does the answer hang on
the tokens that they name?

    python -m experiments attribution --data FOLDER               (about 15 minutes on 2 cores)

Ours, of neither paper. SMALL, without rows for pairs, is trained on the planted corpus, where the words that
carry the topic are known (regularised lightly, or it does not learn which words decide only together), and on
FOLDER, for the report AG News. Of test texts the answered class is explained, and a method is judged by
- the share of its scores' absolute mass on tokens that carry the topic, over planted texts that are answered
  with their topic: told ones, and those that a colour and a material decide together;
- deletion: the share of texts that keep their answer as the tokens that speak most for it are masked one
  after the other. The lower, the better. Random scores are the control.

Expected, as in results/attribution: all three are far above chance. Of one token leave-one-out says most: it
finds the pairs best, and masking its first token costs planted texts most. Of many, integrated gradients do:
words that say the same cover for each other, which leave-one-out, and the slope at the text, cannot see.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import report
from wave_jax import attribution, batches, datasets, planted, plots, presets, run
from wave_jax.datasets import Dataset, Split

METHODS = {
    "leave one out": attribution.leave_one_out,
    "integrated gradients": lambda network, batch: attribution.integrated_gradients(network, batch).scores,
    "gradient x input": attribution.gradient_x_input,
    "random": lambda network, batch: jax.random.uniform(jax.random.key(0), batch.ids.shape),
}
ABOUT = """\
The answer of a network to a test text is explained. *Share of scores on evidence*: of the absolute scores of
a planted text that is answered with its topic, the part on tokens that carry the topic; in a told text they
are words, each for itself, in a paired one also a colour and a material, together. *Texts that keep their
answer* as the tokens that speak most for it are masked one after the other: the lower, the better. Random
scores are the control. Mean and 95 % interval over seeds."""
PAIRS = {*" ".join(planted.COLOURS + planted.MATERIALS).split()}


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts to explain beside the planted corpus, each with train.csv and test.csv."""
    seeds: int = 3
    """Of training, of the validation texts, and of the planted texts."""
    texts: int = 1000
    """Test texts that are explained."""
    size: int = planted.SIZE
    """Planted training texts."""
    epochs: int = 20
    """Of training on the planted corpus; on a folder they are the preset's."""
    most: int = 10
    """Tokens that are masked."""


PRESETS = {"full": Config(), "smoke": Config(seeds=1, texts=20, size=100, epochs=1, most=2)}


def main(config: Config, out: Path) -> None:
    rows: list[dict[str, Any]] = []  # one for each seed, text and method
    for name in ("planted", *config.data):
        for seed in range(config.seeds):
            dataset = datasets.load(name, seed=seed, size=config.size if name == "planted" else None)
            rows += judge(dataset, seed, config)
    names = list(dict.fromkeys(row["data"] for row in rows))
    found: dict[str, Any] = {
        "What is measured": ABOUT,
        "Share of scores on evidence, %": evidence_table(rows),
    }
    for name in names:
        of_data = [row for row in rows if row["data"] == name]
        found[f"Texts that keep their answer, %: {name}"] = deletion_table(of_data, config.most)
        curves = {method: np.array(by_seed(of_data, method, "kept")) for method in METHODS}
        found[f"Deletion: {name}"] = plots.bands(
            np.arange(config.most + 1), curves, "texts that keep their answer", along="tokens masked"
        )
    found["Data"] = data_table(rows)
    report.write(out, "Which token mattered", found, {"deletion": points(rows)})


# --- one network --------------------------------------------------------------------------------------------


def judge(dataset: Dataset, seed: int, config: Config) -> Iterator[dict[str, Any]]:
    """Train a network and judge all methods on the first test texts."""
    preset = presets.preset("small")
    # Without pairs, so that every token is a word or a part of one.
    training = replace(preset.training, seed=seed)
    preset = replace(preset, v=preset.v + preset.pairs, pairs=0, training=training)
    if dataset.name == "planted":
        training = replace(preset.training, drop_tokens=0.1, epochs=config.epochs)
        preset = replace(preset, network=replace(preset.network, dropout=0.2), training=training)
    prepared, network = run.prepare(dataset, preset), None
    for turn in report.turns(prepared, f"{dataset.name}, seed {seed}"):
        network = turn.best
    test = dataset.test.take(range(min(config.texts, len(dataset.test))))
    tokens = run.tokens_of(test, prepared.tokenizer, prepared.settings)
    places = evidence_places(test, prepared)
    for n, rows in batches.evaluation(tokens, 64, batches.buckets(tokens.lengths, most=1)):
        for row in rows:
            real = row[row >= 0]
            batch, on = batches.gather(tokens, row, n), np.where(row[:, None] < 0, False, places[row, :n])
            for method in METHODS:
                found = jax.device_get(_judge(network, batch, on, method, config.most))
                for k, i in enumerate(real):
                    answer, share, probability, kept = (values[k] for values in found)
                    yield {
                        "data": dataset.name,
                        "digest": dataset.digest,
                        "trained on": len(dataset.train),
                        "seed": seed,
                        "method": method,
                        "right": bool(answer == test.labels[i]),
                        "kind": kind(test, i, answer),
                        "share": share,
                        "probability": probability,
                        "kept": kept,
                    }


@partial(jax.jit, static_argnames=("method", "most"))
def _judge(network: Any, batch: Any, places: Any, method: str, most: int) -> tuple[Any, ...]:
    answers = jnp.argmax(network(batch.ids, batch.mask, batch.segments), axis=-1)
    batch = batch._replace(labels=answers)
    scores = METHODS[method](network, batch)
    curve = attribution.deletion(network, batch, scores, most)
    return answers, attribution.share_on(scores, places), curve.probability, curve.answered


def evidence_places(test: Split, prepared: run.Prepared) -> np.ndarray:
    """(texts, n): the tokens that carry the topic; none where that is not known."""
    length = prepared.settings.max_length
    if test.evidence is None:
        return np.zeros((len(test), length), bool)
    pairs = zip(test.texts, test.evidence, strict=True)
    of = prepared.tokenizer.explain
    return np.stack([attribution.on_spans(of(text, length), spans, length) for text, spans in pairs])


def kind(test: Split, i: int, answer: int) -> str | None:
    """Whether the topic of a planted text is told by words alone, or by a pair; None if not answered."""
    if test.topics is None or test.evidence is None or answer != test.topics[i]:
        return None
    words = {test.texts[i][start:end].lower() for start, end in test.evidence[i]}
    return "paired" if words & PAIRS else "told"


# --- tables -------------------------------------------------------------------------------------------------

Rows = Sequence[dict[str, Any]]


def by_seed(rows: Rows, method: str, name: str) -> list[Any]:
    """The mean over the texts of each seed."""
    chosen = [row for row in rows if row["method"] == method]
    seeds = sorted({row["seed"] for row in chosen})
    return [np.mean([row[name] for row in chosen if row["seed"] == seed], axis=0) for seed in seeds]


def evidence_table(rows: Rows) -> Rows:
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("told", "paired")}
    return [
        {"method": method}
        | {kind: report.over_seeds(by_seed(of, method, "share"), 100) for kind, of in kinds.items() if of}
        for method in METHODS
    ]


def deletion_table(rows: Rows, most: int) -> Rows:
    def row(method: str) -> dict[str, Any]:
        curves = by_seed(rows, method, "kept")
        ks = sorted({1, 2, 3, 5, most} & {*range(most + 1)})
        return {"method": method} | {
            f"{k} masked": report.over_seeds([kept[k] for kept in curves], 100) for k in ks
        }

    return [row(method) for method in METHODS]


def data_table(rows: Rows) -> Rows:
    runs: dict[tuple[Any, ...], list[bool]] = {}
    for row in rows:
        if row["method"] == "random":
            key = (row["data"], row["seed"], row["trained on"], row["digest"][:16])
            runs.setdefault(key, []).append(row["right"])
    return [
        {
            "data": data,
            "seed": seed,
            "trained on": texts,
            "explained": len(right),
            "accuracy": np.mean(right),
            "digest": digest,
        }
        for (data, seed, texts, digest), right in runs.items()
    ]


def points(rows: Rows) -> Rows:
    """Every point of every curve: the mean over the texts of a seed."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        curve = np.stack([row["kept"], row["probability"]], axis=-1)
        groups.setdefault((row["data"], row["method"], row["seed"]), []).append(curve)
    return [
        {"data": data, "method": method, "seed": seed, "masked": k, "kept": kept, "probability": probability}
        for (data, method, seed), curves in groups.items()
        for k, (kept, probability) in enumerate(np.mean(curves, axis=0))
    ]
