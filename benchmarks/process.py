"""What a user meets of a training: peak memory and time of a whole process, at the papers' size.

    python -m benchmarks.process                       (half an hour on 2 cores, nearly all of it BERT base's)

One process after the other trains a few steps of 64 texts of 128 tokens by `fit`: the Wave Network, a
Transformer of one layer, a BERT of MiniLM-L6's size and BERT base, all from a random start. P1's abstract
claims 77.34 % less memory and 85.62 % less time than BERT base; `benchmarks.memory` and `benchmarks.step`
read that as a step's, this as a process'. The interpreter and the libraries are in it, as for a user.
"""

import json
import resource
import statistics
import subprocess
import sys

import numpy as np
from flax import nnx

from benchmarks import report
from benchmarks.forms import B, C, N, V
from wave_jax.data.batches import TokenArrays
from wave_jax.networks.bert import BERT_BASE, BertConfig
from wave_jax.networks.transformer import TransformerConfig
from wave_jax.networks.wave_network import PAPER_MODULATION
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import fit

NETWORKS = {
    "Wave": PAPER_MODULATION,
    "Transformer, one layer": TransformerConfig(max_length=N),
    "MiniLM-L6's size": BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    ),
    "BERT base": BERT_BASE,
}
STEPS = {"BERT base": 3}  # else
FEW = 12


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(train(sys.argv[1])))
        return
    found = {name: in_a_process(name) for name in NETWORKS}
    base = found["BERT base"]
    rows = [
        {"network": name}
        | {"peak MB": f"{of['peak']:.0f}", "ms a step": f"{1e3 * of['seconds']:.0f}"}
        | {"less memory than BERT base": less(of, base, "peak"), "less time": less(of, base, "seconds")}
        for name, of in found.items()
    ]
    report.write("process", "A whole training process at the papers' size", rows)


def in_a_process(name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.process", name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def train(name: str) -> dict[str, float]:
    """Train one network; return the peak of resident memory in MB, and the median seconds of a step."""
    steps = STEPS.get(name, FEW)
    rng = np.random.default_rng(0)
    tokens = TokenArrays(
        rng.integers(0, V, steps * B * N).astype(np.uint16),
        np.arange(steps * B + 1) * N,
        rng.integers(0, C, steps * B).astype(np.int32),
    )
    network = NETWORKS[name].build(v=V, c=C, rngs=nnx.Rngs(0))
    seconds = [
        B / record.texts_per_second
        for _, record in fit(network, tokens, TrainConfig(batch=B, steps=steps), every=1)
    ]
    # Linux counts in KB. The first step is with compiling.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak": peak, "seconds": statistics.median(seconds[1:])}


def less(of: dict[str, float], base: dict[str, float], what: str) -> str:
    return f"{100 * (1 - of[what] / base[what]):.1f}%"


if __name__ == "__main__":
    main()
