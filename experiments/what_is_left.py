"""What is left of the accuracy when the magnitude, or the phase, of the waves is scaled away?

    python -m experiments what_is_left --data FOLDER ...

Ours, of neither paper. SMALL is trained as it is. Then its waves Z1 and Z2 are edited while it answers test
texts: how far ln |Z| or α are from a reference is multiplied by a share, from 1 down to 0. The reference is
the mean wave of the training texts, or magnitude 1 and phase 0. Beside it stand networks that never had the
part, from the start of training: waves of magnitude 1, or of phase 0. Last, Z2 is taken from another text.

Price: one minute on 2 cores for a run on 5,000 short texts; 15 runs for a data set. A stopped run goes on
where it was.

To expect: with both parts at the mean wave no text differs from another, so that the accuracy is the share of
one class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.frame import compare, contenders, corpora, grid, loops, page
from wave_jax import wave
from wave_jax.data import batches
from wave_jax.data.batches import Batch, TokenArrays
from wave_jax.data.datasets import Dataset
from wave_jax.networks.trace import Network, Trace
from wave_jax.runs import presets
from wave_jax.study import plots
from wave_jax.study.edits import central, scaled

ABOUT = """\
Test accuracy in per cent, mean and 95 % interval over seeds. The waves Z1 and Z2 of a trained SMALL are
edited as it answers: the share is what is left of the difference from the reference, in ln |Z| (*magnitude*),
in α (*phase*) or in both. The reference is the mean wave at [CLS] over training texts, or 1 (magnitude 1,
phase 0). *Without it from the start* is a network whose waves have magnitude 1, or phase 0, in training and
test."""
SWAPPED = """\
Z1 is of one text and Z2 of another with another label. How often is the answer the label of the text of Z1,
how often that of Z2?"""
PARTS = {
    "magnitude": (0, 1),
    "phase": (1, 0),
    "magnitude and phase": (0, 0),
}  # what of each is left at share 0
AROUND = ("mean wave", "1")
CHUNK = 250  # texts
USUAL = 2000  # training texts for the mean wave


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    seeds: int = 5
    """Of training."""
    shares: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25, 0.0)
    """Of the difference from the reference that is left."""
    without: tuple[str, ...] = ("nothing", "magnitude", "phase")
    """What networks never had; "nothing", which is edited, among them."""
    epochs: int | None = None
    """Another number of epochs than SMALL's."""
    size: int | None = None
    """Planted training texts."""


PRESETS = {
    "full": Config(),
    "smoke": Config(seeds=1, shares=(1.0, 0.0), without=("nothing", "phase"), epochs=1, size=40),
}


# --- networks that never had a part -------------------------------------------------------------------------


def no_magnitude(Z1: Array, Z2: Array) -> Array:
    return wave.modulate(*map(scaled(magnitude=0.0), (Z1, Z2)))


def no_phase(Z1: Array, Z2: Array) -> Array:
    return wave.modulate(*map(scaled(phase=0.0), (Z1, Z2)))


WITHOUT: dict[str, Any] = {"nothing": "modulate", "magnitude": no_magnitude, "phase": no_phase}


# --- one run ------------------------------------------------------------------------------------------------


def judge(dataset: Dataset, key: grid.Key) -> dict[str, Any]:
    """Train one network; measure its accuracy, and what edits leave of it if it has all parts."""
    preset = key["preset"]
    own = replace(preset, network=replace(preset.network, combine=WITHOUT[key["without"]]))
    prepared = loops.prepared(dataset, own)
    _, network = loops.trained(prepared, "{data}, without {without}, seed {seed}".format_map(key))
    test = prepared.start.tokens(dataset.test)
    untouched = _reference(network.config.d)
    if key["without"] != "nothing":
        return {"accuracy": accuracy(network, test, (1.0, 1.0), untouched)}
    around = {"mean wave": mean_wave(network, prepared.train, key["seed"]), "1": untouched}
    left = {
        f"{part} around {name}": [
            accuracy(network, test, tuple(s if rest == 0 else 1.0 for rest in at_0), reference)
            for s in key["shares"]
        ]
        for part, at_0 in PARTS.items()
        for name, reference in around.items()
    }
    return {
        "accuracy": accuracy(network, test, (1.0, 1.0), untouched),
        "left": left,
        "swapped": swapped(network, test),
    }


Reference = Mapping[str, wave.Polar]  # of Z1 and Z2


def _reference(d: int) -> Reference:
    one = wave.Polar(jnp.ones(d), jnp.zeros(d))
    return {"Z1": one, "Z2": one}


def in_chunks(tokens: TokenArrays, rows: np.ndarray | None = None) -> Iterator[Batch]:
    """Cut these texts, or all, into batches of one shape, filled up with filler."""
    n = -(-int(tokens.lengths.max()) // 32) * 32
    rows = np.arange(len(tokens.labels)) if rows is None else rows
    rows = np.pad(rows, (0, -len(rows) % CHUNK), constant_values=-1)
    for part in rows.reshape(-1, CHUNK):
        yield batches.gather(tokens, part, n)


@jax.jit
def answer(network: Network, batch: Batch, left: tuple[Array, Array], around: Reference) -> Array:
    """Return the classes that the network answers where only these shares of magnitude and phase are left."""
    edit = Trace(**{name: scaled(*left, around[name]) for name in ("Z1", "Z2")})
    return jnp.argmax(network.trace(batch.ids, batch.mask, batch.segments, edit=edit).logits, axis=-1)


def accuracy(network: Network, tokens: TokenArrays, left: Sequence[float], around: Reference) -> float:
    shares = tuple(jnp.asarray(share, jnp.float32) for share in left)
    right = [
        np.asarray(answer(network, batch, shares, around)) == batch.labels for batch in in_chunks(tokens)
    ]
    return float(np.concatenate(right)[: len(tokens.labels)].mean())


@jax.jit
def at_cls(network: Network, batch: Batch) -> dict[str, Array]:
    trace = network.trace(batch.ids, batch.mask, batch.segments)
    return {name: getattr(trace, name)[:, 0] for name in ("Z1", "Z2")}


def mean_wave(network: Network, tokens: TokenArrays, seed: int) -> Reference:
    """Compute the mean wave at [CLS] over some training texts."""
    rows = np.random.default_rng(seed).permutation(len(tokens.labels))[:USUAL]
    parts = list(in_chunks(tokens, rows))
    waves = [at_cls(network, batch) for batch in parts]
    real = jnp.concatenate([jnp.asarray(batch.labels >= 0) for batch in parts])
    return {name: central(jnp.concatenate([each[name] for each in waves]), real) for name in ("Z1", "Z2")}


@jax.jit
def mixed(network: Network, batch: Batch, other: Batch) -> Array:
    """Return the answers where Z1 is of one text and Z2 of the other."""
    Z2 = network.trace(other.ids, other.mask, other.segments).Z2
    edit = Trace(Z2=Z2)
    return jnp.argmax(network.trace(batch.ids, batch.mask, batch.segments, edit=edit).logits, axis=-1)


def swapped(network: Network, tokens: TokenArrays) -> dict[str, float]:
    """Measure how often the answer is the label of the text of Z1, or of Z2, where these differ."""
    found = []
    for batch in in_chunks(tokens):
        other = jax.tree.map(lambda x: np.roll(x, 1, axis=0), batch)
        counts = (batch.labels != other.labels) & (batch.labels >= 0) & (other.labels >= 0)
        answers = np.asarray(mixed(network, batch, other))
        found.append(np.stack([answers == batch.labels, answers == other.labels])[:, counts])
    of_1, of_2 = np.concatenate(found, axis=1).mean(axis=1)
    return {"label of Z1": float(of_1), "label of Z2": float(of_2)}


# --- the page -----------------------------------------------------------------------------------------------


def main(config: Config, out: Path) -> None:
    small = presets.preset("small")
    loaded = corpora.load(config.data, small.valid, config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    keys: list[dict[str, Any]] = [
        {"data": dataset.name, "digest": dataset.digest, "test digest": dataset.test.digest}
        | {"without": without, "seed": seed, "shares": config.shares}
        | {"preset": contenders.with_seed(small, seed, config.epochs, dataset.train)}
        for dataset in loaded
        for seed in range(config.seeds)
        for without in config.without
    ]
    cells = grid.cells(out, keys, lambda key: judge(texts[key["digest"]], key))
    rows = [{**key, **cell} for key, cell in zip(keys, cells, strict=True)]
    parts: dict[str, Any] = {"What is measured": ABOUT}
    for dataset in loaded:
        runs = {
            name: [row for row in rows if (row["digest"], row["without"]) == (dataset.digest, name)]
            for name in config.without
        }
        parts[f"What is left: {dataset.name}"] = left_table(runs, config.shares)
        curves = {f"{part}, around {name}": curve(runs, part, name) for part in PARTS for name in AROUND}
        parts[f"Curves: {dataset.name}"] = plots.bands(
            np.array(config.shares), curves, along="share that is left"
        )
        parts[f"Two texts: {dataset.name}"] = SWAPPED
        parts[f"Answers of two texts: {dataset.name}"] = [
            {
                name: compare.over_seeds([run["swapped"][name] for run in runs["nothing"]], 100)
                for name in ("label of Z1", "label of Z2")
            }
        ]
    parts["Data"] = corpora.table(loaded)
    page.write(out, "What is left without magnitude or phase", parts, {"accuracy": points(rows)})


def curve(runs: Mapping[str, Any], part: str, around: str) -> np.ndarray:
    return np.array([run["left"][f"{part} around {around}"] for run in runs["nothing"]])


def left_table(runs: Mapping[str, Any], shares: Sequence[float]) -> list[dict[str, Any]]:
    """Write the accuracy at each share, and that of the network that never had the part."""

    def row(part: str, around: str) -> dict[str, Any]:
        by_share = curve(runs, part, around).T
        start = [run["accuracy"] for run in runs.get(part, ())]
        return {
            "scaled away": part,
            "around": around,
            **{f"{s:g}": compare.over_seeds(list(a), 100) for s, a in zip(shares, by_share, strict=True)},
            "without it from the start": compare.over_seeds(start, 100) if start else "-",
        }

    return [row(part, around) for part in PARTS for around in AROUND]


def points(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every accuracy as a row."""
    found = []
    for row in rows:
        about = {name: row[name] for name in ("data", "seed", "without")}
        found.append({**about, "edited": "-", "share": 1.0, "accuracy": row["accuracy"]})
        for edited, accuracies in row.get("left", {}).items():
            for share, value in zip(row["shares"], accuracies, strict=True):
                found.append({**about, "edited": edited, "share": share, "accuracy": value})
    return found
