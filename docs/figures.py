"""The README's picture: `python docs/figures.py` writes docs/images/wave.png."""

from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import wave_jax as wj

TOKENS = ["[CLS]", "oil", "prices", "fall", "again"]
W = jnp.array([[0.3, -1.0, -0.9], [2.0, 0.3, 0.0], [1.1, 1.2, 0.9], [-1.4, -2.2, 3.0], [-0.5, 2.0, -1.8]])


def circle(ax, Z, k: int) -> None:
    """The tokens of one dimension: all on the circle of radius G_k, each at its own phase."""
    G = float(wj.magnitude(Z)[0, k])
    arc = np.linspace(0, np.pi, 200)
    ax.plot(G * np.cos(arc), G * np.sin(arc), color="0.75", lw=1)
    ax.axhline(0, color="0.75", lw=1)
    for token, z in zip(TOKENS, np.asarray(Z[:, k]), strict=True):
        ax.plot([0, z.real], [0, z.imag], color="0.6", lw=0.8)
        ax.plot(z.real, z.imag, "o", color="black", ms=4)
        ax.annotate(token, (z.real, z.imag), (z.real * 1.13, z.imag * 1.08), ha="center", fontsize=9)
    ax.set(title=f"dimension {k + 1}:  G = {G:.2f}", xlabel="Re Z = w, the token itself", aspect="equal")
    ax.set(xlim=(-1.4 * G, 1.4 * G), ylim=(-0.1 * G, 1.35 * G))
    ax.spines[["top", "right"]].set_visible(False)


def main() -> None:
    Z = wj.encode(W)
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.7), layout="constrained")
    for k, ax in enumerate(axes):
        circle(ax, Z, k)
    axes[0].set_ylabel("Im Z = s, all the others")
    out = Path(__file__).parent / "images" / "wave.png"
    out.parent.mkdir(exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
