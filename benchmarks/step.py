"""How long forward and backward take at the papers' size: Wave, its formulas as printed, a Transformer, BERT.

    python -m benchmarks.step                     (about ten minutes on 2 cores, most of them BERT's)
    python -m benchmarks.step --without-bert      (two minutes)

v = 30,522, d = 768, batch 64 of 128 tokens, modulation, [CLS]. Runs are interleaved in one process, the
median of seven counts (BERT: of three). The bound is what the operations and bytes that XLA counts would take
at the speed of a plain matrix product and a plain copy here, whichever is longer. Growth is the fitted
exponent of time with the length, one text at a time, as in training. Writes benchmarks/results/step.md.
"""

import os
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.forms import batch, bert, compiled, forms
from benchmarks.report import interleaved, write

LENGTHS = (128, 256, 512, 1024, 2048, 4096)


def median(function: Callable, runs: int) -> float:
    return interleaved({"": function}, runs)[""]


def ceilings() -> tuple[float, float]:
    """Measure the operations a second of a plain matrix product, and the bytes a second of a plain copy."""
    a, long = jnp.ones((2048, 2048)), jnp.ones(2**26)
    product, copy = jax.jit(lambda a: a @ a), jax.jit(lambda x: x + 1)
    seconds = interleaved({"product": lambda: product(a), "copy": lambda: copy(long)}, runs=9)
    return 2 * 2048**3 / seconds["product"], 2 * long.nbytes / seconds["copy"]


def growth(name: str) -> float:
    seconds = []
    for n in LENGTHS:
        form, texts = forms(n)[name], batch(1, n)
        step = compiled(form, texts)
        seconds.append(median(lambda step=step, form=form, texts=texts: step(form.network, texts), 5))
    return float(np.polyfit(np.log(LENGTHS), np.log(seconds), 1)[0])


def main(with_bert: bool) -> None:
    start_load = os.getloadavg()[0]
    texts, all_forms = batch(), forms()
    steps = {name: compiled(form, texts) for name, form in all_forms.items()}
    seconds = interleaved(
        {name: lambda name=name: steps[name](all_forms[name].network, texts) for name in steps}, runs=7
    )
    if with_bert:
        all_forms["BERT base"] = bert()
        steps["BERT base"] = compiled(all_forms["BERT base"], texts)
        seconds["BERT base"] = median(lambda: steps["BERT base"](all_forms["BERT base"].network, texts), 3)
    flops, bytes_ = ceilings()
    exponents = {
        name: growth(name) for name in ("Wave, the table's rows as in training", "Transformer, one layer")
    }
    printed = seconds["Wave as printed (polar, every token)"]
    rows = []
    for name, second in seconds.items():
        cost = steps[name].cost_analysis()
        bound = max(cost["flops"] / flops, cost["bytes accessed"] / bytes_)
        rows.append(
            {
                "form": name,
                "ms": f"{second * 1e3:.0f}",
                "speed, as printed = 1": f"{printed / second:.2f}",
                "less time than BERT": f"{1 - second / seconds['BERT base']:.1%}" if with_bert else "",
                "GFLOP": f"{cost['flops'] / 1e9:.1f}",
                "GB": f"{cost['bytes accessed'] / 1e9:.2f}",
                "bound ms": f"{bound * 1e3:.0f}",
                "bound / time": f"{bound / second:.0%}",
                "growth with n": f"n^{exponents[name]:.2f}" if name in exponents else "",
            }
        )
    notes = (
        f"Matrix product {flops / 1e9:.0f} GFLOP/s, copy {bytes_ / 1e9:.1f} GB/s;"
        f" load average {start_load:.1f} before, {os.getloadavg()[0]:.1f} after."
    )
    write("step", "Forward + backward at the papers' size", rows, notes)


if __name__ == "__main__":
    main(with_bert="--without-bert" not in sys.argv)
