"""Are the gradients of a Wave Network sparser, and more of one direction, than a Transformer's?

    python -m experiments gradient_study --data FOLDER ... [--weights BERT ...]

P2's gradient study: at [CLS], on the whole text and at the classifier, along training in batches of 32, on
the same 32 validation texts for all networks of a seed. What P2 measured is not known; `wave_jax.study` says
what is measured here. A difference is that of two networks of the same seed, and the verdicts are computed
from the intervals over seeds. The closed form of the gradient that reaches a token's variant (docs/maths.md,
section 6) is held against the gradient itself. Of the waves alone: the share of every gradient that moves the
magnitude, and the share that moves the phase.

500 steps of five seeds take hours on 2 cores, most of them the Transformer's. BERT base wants a GPU.
To expect: the closed form, to float32 rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.frame import compare, contenders, corpora, grid, loops, page
from wave_jax import tables
from wave_jax.data import batches
from wave_jax.data.batches import Batch
from wave_jax.data.datasets import Dataset
from wave_jax.study import plots, statistics
from wave_jax.study.gradients import by_stage
from wave_jax.study.papers import as_row, entries, gradient_study, sign_agreement
from wave_jax.study.shares import wave_shares

ABOUT = """\
A token's gradient is that of its own text's loss by its embedding + position; the classifier's is that of the
loss by its parameters. Each number is a mean over {texts} validation texts, drawn by the seed, and over the
studied steps but the start. *share_below*: of entries, those below a hundredth of the largest. *resultant*:
mean resultant length, at the whole text of its tokens, else of the texts. *principal*, *principal_ten*: share
of the same gradients' squares in their first principal direction, in the first ten. *sign_agreement*: of the
mean gradient over steps. *agreement*: cosine of [CLS] with the sum of its text's other tokens. Mean and 95 %
interval over seeds; a difference is more or less where its interval does not hold 0, else the same."""
PLACES = {"cls": "[CLS]", "text": "whole text", "classifier": "classifier"}
WAVES = ("interference", "modulation")
CLAIMS = {"sparser": ("share_below", "gini"), "more of one direction": ("resultant", "sign_agreement")}
DRAWN = {"gini": "Gini coefficient", "resultant": "Mean resultant length"}
TIMES = ("start", "middle", "end")  # of training, when the entries themselves are looked at
THRESHOLDS = tuple(10.0 ** np.linspace(-8, 0, 33).round(2))  # in units of the largest entry
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, which are then studied too, as they are and from a random start."""
    networks: contenders.Networks = "paper"
    """The papers' size and settings, or SMALL's."""
    models: tuple[str, ...] = ()
    """What is studied, else all; both waves among them."""
    seeds: int = 5
    """Of training, and of the texts whose gradients are studied."""
    steps: int = 500
    """Of training, as in the papers' convergence study."""
    every: int = 20
    """Steps from study to study."""
    texts: int = 32
    """Whose gradients are studied, and of a step of training."""
    size: int | None = None
    """Planted training texts."""


PRESETS = {"full": Config(), "smoke": Config(networks="small", seeds=1, steps=4, every=2, texts=8, size=60)}


def main(config: Config, out: Path) -> None:
    loaded = corpora.load(config.data, size=config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    names = config.models or (*WAVES, "Transformer", *contenders.berts(config.weights))
    keys: list[dict[str, Any]] = [
        {"data": dataset.name, "digest": dataset.digest, "train": len(dataset.train), "model": model}
        | {"preset": preset, "seed": seed}
        | {"until": config.steps, "every": config.every, "texts": config.texts}
        | {"thresholds": THRESHOLDS, "quantiles": QUANTILES}
        for dataset in loaded
        for seed in range(config.seeds)
        for model, preset in contenders.models(config.networks, config.weights, names).items()
        if seed < contenders.fewer(model, preset, config.seeds)
    ]
    cells = grid.cells(out, keys, lambda key: along_training(texts[key["digest"]], key))
    found = [
        {**key, **cell, **corpora.setting(texts[key["digest"]], config.networks)}
        for key, cell in zip(keys, cells, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT.format(texts=config.texts)}
    for name in dict.fromkeys(cell["data"] for cell in found):
        parts |= of_data(name, [cell for cell in found if cell["data"] == name])
    parts |= {
        "The closed form": closed_form_text(found),
        "Data": page.distinct(found, ("data", "train", "digest")),
    }
    rows = {"studies": study_rows(found), "seeds": [about(cell) | numbers(cell) for cell in found]}
    page.write(out, "Gradients along training", parts, rows)


# --- one network --------------------------------------------------------------------------------------------


def along_training(dataset: Dataset, key: Mapping[str, Any]) -> dict[str, Any]:
    """Study one training, and compare the gradients with the closed form before and after it."""
    preset, seed = key["preset"], key["seed"]
    training = replace(preset.training, batch=key["texts"], steps=key["until"], seed=seed)
    count = len(dataset.valid)
    rows = np.random.default_rng(seed).permutation(count)[: key["texts"]]
    dataset = replace(dataset, valid=dataset.valid.take(rows))
    prepared = loops.prepared(dataset, replace(preset, training=training))
    valid = prepared.valid
    batch = batches.gather(valid, np.arange(len(rows)), -(-int(valid.lengths.max()) // 32) * 32)
    looked = [look(prepared.network, batch, key)]
    for turn in loops.turns(prepared, f"{dataset.name}, {key['model']}, seed {seed}", key["every"]):
        looked.append({**look(turn.state.network, batch, key), "step": turn.record.step})
    studies = [each["study"] for each in looked]
    found = {"steps": [each["step"] for each in looked], "studies": [as_row(study) for study in studies]}
    found |= {"signs": sign_agreement(studies[1:])}
    middle = len(looked) // 2
    at = {when: looked[i] for when, i in zip(TIMES, (0, middle, -1), strict=True)}
    found |= {"entries": {when: each["entries"] for when, each in at.items()}}
    if key["model"] in WAVES:
        found["shares"] = [each["shares"] for each in looked]
        found["deviation"] = [looked[0]["deviation"], looked[-1]["deviation"]]
    return found


def look(network: Any, batch: Batch, key: Mapping[str, Any]) -> dict[str, Any]:
    """Take all numbers of a network at one step of its training."""
    found: dict[str, Any] = {"step": 0, "study": gradient_study(network, batch)}
    of_entries = entries(network, batch, key["thresholds"], key["quantiles"])
    found["entries"] = {place: jax.device_get(each)._asdict() for place, each in of_entries.items()}
    if key["model"] in WAVES:
        found["shares"] = {name: float(share) for name, share in wave_shares(network, batch).items()}
        found["deviation"] = float(closed_form(network, batch))
    return found


@jax.jit
def closed_form(network: Any, batch: Batch) -> Float[Array, ""]:
    """Compute the largest deviation of ∂L/∂w_mk from w_mk·c_k, c_k = (∂L/∂s_k) / s_k.

    It is over all tokens m but [CLS] and both variants, in units of the largest entry of the text's gradient
    there.
    """
    trace = network.trace(batch.ids, batch.mask, batch.segments)
    back = by_stage(network, batch, per_text=True)

    def deviation(w: Array, Z: Array, by_w: Array, by_Z: Array) -> Array:
        s = Z[:, :1].imag
        c = jnp.where(s > 0, by_Z[:, :1].imag / jnp.where(s > 0, s, 1), 0)
        closed = jnp.where(batch.mask[..., None], w * c, 0)
        largest = jnp.max(jnp.abs(by_w[:, 1:]), axis=(1, 2))
        apart = jnp.max(jnp.abs(by_w - closed)[:, 1:], axis=(1, 2))
        return jnp.max(apart / jnp.where(largest > 0, largest, 1))

    return jnp.maximum(
        deviation(trace.w1, trace.Z1, back.w1, back.Z1), deviation(trace.w2, trace.Z2, back.w2, back.Z2)
    )


# --- tables -------------------------------------------------------------------------------------------------

Cells = Sequence[dict[str, Any]]


def about(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cell[name] for name in ("data", "model", "seed", "networks", "labelled")}


def numbers(cell: Mapping[str, Any]) -> dict[str, float]:
    """Return each measure of a training as one number: its mean over the steps after the start."""
    studies = cell["studies"][1:]
    return {name: float(np.mean([row[name] for row in studies])) for name in studies[0]} | cell["signs"]


def study_rows(cells: Cells) -> Cells:
    return [
        {**about(cell), "step": step, **row}
        for cell in cells
        for step, row in zip(cell["steps"], cell["studies"], strict=True)
    ]


def of_data(name: str, cells: Cells) -> dict[str, Any]:
    """Write verdicts, tables and figures of one data set."""
    models = list(dict.fromkeys(cell["model"] for cell in cells))
    over = {model: [numbers(cell) for cell in cells if cell["model"] == model] for model in models}
    compared = comparisons(over)
    curves = {model: [cell["studies"] for cell in cells if cell["model"] == model] for model in models}
    steps = np.array(cells[0]["steps"])

    def curve(measure: str, model: str) -> np.ndarray:
        """(seeds, steps)"""
        return np.array([[row[measure] for row in rows] for rows in curves[model]])

    norms = {
        shown: {model: curve(f"{place}_norm", model).mean(axis=0) for model in models}
        for place, shown in PLACES.items()
    }
    found: dict[str, Any] = {f"Verdicts: {name}": verdicts(compared)} if compared else {}
    found |= {f"Against the Transformer: {name}": compared} if compared else {}
    found |= {
        f"All measures, mean over training: {name}": measure_table(over),
        f"Norms: {name}": plots.gradient_norms(steps, norms),
    }
    for measure, label in DRAWN.items():
        for place in ("cls", "text"):
            drawn = {model: curve(f"{place}_{measure}", model) for model in models}
            found[f"{label} at {PLACES[place]}: {name}"] = plots.bands(steps, drawn, label)
    return found


def comparisons(over: Mapping[str, Cells]) -> Cells:
    """Subtract the Transformer from a wave, seed by seed, at every place by every measure of a claim."""
    return [
        {
            "claim": claim,
            "network": wave,
            "place": shown,
            "measure": measure,
            "wave": compare.over_seeds(ours, digits=3),
            "Transformer": compare.over_seeds(theirs, digits=3),
            "difference": compare.over_seeds([a - b for a, b in zip(ours, theirs, strict=False)], digits=3),
            "wave is": compare.against(ours, theirs),
        }
        for claim, names in CLAIMS.items()
        for wave in WAVES
        for measure in names
        for place, shown in PLACES.items()
        if "Transformer" in over
        for ours, theirs in [[[row[f"{place}_{measure}"] for row in over[m]] for m in (wave, "Transformer")]]
    ]


def verdicts(compared: Cells) -> str:
    """Judge each claim: it holds if it does at every place by every measure."""
    claims: dict[tuple[str, str], dict[str, str]] = {}
    for row in compared:
        answers = claims.setdefault((row["network"], row["claim"]), {})
        answers[f"{row['measure']} at {row['place']}"] = row["wave is"]
    return "\n".join(
        f"- {wave}, {claim} than the Transformer: {compare.verdict(answers, 'more')}."
        for (wave, claim), answers in claims.items()
    )


def measure_table(over: Mapping[str, Cells]) -> Cells:
    def shown(values: Sequence[float]) -> str:
        mean, _, half = statistics.interval(values)
        ends = f" ± {tables.number(half)}" if len(values) > 1 else ""
        return tables.number(mean) + ends

    names = next(iter(over.values()))[0]
    return [
        {"measure": name} | {model: shown([row[name] for row in rows]) for model, rows in over.items()}
        for name in names
    ]


def closed_form_text(cells: Cells) -> str:
    worst = {wave: max(max(cell["deviation"]) for cell in cells if cell["model"] == wave) for wave in WAVES}
    found = ", ".join(f"{tables.number(value)} in {wave}" for wave, value in worst.items())
    return (
        "With [CLS] pooling the gradient at another token's variant is w·c, c one factor a dimension for the"
        f" whole text. Largest deviation, before and after training, over the largest entry: {found}."
    )
