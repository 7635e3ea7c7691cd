"""What attributions cost, and leaving out every token in one pass beside one pass per token, the definition.

    python -m benchmarks.attribution                 (about two minutes on 2 cores)

The n passes are n calls of the compiled network. In one program (`lax.map`, what `leave_one_out` does for
networks without the one pass) the compiler sees that the two linear maps are the same in all passes, and
makes them once; that is measured too. Checks first that all give the same logits. Then every method, and
every check of scores, in turn, in units of a forward pass. Writes benchmarks/results/attribution.md.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.report import interleaved, write
from wave_jax import tables
from wave_jax.data.batches import Batch
from wave_jax.networks.wave_network import PAPER_INTERFERENCE, PAPER_MODULATION, WaveConfig, WaveNetwork
from wave_jax.runs.presets import SMALL
from wave_jax.study import attribution, faithfulness

V, C, N = 30_000, 4, 64
CASES = {  # a network and so many texts at a time
    "SMALL": (SMALL.network, 32),
    "papers, modulation": (PAPER_MODULATION, 4),
    "papers, interference": (PAPER_INTERFERENCE, 4),
}


def main() -> None:
    rows = [row(name, config, b) for name, (config, b) in CASES.items()]
    notes = f"## Methods, and checks of scores: SMALL\n\n{tables.markdown(costs(*CASES['SMALL']))}\n\n"
    load = f"Load average {os.getloadavg()[0]:.1f}."
    write("attribution", f"Exact leave-one-out of every token, texts of {N} tokens", rows, notes + load)


def made(config: WaveConfig, b: int) -> tuple[WaveNetwork, Batch]:
    ids = jnp.asarray(np.random.default_rng(0).integers(5, V, (b, N)), jnp.int32)
    batch = Batch(ids, jnp.ones((b, N), bool), jnp.zeros(b, jnp.int32))
    return config.build(v=V, c=C, rngs=nnx.Rngs(0)), batch


def costs(config: WaveConfig, b: int) -> list[dict[str, object]]:
    """Return what each method and each check costs, with the numbers of samples that they have by default."""
    network, batch = made(config, b)
    key, scores, leave_one_out = jax.random.key(0), jnp.ones((b, N)), attribution.leave_one_out
    forms = {
        "forward pass": lambda network, batch: network(batch.ids, batch.mask),
        "gradient x input": attribution.gradient_x_input,
        "SmoothGrad, 32 slopes": lambda network, batch: attribution.smooth_grad(network, batch, key),
        "integrated gradients, 64 slopes": attribution.integrated_gradients,
        "leave one out": leave_one_out,
        "Shapley, 32 orders": lambda network, batch: attribution.shapley(network, batch, key),
        "deletion, 8 tokens": lambda network, batch: faithfulness.deletion(network, batch, scores),
        "infidelity, 32 sets": lambda network, batch: faithfulness.infidelity(network, batch, scores, key),
        "sensitivity of leave one out, 8 moves": lambda network, batch: faithfulness.sensitivity(
            leave_one_out, network, batch, key
        ),
    }
    compiled = {name: jax.jit(form) for name, form in forms.items()}
    seconds = interleaved({name: lambda of=of: of(network, batch) for name, of in compiled.items()}, runs=9)
    return [
        {
            "what": name,
            "ms a text": 1e3 * second / b,
            "forward passes": f"{second / seconds['forward pass']:.1f}",
        }
        for name, second in seconds.items()
    ]


def row(name: str, config: WaveConfig, b: int) -> dict[str, object]:
    network, batch = made(config, b)
    ids = batch.ids
    masks = [batch.mask & (jnp.arange(N) != j) for j in range(1, N)]
    call = jax.jit(lambda network, ids, mask: network(ids, mask))
    program = jax.jit(attribution._by_n_passes)
    one_pass = jax.jit(lambda network, batch: attribution._without_each(network, batch.ids, batch.mask))
    forms = {
        "calls": lambda: jnp.stack([call(network, ids, mask) for mask in masks], axis=1),
        "program": lambda: program(network, batch)[:, 1:],
        "one pass": lambda: one_pass(network, batch)[:, 1:],
    }
    logits = {form: np.asarray(run()) for form, run in forms.items()}
    largest = np.abs(logits["calls"]).max()
    difference = max(np.abs(logits["calls"] - other).max() / largest for other in logits.values())
    assert difference < 1e-5, difference
    seconds = interleaved(forms, runs=9)
    return {
        "network": name,
        "texts at a time": b,
        "n calls, ms a text": 1e3 * seconds["calls"] / b,
        "n passes in one program": 1e3 * seconds["program"] / b,
        "one pass": 1e3 * seconds["one pass"] / b,
        "faster than n calls": f"{seconds['calls'] / seconds['one pass']:.0f} times",
        "than one program": f"{seconds['program'] / seconds['one pass']:.1f} times",
        "largest difference / largest logit": f"{difference:.0e}",
    }


if __name__ == "__main__":
    main()
