"""What forward and backward hold at the papers' size, beside the formulas as printed, a Transformer, BERT.

    python -m benchmarks.memory                              (about two minutes on 2 cores)

v = 30,522, d = 768, batch 64 of 128 tokens, modulation, [CLS]; nothing is run. Temporary bytes are those of
the compiled gradient (`memory_analysis`), without parameters and gradients. Kept bytes are what `jax.vjp`
keeps from forward to backward, with the parameters it needs again. Writes benchmarks/results/memory.md.
"""

from typing import Any

import jax

from benchmarks.forms import Form, batch, bert, compiled, forms, polar_loss
from benchmarks.report import write
from wave_jax.training.loss import loss

PRINTED = "Wave as printed (polar, every token)"


def nbytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def kept(name: str, form: Form, texts: Any) -> int:
    """Count the bytes that the loss of the form of this name keeps for its backward pass."""
    function = polar_loss if name == PRINTED else loss
    _, vjp = jax.eval_shape(
        lambda network: jax.vjp(lambda network: function(network, texts), network), form.network
    )
    return nbytes(vjp)


def main() -> None:
    texts = batch()
    all_forms = {**forms(), "BERT base": bert()}
    temporary = {
        name: compiled(form, texts).memory_analysis().temp_size_in_bytes for name, form in all_forms.items()
    }
    rows = [
        {
            "form": name,
            "parameters MB": f"{nbytes(form.network) / 1e6:.1f}",
            "temporary MB": f"{temporary[name] / 1e6:.1f}",
            "of as printed": f"{temporary[name] / temporary[PRINTED]:.0%}",
            "less than BERT": f"{1 - temporary[name] / temporary['BERT base']:.2%}",
            "kept for backward MB": f"{kept(name, form, texts) / 1e6:.1f}",
        }
        for name, form in all_forms.items()
    ]
    write("memory", "Forward + backward at the papers' size: memory", rows)


if __name__ == "__main__":
    main()
