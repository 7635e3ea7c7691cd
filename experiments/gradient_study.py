"""Are the gradients of a Wave Network sparser, and more of one direction, than a Transformer's?

    python -m experiments gradient_study --data FOLDER ... [--weights BERT ...]

P2's gradient study: at [CLS], on the whole text and at the classifier, along training in batches of 32, on
the same 32 validation texts for all networks of a seed. What P2 measured is not known; `wave_jax.study` says
what is measured here. A difference is that of two networks of the same seed, and the verdicts are computed
from the intervals over seeds. The closed form of the gradient that reaches a token's variant (docs/maths.md,
section 6) is held against the gradient itself. Of the waves alone: the share of every gradient that moves the
magnitude, and the share that moves the phase.

Price: hours on 2 cores for 500 steps of five seeds, most of them the Transformer's. BERT base wants a GPU. A
stopped run goes on where it was.

To expect: the closed form, to float32 rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.frame import contenders, corpora, gradients, grid, loops, page
from experiments.frame.gradients import TIMES, WAVES
from wave_jax.data import batches
from wave_jax.data.batches import Batch
from wave_jax.data.datasets import Dataset
from wave_jax.study.gradients import by_stage
from wave_jax.study.papers import as_row, entries, gradient_study, principal_shares, sign_agreement
from wave_jax.study.shares import wave_shares

ABOUT = """\
A token's gradient is that of its own text's loss by its embedding + position; the classifier's is that of the
loss by its parameters. Each number is a mean over {texts} validation texts, drawn by the seed, and over the
studied steps but the start. *share_below*: of entries, those below a hundredth of the largest. *resultant*:
mean resultant length, at the whole text of its tokens, else of the texts. *principal*, *principal_ten*: share
of the same gradients' squares in their first principal direction, in the first ten. *sign_agreement*: of the
mean gradient over steps. *sparse*: the mean of the shares below a threshold, over thresholds from 1e-4 to 1
of the largest entry, so that it hangs on none of them; in the middle and at the end of training. *agreement*:
cosine of [CLS] with the sum of its text's other tokens. Mean and 95 % interval over seeds; a difference, of
the seeds that both have, is more or less where its interval does not hold 0, else the same."""
THRESHOLDS = tuple(float(f"{10 ** (i / 4):.12g}") for i in range(-32, 1))  # in units of the largest entry
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
        if seed < contenders.fewer(preset, config.seeds)
    ]
    cells = grid.cells(out, keys, lambda key: along_training(texts[key["digest"]], key))
    found = [
        {**key, **cell, **corpora.setting(texts[key["digest"]], config.networks)}
        for key, cell in zip(keys, cells, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT.format(texts=config.texts)}
    for name in dict.fromkeys(cell["data"] for cell in found):
        parts |= gradients.of_data(name, [cell for cell in found if cell["data"] == name])
    parts |= {
        "The closed form": gradients.closed_form_text(found),
        "Data": page.distinct(found, ("data", "train", "digest")),
    }
    rows = {
        "studies": gradients.study_rows(found),
        "seeds": [gradients.about(cell) | gradients.numbers(cell) for cell in found],
    }
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
    is_wave, network = key["model"] in WAVES, prepared.network
    looked, at = [look(network, batch, is_wave)], [distributed(network, batch, key)]
    for turn in loops.turns(prepared, f"{dataset.name}, {key['model']}, seed {seed}", key["every"]):
        network = turn.state.network
        looked.append({**look(network, batch, is_wave), "step": turn.record.step})
        if len(at) == 1 and 2 * turn.record.step >= key["until"]:
            at.append(distributed(network, batch, key))
    at.append(distributed(network, batch, key))
    found: dict[str, Any] = {"steps": [each["step"] for each in looked]}
    found |= {"studies": [each["row"] for each in looked]}
    found |= {"signs": sign_agreement([each["study"] for each in looked[1:]])}
    found |= {"entries": dict(zip(TIMES, at, strict=True))}
    if is_wave:
        found["shares"] = [each["shares"] for each in looked]
        found["deviation"] = [float(closed_form(each, batch)) for each in (prepared.network, network)]
    return found


def look(network: Any, batch: Batch, is_wave: bool) -> dict[str, Any]:
    """Take the numbers of a network that are followed along its training."""
    study = gradient_study(network, batch)
    found = {"step": 0, "study": study, "row": as_row(study) | principal_shares(network, batch)}
    if is_wave:
        found["shares"] = {name: float(share) for name, share in wave_shares(network, batch).items()}
    return found


def distributed(network: Any, batch: Batch, key: Mapping[str, Any]) -> dict[str, Any]:
    """Take how large the entries of its gradients are, at every place."""
    found = entries(network, batch, key["thresholds"], key["quantiles"])
    return {place: jax.device_get(each)._asdict() for place, each in found.items()}


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
