"""Which way to the norm of the others: subtraction, prefix and suffix sums, or the dominating token apart?

    python -m benchmarks.encode                    (about one minute on 2 cores)

For every token j and dimension k, s_jk² = Σ_{m≠j} w_mk². Time is forward + backward of Σ s under jit, the
median of interleaved runs; error is the largest relative error of s in float32 against float64, on normal
numbers and on texts that one token dominates by a factor of 10,000. Writes benchmarks/results/encode.md.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.report import interleaved, write
from wave_jax.numerics import safe_sqrt
from wave_jax.wave import encode

SHAPE = (64, 128, 768)  # the papers' batch, length and width


def subtraction(w):
    w2 = w * w
    return safe_sqrt(jnp.sum(w2, axis=-2, keepdims=True) - w2)


def prefix_and_suffix(w):
    w2 = jnp.pad(w * w, ((0, 0), (1, 1), (0, 0)))
    before, after = jax.lax.cumsum(w2, axis=1), jax.lax.cumsum(w2, axis=1, reverse=True)
    return safe_sqrt(before[:, :-2] + after[:, 2:])


def dominating_token_apart(w):
    return encode(w).imag


def cls_row_alone(w):
    return encode(w, rows=(0,)).imag


FORMS = {
    "subtraction G² - w²": subtraction,
    "prefix + suffix sums": prefix_and_suffix,
    "dominating token apart (`encode`)": dominating_token_apart,
    "[CLS] row alone (`encode(rows=(0,))`)": cls_row_alone,
}


def oracle(w: np.ndarray) -> np.ndarray:
    """Compute Σ over the others in float64, by leaving one out n times."""
    w2 = w.astype(np.float64) ** 2
    return np.sqrt(np.stack([np.delete(w2, j, axis=-2).sum(axis=-2) for j in range(w.shape[-2])], axis=-2))


def worst_error(form, w: np.ndarray) -> float:
    got, want = np.asarray(form(jnp.asarray(w))), oracle(w)
    return float(np.max(abs(got - want[:, : got.shape[1]]) / want[:, : got.shape[1]]))


def main() -> None:
    rng = np.random.default_rng(0)
    w = jnp.asarray(rng.normal(size=SHAPE), jnp.float32)
    plain = rng.normal(size=(4, 32, 64)).astype(np.float32)
    dominated = plain * np.where(np.arange(32)[:, None] == rng.integers(0, 32, (4, 1, 64)), 1e4, 1).astype(
        np.float32
    )
    steps = {name: jax.jit(jax.grad(lambda w, form=form: jnp.sum(form(w)))) for name, form in FORMS.items()}
    seconds = interleaved({name: lambda step=step: step(w) for name, step in steps.items()}, runs=9)
    rows = [
        {
            "form": name,
            "ms": f"{seconds[name] * 1e3:.1f}",
            "worst relative error": f"{worst_error(form, plain):.1e}",
            "with a dominating token": f"{worst_error(form, dominated):.1e}",
        }
        for name, form in FORMS.items()
    ]
    write("encode", f"Forward + backward of the norm of the others, {SHAPE} float32", rows)


if __name__ == "__main__":
    main()
