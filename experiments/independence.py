"""Embedding independence: does a dimension of an embedding keep to itself?

    python -m experiments independence --data FOLDER ... [--weights BERT ...]

P2 names it and its definition is not known: these three are ours, before and after training in batches of 32.
1. The Jacobian of h by w, token by token: the share of its squares off the diagonal in the dimension. Encode
   and combine alone, without the linear maps around them, must give 0: that is the check.
2. Over a corpus: correlation between dimensions, and effective rank, of embeddings and behind the layer (h).
3. A dimension is set to 0 in all tokens of a text: how many dimensions of h move?

Price: hours on 2 cores for 500 steps of five seeds, most of them the Transformer's. BERT base wants a GPU. A
stopped run goes on where it was.

To expect: encode and combine give 0, and the linear maps mix all dimensions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from experiments.frame import compare, contenders, corpora, grid, loops, page
from wave_jax import wave
from wave_jax.data import batches
from wave_jax.data.batches import TokenArrays
from wave_jax.data.datasets import Dataset
from wave_jax.data.plan import Plan, buckets
from wave_jax.networks.trace import Trace
from wave_jax.networks.wave_network import WaveNetwork
from wave_jax.study import measures, plots

ABOUT = """\
*Off the diagonal*: Σ_(k≠l) J_kl² / Σ J_kl² of ∂h_k/∂w_l, w a token's embedding + position, at [CLS] and at
the other tokens of {texts} validation texts, over 1 - 1/d: 1 where all entries are equally large.
*Correlation*: mean absolute correlation of two dimensions, of the embedding (of one token, not [CLS], of each
of m validation texts, {corpus} where there are so many) or of h: about √(2/(π·m)) by chance. *Rank*:
effective rank of the same vectors less their mean, over d. *Moved*: a dimension of w is set to 0 in all
tokens of a text, and (Σ Δ²)² / Σ Δ⁴ of the change Δ of h counts those that move, here over d: 1/d where it
stays in one. Mean and 95 % interval over seeds; a difference is more or less where its interval does not hold
0, else the same."""
WAVES = ("interference", "modulation")
SHARES = np.linspace(0, 1, 101)  # of dimensions, as networks differ in their number
COLUMNS = {
    "jacobian_cls": "off the diagonal, [CLS]",
    "jacobian_others": "off the diagonal, others",
    "correlation_w": "correlation, embedding",
    "correlation_h": "correlation, h",
    "rank_w": "rank, embedding",
    "rank_h": "rank, h",
    "moved": "moved",
}


@dataclass(frozen=True)
class Config:
    data: tuple[str, ...] = ()
    """Folders of texts, each with train.csv and test.csv; without one, the planted corpus."""
    weights: tuple[str, ...] = ()
    """Folders of BERTs, which are then studied too, as they are and from a random start."""
    models: tuple[str, ...] = ()
    """What is studied, else all; both waves and the Transformer among them."""
    networks: contenders.Networks = "paper"
    """The papers' size and settings, or SMALL's."""
    seeds: int = 5
    """Of training, and of the texts that are studied."""
    steps: int = 500
    """Of training, in batches of 32."""
    texts: int = 8
    """Whose Jacobians are taken, and whose dimensions are set to 0."""
    corpus: int = 2000
    """Texts over which dimensions are correlated."""
    size: int | None = None
    """Planted training texts."""


PRESETS = {"full": Config(), "smoke": Config(networks="small", seeds=1, steps=2, texts=2, corpus=20, size=60)}


def main(config: Config, out: Path) -> None:
    names = config.models or (*WAVES, "Transformer", *contenders.berts(config.weights))
    loaded = corpora.load(config.data, size=config.size)
    texts = {dataset.digest: dataset for dataset in loaded}
    keys: list[dict[str, Any]] = [
        {"data": dataset.name, "digest": dataset.digest, "train": len(dataset.train), "model": model}
        | {"preset": preset, "seed": seed}
        | {"until": config.steps, "texts": config.texts, "corpus": config.corpus}
        for dataset in loaded
        for seed in range(config.seeds)
        for model, preset in contenders.models(config.networks, config.weights, names).items()
        if seed < contenders.fewer(preset, config.seeds)
    ]
    cells = grid.cells(out, keys, lambda key: before_and_after(texts[key["digest"]], key))
    found = [
        {**key, **cell, **corpora.setting(texts[key["digest"]], config.networks)}
        for key, cell in zip(keys, cells, strict=True)
    ]
    parts: dict[str, Any] = {"What is measured": ABOUT.format(**vars(config)), "The check": check(found)}
    for name in dict.fromkeys(cell["data"] for cell in found):
        parts |= of_data(name, [cell for cell in found if cell["data"] == name])
    parts["Data"] = page.distinct(found, ("data", "train", "digest"))
    page.write(out, "Embedding independence", parts, {"independence": rows_of(found)})


# --- one network --------------------------------------------------------------------------------------------


def before_and_after(dataset: Dataset, key: Mapping[str, Any]) -> dict[str, Any]:
    """Measure all numbers of a network before training and after it."""
    preset, seed = key["preset"], key["seed"]
    training = replace(preset.training, batch=32, steps=key["until"], seed=seed)
    order = np.random.default_rng(seed).permutation(len(dataset.valid))[: max(key["corpus"], key["texts"])]
    dataset = replace(dataset, valid=dataset.valid.take(order))
    prepared = loops.prepared(dataset, replace(preset, training=training))
    network = prepared.network
    for turn in loops.turns(prepared, f"{dataset.name}, {key['model']}, seed {seed}"):
        network = turn.state.network
    of = {"before": prepared.network, "after": network}
    return {when: independence(each, prepared.valid, key["texts"]) for when, each in of.items()}


def independence(network: Any, tokens: TokenArrays, texts: int) -> dict[str, Any]:
    """Measure Jacobians and moved dimensions of the first texts, correlation and rank over all of them."""
    rows = np.arange(min(texts, len(tokens.labels)))
    batch = batches.gather(tokens, rows, -(-int(tokens.lengths[rows].max()) // 32) * 32)
    found: list[dict[str, Any]] = []
    for ids, mask in zip(batch.ids, batch.mask, strict=True):
        J, change = jacobian(network, ids, mask), spread(network, ids, mask)
        found.append({"jacobian_cls": crossing(J[0]), "jacobian_others": crossing(J[1:]), **reach(change)})
        if isinstance(network, WaveNetwork):
            found[-1]["alone"] = crossing(alone(network, ids, mask))
    means = {name: np.mean([np.asarray(row[name]) for row in found], axis=0) for name in found[0]}
    return means | over_corpus(network, tokens)


@jax.jit
def jacobian(network: Any, ids: Int[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, "n d d"]:
    """Compute ∂h_k/∂w_ml at (m, k, l), some rows k at a time."""
    w = jnp.zeros_like(network.trace(ids, mask).w)
    h, back = jax.vjp(lambda nudge: network.trace(ids, mask, nudge=Trace(w=nudge)).h, w)
    return jnp.moveaxis(
        jax.lax.map(lambda row: back(row)[0], jnp.eye(len(h), dtype=h.dtype), batch_size=64), 1, 0
    )


@jax.jit
def alone(network: Any, ids: Int[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, "2 n d d"]:
    """Compute the same of encode and combine alone: both parts of Z at [CLS] by both variants."""
    trace, combine = network.trace(ids, mask), network.config.combine
    w1, w2 = trace.w1, trace.w2

    def parts(nudge: Array) -> Array:
        Z = wave.COMBINE[combine](*(wave.encode(w + nudge, mask, rows=(0,)) for w in (w1, w2)))
        return jnp.concatenate([Z.real[0], Z.imag[0]])

    x, back = jax.vjp(parts, jnp.zeros_like(w1))
    J = jax.lax.map(lambda row: back(row)[0], jnp.eye(len(x), dtype=x.dtype), batch_size=64)
    return jnp.moveaxis(J.reshape(2, -1, *w1.shape), 2, 1)


@jax.jit
def spread(network: Any, ids: Int[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, "d d"]:
    """Compute how h changes, row by row, if a dimension of w is set to 0 in all tokens."""
    trace = network.trace(ids, mask)

    def without(one: Array) -> Array:
        return network.trace(ids, mask, nudge=Trace(w=-trace.w * one)).h - trace.h

    return jax.lax.map(without, jnp.eye(trace.w.shape[-1]), batch_size=64)


def crossing(J: Float[Array, "*batch d d"]) -> float:
    """Compute the share of the squares off the diagonal, 1 if all entries are equally large."""
    return float(measures.off_diagonal(J)) / (1 - 1 / J.shape[-1])


def reach(change: Float[Array | np.ndarray, "d d"]) -> dict[str, np.ndarray]:
    """Compute the share of dimensions that move, and that of Δ² in those that move most; a mean."""
    sizes = -np.sort(-np.square(np.asarray(change, float)), axis=-1)
    sizes = sizes[sizes.sum(axis=-1) > 0]
    shares = sizes / sizes.sum(axis=-1, keepdims=True)
    d = shares.shape[-1]
    moved = 1 / np.square(shares).sum(axis=-1) / d
    sums = np.concatenate([[0], np.mean(np.cumsum(shares, axis=-1), axis=0)])
    return {"moved": np.mean(moved), "curve": np.interp(SHARES, np.arange(d + 1) / d, sums)}


def over_corpus(network: Any, tokens: TokenArrays) -> dict[str, float]:
    """Compute correlation, and effective rank over d, of token vectors, one of each text, and of h."""
    places = 1 + np.random.default_rng(0).integers(tokens.lengths - 1)  # any but [CLS]
    drawn = np.asarray(tokens.ids)[np.asarray(tokens.offsets)[:-1] + places]
    plan = Plan.of_all(tokens, 32, buckets(tokens.lengths, most=1))
    h = [np.asarray(_h(network, batch))[batch.labels >= 0] for batch in plan.batches(tokens)]
    vectors = {"w": np.asarray(network.embedding[...])[drawn], "h": np.concatenate(h)}
    found: dict[str, float] = {}
    for of, x in vectors.items():
        x = x - x.mean(axis=0)
        found[f"correlation_{of}"] = float(measures.correlation(x))
        found[f"rank_{of}"] = float(measures.effective_rank(x)) / x.shape[-1]
    return found


@jax.jit
def _h(network: Any, batch: Any) -> Float[Array, "b d"]:
    return network.trace(batch.ids, batch.mask, batch.segments).h


# --- tables -------------------------------------------------------------------------------------------------

Cells = Sequence[dict[str, Any]]


def rows_of(cells: Cells) -> Cells:
    return [
        {name: cell[name] for name in ("data", "model", "seed", "networks", "labelled")}
        | {"training": when}
        | {name: value for name, value in cell[when].items() if name != "curve"}
        for cell in cells
        for when in ("before", "after")
    ]


def check(cells: Cells) -> str:
    alone = {cell["model"]: [] for cell in cells if cell["model"] in WAVES}
    for cell in cells:
        if cell["model"] in WAVES:
            alone[cell["model"]] += [cell["before"]["alone"], cell["after"]["alone"]]
    found = ", ".join(f"{max(values):g} in {name}" for name, values in alone.items())
    holds = "holds" if not any(map(any, alone.values())) else "does not hold"
    return (
        "That encode and combine alone keep every dimension to itself "
        f"{holds}: off the diagonal there is at most {found}."
    )


def of_data(name: str, cells: Cells) -> dict[str, Any]:
    """Write verdicts, table and figure of one data set."""
    models = list(dict.fromkeys(cell["model"] for cell in cells))

    def values(model: str, when: str, measure: str) -> list[Any]:
        return [cell[when][measure] for cell in cells if cell["model"] == model]

    table = [
        {"network": model, "training": when}
        | {shown: compare.over_seeds(values(model, when, name), digits=3) for name, shown in COLUMNS.items()}
        for model in models
        for when in ("before", "after")
    ]
    curves = {model: np.array(values(model, "after", "curve")) for model in models}
    return {
        f"Verdicts: {name}": verdicts(values, [model for model in models if model in WAVES]),
        f"Before and after training: {name}": table,
        f"How far a change of one dimension spreads, after training: {name}": plots.bands(
            SHARES, curves, "share of Δ²", along="share of the dimensions of h, those that move most first"
        ),
    }


def verdicts(values: Callable[[str, str, str], list[Any]], waves: Sequence[str]) -> str:
    """Compare the waves with the Transformer, and say what training and the layer do to their correlation."""
    lines = []
    for model in waves:
        answers = {
            COLUMNS[name]: compare.against(values(model, "after", name), values("Transformer", "after", name))
            for name in ("jacobian_cls", "jacobian_others", "correlation_h", "moved")
        }
        before, after, h = (
            values(model, when, f"correlation_{of}")
            for when, of in (("before", "w"), ("after", "w"), ("after", "h"))
        )
        share = compare.over_seeds(values(model, "after", "jacobian_cls"), digits=3)
        lines += [
            f"- {model}, whole layer: {share} off the diagonal at [CLS], 1 if mixed alike.",
            f"- {model}, more independent than the Transformer: {compare.verdict(answers, 'less')}.",
            f"- {model}, correlation of embeddings after training against before: "
            f"{compare.against(after, before)}; of h against embeddings: {compare.against(h, after)}.",
        ]
    return "\n".join(lines)
