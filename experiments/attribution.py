"""Which token mattered: do attributions find the words that carry the label, and does the answer depend on
the tokens that they name?

    python -m experiments attribution [--data FOLDER]

Ours, of neither paper. SMALL, without stems and pairs, is trained on the planted corpus, where the words that
carry the topic are known (with one voice and regularised lightly, or it does not learn which words decide
only together), and on each FOLDER that is given. Of test texts the answered class is explained, and a method
is judged by
- the share of its scores' absolute mass on tokens that carry the topic, over planted texts that are answered
  with their topic: told ones, and those that a colour and a material decide together;
- deletion: the share of texts that keep their answer as the tokens that speak most for it are masked one
  after the other. The lower, the better. Random scores are the control;
- infidelity: how far its scores miss what masking random sets of tokens does, as a share of what there is to
  foretell, 1 for scores of 0; and sensitivity: how far scores move as the embeddings move by a tenth;
- randomised parameters: how much of the order of the scores is left as what was learned is shuffled, from the
  classifier down. What is left does not hang on what was learned.

Price: four minutes a seed on 2 cores for the planted corpus, a quarter of an hour or more for one such as AG
News. A stopped run goes on where it was.

To expect, as in results/attribution: all are far above chance. Of one token leave-one-out says most: it finds
the pairs best, and masking its first token costs planted texts most. Of many, integrated gradients and
Shapley values do: words that say the same cover for each other, which leave-one-out, and the slope at the
text, cannot see.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.frame import compare, grid, loops, page, scores
from experiments.frame.scores import CHECKS, METHODS
from wave_jax.data import batches, datasets, planted
from wave_jax.data.datasets import Dataset
from wave_jax.data.plan import Plan, buckets
from wave_jax.data.splits import Split
from wave_jax.runs import presets, run
from wave_jax.runs.presets import Preset
from wave_jax.study import faithfulness, plots

ABOUT = """\
The answer of a network to a test text is explained. *Share of scores on evidence*: of the absolute scores of
a planted text that is answered with its topic, the part on tokens that carry the topic; in a told text they
are words, each for itself, in a paired one also a colour and a material, together. *Texts that keep their
answer* as the tokens that speak most for it are masked one after the other: the lower, the better. Random
scores are the control. *Infidelity*: the mean square of how far the scores of a random set of tokens miss
what masking the set does, as a share of that of scores of 0. *Sensitivity*: the largest relative change of
the scores of a text, of four, as the table of embeddings changes by up to a tenth of its root mean square.
*Left*, of the order of the scores: their rank correlation with the scores of the network whose parameters
are shuffled: its classifier's, its layer's too, its embedding's too. *Standard error*: that of a sampled
score, as a share of the mean absolute score. Mean and 95 % interval over seeds."""
KINDS = ("told", "paired")
PAIRS = {*" ".join(planted.COLOURS + planted.MATERIALS).split()}


Rows = Sequence[dict[str, Any]]


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


PRESETS = {"full": Config(), "smoke": Config(seeds=1, texts=4, size=100, epochs=1, most=2)}


def main(config: Config, out: Path) -> None:
    loaded = {
        (name, seed): datasets.load(name, seed=seed, size=config.size if name == "planted" else None)
        for name in ("planted", *config.data)
        for seed in range(config.seeds)
    }
    texts = {dataset.digest: dataset for dataset in loaded.values()}
    keys = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest, "seed": seed}
        | {"preset": settings(dataset, seed, config), "texts": config.texts, "most": config.most}
        for (_, seed), dataset in loaded.items()
    ]
    found = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key))
    rows = [  # one for each data set, seed and method
        {"data": key["data"], "digest": key["digest"], "trained on": len(texts[key["digest"]].train)}
        | {"seed": key["seed"], "method": method, **cell[method]}
        for key, cell in zip(keys, found, strict=True)
        for method in METHODS
    ]
    parts: dict[str, Any] = {
        "What is measured": ABOUT,
        "Share of scores on evidence, %": evidence_table(rows),
    }
    for name in dict.fromkeys(row["data"] for row in rows):
        of_data = [row for row in rows if row["data"] == name]
        parts[f"Infidelity, sensitivity, and what is left of the order, %: {name}"] = checks_table(of_data)
        parts[f"Texts that keep their answer, %: {name}"] = deletion_table(of_data, config.most)
        curves = {method: np.array(by_seed(of_data, method, "kept")) for method in METHODS}
        parts[f"Deletion: {name}"] = plots.bands(
            np.arange(config.most + 1), curves, "texts that keep their answer", along="tokens masked"
        )
    parts["Data"] = data_table(rows)
    checks = [
        {name: row.get(name, "") for name in ("data", "method", "seed", *KINDS, *CHECKS)} for row in rows
    ]
    page.write(out, "Which token mattered", parts, {"deletion": points(rows), "checks": checks})


# --- one network --------------------------------------------------------------------------------------------


def settings(dataset: Dataset, seed: int, config: Config) -> Preset:
    """Return SMALL without stems and pairs, so that every token is a word."""
    preset = presets.preset("small")
    network, training = preset.network, replace(preset.training, seed=seed)
    if dataset.name == "planted":
        network = replace(network, voice_width=None, dropout=0.2)
        training = replace(training, drop_tokens=0.1, epochs=config.epochs)
    return replace(preset, network=network, training=training, v=preset.v + preset.pairs, stems=0, pairs=0)


def judge(dataset: Dataset, key: grid.Key) -> dict[str, dict[str, Any]]:
    """Train a network and judge every method on the first test texts: the means over them."""
    prepared = run.prepare(dataset, key["preset"])
    _, network = loops.trained(prepared, "{data}, seed {seed}".format_map(key))
    test = dataset.test.take(range(min(key["texts"], len(dataset.test))))
    tokens = prepared.start.tokens(test)
    places, rows = evidence_places(test, prepared), {method: [] for method in METHODS}
    others = scores.shuffled(network)
    for n, steps in Plan.of_all(tokens, min(64, len(test)), buckets(tokens.lengths, most=1)):
        for step in steps:
            batch = scores.answered(network, batches.gather(tokens, step, n))
            on = np.where(step[:, None] < 0, False, places[step, :n])
            for method, of in rows.items():
                found = jax.device_get(scores.judged(network, others, batch, on, method, key["most"]))
                for at, i in enumerate(step):
                    if i >= 0:
                        judged = {name: values[at] for name, values in found.items()}
                        known = {"right": judged["answer"] == test.labels[i]}
                        of.append(judged | known | {"kind": kind(test, i, judged["answer"])})
    return {method: means(of) for method, of in rows.items()}


def means(rows: Rows) -> dict[str, Any]:
    """Average over the texts of a network and method; the share on evidence, over those of either kind."""
    shares = {name: [row["share"] for row in rows if row["kind"] == name] for name in KINDS}
    left = set(rows[0]) - {"answer", "share", "kind", "foretold", "size"}
    mean = {name: np.mean([row[name] for row in rows], axis=0, dtype=float) for name in left}
    for name, unit in (("infidelity", "foretold"), ("standard error", "size")):  # one share, of all texts
        if name in mean:
            mean[name] /= np.mean([row[unit] for row in rows], dtype=float)
    told = {name: np.mean(share) for name, share in shares.items() if share}
    return {"explained": len(rows), "accuracy": mean.pop("right"), **mean, **told}


def evidence_places(test: Split, prepared: run.Prepared) -> np.ndarray:
    """Mark the tokens that carry the topic, (texts, n); none if that is not known."""
    length = prepared.settings.max_length
    if test.evidence is None:
        return np.zeros((len(test), length), bool)
    pairs = zip(test.texts, test.evidence, strict=True)
    of = prepared.tokenizer.explain
    return np.stack([faithfulness.on_spans(of(text, length), spans, length) for text, spans in pairs])


def kind(test: Split, i: int, answer: int) -> str | None:
    """Return whether words alone or a pair decide the topic of a planted text; None if not answered."""
    if test.topics is None or test.evidence is None or answer != test.topics[i]:
        return None
    words = {test.texts[i][start:end].lower() for start, end in test.evidence[i]}
    return "paired" if words & PAIRS else "told"


# --- tables -------------------------------------------------------------------------------------------------


def by_seed(rows: Rows, method: str, name: str) -> list[Any]:
    """Return the values of every seed that has them."""
    return [row[name] for row in rows if row["method"] == method and name in row]


def evidence_table(rows: Rows) -> Rows:
    kinds = [kind for kind in KINDS if any(kind in row for row in rows)]
    return [
        {"method": method} | {kind: compare.over_seeds(by_seed(rows, method, kind), 100) for kind in kinds}
        for method in METHODS
    ]


def checks_table(rows: Rows) -> Rows:
    def row(method: str) -> dict[str, Any]:
        found = {name: by_seed(rows, method, name) for name in CHECKS}
        return {"method": method} | {
            name: compare.over_seeds(values, 100) if values else "-" for name, values in found.items()
        }

    return [row(method) for method in METHODS]


def deletion_table(rows: Rows, most: int) -> Rows:
    def row(method: str) -> dict[str, Any]:
        curves = by_seed(rows, method, "kept")
        ks = sorted({1, 2, 3, 5, most} & {*range(most + 1)})
        return {"method": method} | {
            f"{k} masked": compare.over_seeds([kept[k] for kept in curves], 100) for k in ks
        }

    return [row(method) for method in METHODS]


def data_table(rows: Rows) -> Rows:
    shown = ("data", "seed", "trained on", "explained", "accuracy", "digest")
    return [row | {"digest": row["digest"][:16]} for row in page.distinct(rows, shown)]


def points(rows: Rows) -> Rows:
    """Return every point of every curve: the mean over the texts of a seed."""
    return [
        {"data": row["data"], "method": row["method"], "seed": row["seed"], "masked": k}
        | {"kept": kept, "probability": probability}
        for row in rows
        for k, (kept, probability) in enumerate(zip(row["kept"], row["probability"], strict=True))
    ]
