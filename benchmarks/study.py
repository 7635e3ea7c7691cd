"""What a look into the network costs: the gradient study beside a training step, edits beside a forward pass.

    python -m benchmarks.study                       (a minute on 2 cores)

v = 30,522, d = 768, a batch of 32 texts of 64 tokens, modulation, [CLS]. Runs are interleaved in one process,
the median of nine counts. Writes benchmarks/results/study.md.
"""

import os
from collections.abc import Callable, Mapping

import jax

from benchmarks.forms import batch, forms
from benchmarks.report import interleaved, write
from wave_jax.networks.trace import Trace
from wave_jax.study import edits
from wave_jax.study.gradients import by_stage
from wave_jax.study.papers import gradient_study
from wave_jax.training.config import TrainConfig
from wave_jax.training.step import init, step

B, N, RUNS = 32, 64, 9


def main() -> None:
    network, texts = forms(N)["Wave"].network, batch(B, N)
    state, config = init(network), TrainConfig()

    def train() -> object:
        nonlocal state
        state, score = step(state, texts, config, 10**4)
        return score

    compiled = jax.jit(by_stage, static_argnames="per_text")
    backwards = {
        "training step": train,
        "gradient study": lambda: gradient_study(network, texts),
        "derivative by stage": lambda: compiled(network, texts),
        "derivative by stage, of each text": lambda: compiled(network, texts, per_text=True),
    }
    other = jax.jit(lambda: network.trace(texts.ids[::-1], texts.mask).Z2)()
    waves = {
        "trace": None,
        "magnitudes set to 1": edits.scaled(magnitude=0.0),
        "phases shuffled": edits.shuffled(jax.random.key(0), texts.mask),
        "Z2 of another text": other,
    }
    forwards: dict[str, Callable] = {"call": jax.jit(lambda network, texts: network(texts.ids, texts.mask))}
    for name, edit in waves.items():
        stages = Trace(Z2=edit) if name.startswith("Z2") else Trace(Z1=edit, Z2=edit)
        forwards[name] = jax.jit(
            lambda network, texts, stages=stages: network.trace(texts.ids, texts.mask, edit=stages).logits
        )
    passes = {name: lambda of=of: of(network, texts) for name, of in forwards.items()}
    rows = table(backwards, "training step") + table(passes, "trace")
    write(
        "study",
        f"The gradient study and edits, {B} texts of {N} tokens at d = 768",
        rows,
        f"Load average {os.getloadavg()[0]:.1f}.",
    )


def table(runs_of: Mapping[str, Callable], unit: str) -> list[dict[str, object]]:
    seconds = interleaved(runs_of, RUNS)
    return [
        {"what": name, "ms": f"{1e3 * second:.1f}", "times": f"{second / seconds[unit]:.2f} of {unit}"}
        for name, second in seconds.items()
    ]


if __name__ == "__main__":
    main()
