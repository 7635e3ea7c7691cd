"""The README's picture: `python docs/figures.py` writes docs/images/wave.png."""

from pathlib import Path

import jax.numpy as jnp

import wave_jax as wj

TOKENS = ["[CLS]", "oil", "prices", "fall", "again"]
W = jnp.array([[0.3, -1.0, -0.9], [2.0, 0.3, 0.0], [1.1, 1.2, 0.9], [-1.4, -2.2, 3.0], [-0.5, 2.0, -1.8]])


def main() -> None:
    out = Path(__file__).parent / "images" / "wave.png"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(wj.plots.png(wj.plots.phase_portrait(wj.encode(W), TOKENS)))


if __name__ == "__main__":
    main()
