"""What does a layer cost as the text grows, and as it grows wide?

    python -m experiments complexity

P2's comparison of complexity and parameters (P1: 2.4 million parameters without the embeddings). Wave with
[CLS] pooling, as in the papers, where feed forward and norm are needed for one token only; Wave with mean
pooling, where they are needed for all; a Transformer of one layer; one layer of BERT with its pooler. Random
start, BERT's vocabulary, texts without padding. Of each, against text length n and width d:
- parameters, with and without the tables of embeddings;
- floating-point operations of loss and gradient, as XLA counts them in the compiled program;
- bytes that the backward pass keeps of a text: what one text more adds to the closure of `jax.vjp`, so that
  parameters, kept once for all texts, drop out;
- temporary bytes of the compiled program, and its seconds (loss and gradient, the table's rows as in
  training, without Adam; the four models in turn, the median counts).
Beside them the formulas of `formulas`, and exponents by least squares over the same sizes.

Price: about 10 minutes on 2 cores. A stopped run goes on where it was.

To expect: Wave n and d² in operations, n in memory; attention bends towards n², in memory first. Where texts
are short or vectors narrow, seconds grow more slowly than operations: starting the program costs most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from benchmarks.forms import C, Form, V, batch, compiled, rows_gradient
from benchmarks.report import interleaved
from experiments.frame import grid, page
from wave_jax.networks.bert import BertConfig
from wave_jax.networks.layers import count_parameters
from wave_jax.networks.transformer import TransformerConfig
from wave_jax.networks.wave_network import PAPER_MODULATION
from wave_jax.runs.environment import hardware
from wave_jax.study import plots, statistics
from wave_jax.training.loss import loss

ABOUT = """\
Loss and gradient of {texts} texts, vocabulary {v:,}. *Operations* are those of one text, *kept* is what the
backward pass keeps of one text, *temporary* what the compiled program needs besides arguments and results,
*seconds* the median of {runs} runs of it. An exponent p says that a cost grows as sizeᵖ: least squares in
logarithms over all sizes, in brackets the same of the formula; in the figures formulas are pale. They leave
out terms of lower order: operations 12·n·d² for Wave with [CLS], 24·n·d² with the mean of all tokens,
72·n·d² + 12·n²·d for Transformer and BERT's layer (matrix products, each with its two in the backward pass);
kept bytes 16·n·d, 37·n·d, {transformer}·n·d + 13·heads·n² and 125·n·d + 13·heads·n² (float32 arrays and masks
of the programs here; heads are 64 wide). Those of parameters are exact."""
# Bytes that the Transformer keeps of a token's number; since JAX 0.11 they are four float32 fewer.
TRANSFORMER = 141 if jax.__version_info__ >= (0, 11) else 157
COSTS = {
    "operations": "floating-point operations of a text",
    "kept": "bytes kept of a text",
    "temporary": "temporary bytes of a step",
    "seconds": "seconds of a step",
}
MODELS = ("Wave", "Wave, mean pooling", "Transformer", "BERT's layer")


@dataclass(frozen=True)
class Config:
    n: int = 128
    """Text length while the width grows."""
    d: int = 768
    """Width while the text grows."""
    lengths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    """Text lengths at width d."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Widths at text length n."""
    texts: int = 4
    """Texts of a step."""
    runs: int = 7
    """Steps whose median time counts."""
    models: tuple[str, ...] = MODELS
    """What is measured, in turn."""


PRESETS = {"full": Config(), "smoke": Config(16, 8, (16, 32), (8, 16), 2, 1, ("Wave", "Transformer"))}


def main(config: Config, out: Path) -> None:
    sizes = dict.fromkeys([(n, config.d) for n in config.lengths] + [(config.n, d) for d in config.widths])
    sizes[config.n, config.d] = None
    about = {"texts": config.texts, "runs": config.runs, "models": config.models, "device": hardware()}
    keys = [{"n": n, "d": d, **about} for n, d in sizes]
    cells = zip(sizes, grid.cells(out, keys, measure), strict=True)
    costs = {at: {model: cell[model] for model in config.models} for at, cell in cells}
    found: dict[str, Any] = {
        "What is measured": ABOUT.format(texts=config.texts, v=V, runs=config.runs, transformer=TRANSFORMER),
        f"At n = {config.n}, d = {config.d}": table(costs[config.n, config.d], config.n, config.d),
    }
    along = {
        "text length n": {n: (n, config.d) for n in config.lengths},
        "width d": {d: (config.n, d) for d in config.widths},
    }
    for name, grown in along.items():
        by_formula = [{model: formulas(model, *at) for model in config.models} for at in grown.values()]
        measured = {cost: curves([costs[at] for at in grown.values()], cost) for cost in COSTS}
        expected = {cost: curves(by_formula, cost) for cost in ("operations", "kept")}
        found[f"Exponents along {name}"] = exponents(np.array([*grown]), measured, expected)
        lines, pale = ({COSTS[cost]: of[cost] for cost in of} for of in (measured, expected))
        found[f"Costs along {name}"] = plots.scaling(np.array([*grown]), lines, name, pale)
    rows = [
        {"n": n, "d": d, "model": model, **found}
        for (n, d), cell in costs.items()
        for model, found in cell.items()
    ]
    page.write(out, "What a layer costs", found, {"costs": rows})


# --- one size -----------------------------------------------------------------------------------------------


def networks(n: int, d: int) -> dict[str, Any]:
    """Return the settings of every model at this size."""
    wave, heads = replace(PAPER_MODULATION, d=d), heads_of(d)
    bert = BertConfig(
        hidden_size=d,
        num_hidden_layers=1,
        num_attention_heads=heads,
        intermediate_size=4 * d,
        max_position_embeddings=n,
    )
    transformer = TransformerConfig(d, heads, width=4 * d, max_length=n)
    return dict(zip(MODELS, (wave, replace(wave, pool="mean"), transformer, bert), strict=True))


def heads_of(d: int) -> int:
    return max(1, d // 64)


def measure(key: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Measure all costs of every model at one size."""
    n, d, texts = key["n"], key["d"], batch(key["texts"], key["n"])
    forms = {
        name: Form(config.build(v=V, c=C, rngs=nnx.Rngs(0)), rows_gradient)
        for name, config in networks(n, d).items()
        if name in key["models"]
    }
    steps = {name: compiled(form, texts) for name, form in forms.items()}
    seconds = interleaved(
        {name: lambda name=name: steps[name](forms[name].network, texts) for name in steps}, key["runs"]
    )
    costs = {}
    for name, form in forms.items():
        total, without_tables = count_parameters(form.network)
        costs[name] = {
            "parameters": total,
            "without tables": without_tables,
            "operations": steps[name].cost_analysis()["flops"] / key["texts"],
            "kept": kept(form.network, 2, n) - kept(form.network, 1, n),
            "temporary": steps[name].memory_analysis().temp_size_in_bytes,
            "seconds": seconds[name],
        }
    return costs


def kept(network: Any, b: int, n: int) -> int:
    """Count the bytes that forward hands to backward for b texts, parameters that it needs again included."""
    texts = batch(b, n)
    _, vjp = jax.eval_shape(lambda network: jax.vjp(lambda network: loss(network, texts), network), network)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(vjp))


def formulas(model: str, n: int, d: int) -> dict[str, int]:
    """Return the costs that the sizes suggest: parameters exactly, others without terms of lower order."""
    classifier = C * d + C
    if model.startswith("Wave"):  # two variants d -> d, feed forward 2d -> d, norm
        cls = model == "Wave"
        tables, layer = V * d, 4 * d * d + 5 * d
        operations, of_token, of_pair = (12 if cls else 24) * n * d * d, 16 if cls else 37, 0
    else:  # four maps d -> d, up to 4d, down again, two norms; then a norm, and BERT's pooler
        pooler = d * d + d if model == "BERT's layer" else 0
        tables = (V + n + (2 if pooler else 0)) * d
        layer = 12 * d * d + 15 * d + pooler
        operations, of_token, of_pair = 72 * n * d * d + 12 * n * n * d, 125 if pooler else TRANSFORMER, 13
    return {
        "parameters": tables + layer + classifier,
        "without tables": layer + classifier,
        "operations": operations,
        "kept": of_token * n * d + of_pair * heads_of(d) * n * n,
    }


# --- tables -------------------------------------------------------------------------------------------------

Costs = Mapping[str, Mapping[str, float]]  # [model][cost]


def curves(costs: Sequence[Costs], name: str) -> dict[str, np.ndarray]:
    return {model: np.array([cost[model][name] for cost in costs]) for model in costs[0]}


def table(costs: Costs, n: int, d: int) -> list[dict[str, Any]]:
    """Write every cost at one size, and by formula if there is one."""
    return [
        {
            "model": model,
            "parameters": costs[model]["parameters"],
            "without tables": costs[model]["without tables"],
            "GFLOP": costs[model]["operations"] / 1e9,
            "GFLOP (formula)": formulas(model, n, d)["operations"] / 1e9,
            "kept MB": costs[model]["kept"] / 1e6,
            "kept MB (formula)": formulas(model, n, d)["kept"] / 1e6,
            "temporary MB": costs[model]["temporary"] / 1e6,
            "ms": costs[model]["seconds"] * 1e3,
        }
        for model in costs
    ]


def exponents(
    sizes: np.ndarray, measured: Mapping[str, Mapping[str, np.ndarray]], expected: Mapping[str, Any]
) -> list[dict[str, str]]:
    def cell(model: str, name: str) -> str:
        found = f"{statistics.exponent(sizes, measured[name][model]):.2f}"
        if name not in expected:
            return found
        return f"{found} ({statistics.exponent(sizes, expected[name][model]):.2f})"

    models = measured["seconds"]
    return [{"model": model} | {name: cell(model, name) for name in COSTS} for model in models]
