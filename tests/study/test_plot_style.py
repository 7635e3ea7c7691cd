"""How figures look: readable in grey, the same bytes on each run, without a screen."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np

from wave_jax import wave
from wave_jax.study import plot_style, plots

RNG = np.random.default_rng(0)


STEPS = np.arange(0, 200, 10)


MODELS = ("Wave, modulation", "Wave, interference", "integrated gradients", "bag")


TOKENS = ["[CLS]", "oil", "$x_1$", "🌊", "a\\b", "prices", "<b>", "##ing", "fall", "a$", "", "[SEP]"]


W = RNG.normal(size=(12, 4)).astype(np.float32)


MANY = [f"token{i}" for i in range(70)]


Z = np.asarray(wave.encode(jnp.asarray(W)))


def gradients():
    cls = np.zeros((12, 8), complex)
    cls[0] = 1 + 1j
    return {"w": W, "w1": 1e-3 * W, "Z": cls}


COSTS = {
    what: {m: 10.0**i * np.array([64.0, 128, 1024]) ** i for i, m in enumerate(MODELS)}
    for what in ("bytes", "operations", "seconds")
}


FIGURES = {
    "gradient norms": lambda: plots.gradient_norms(
        STEPS, {place: {m: np.exp(RNG.normal(size=20)) for m in MODELS} for place in ("[CLS]", "text")}
    ),
    "stage map": lambda: plots.stage_map(TOKENS, gradients()),
    "one wave": lambda: plots.phase_portrait(Z, TOKENS),
    "a modulation": lambda: plots.phase_portrait(Z * Z[:, ::-1], TOKENS, dims=(1, 3)),
    "an interference": lambda: plots.phase_portrait(Z + Z[:, ::-1], TOKENS, dims=(0,)),
    "a long text": lambda: plots.phase_portrait(wave.encode(jnp.asarray(RNG.normal(size=(70, 3)))), MANY),
    "bands": lambda: plots.bands(STEPS, {m: RNG.uniform(size=(5, 20)) for m in MODELS}),
    "costs": lambda: plots.scaling(
        np.array([64, 128, 1024]), COSTS, "text length", {"bytes": COSTS["bytes"]}
    ),
    "changes": lambda: plots.differences(
        {
            m: {"real part": (-67.0, 0.5), "2 layers": (0.3 - i, 0.4), "bag": (0, 3)}
            for i, m in enumerate(MODELS)
        }
    ),
    "sizes": lambda: plots.accuracy_against_parameters(
        {m: (2_400_000 + 100_000 * i, 0.91 + 0.001 * i, 0.002) for i, m in enumerate((*MODELS, "BERT"))}
    ),
}


def test_equal_figures_are_equal_files():
    assert plot_style.png(FIGURES["one wave"](), 50) == plot_style.png(FIGURES["one wave"](), 50)


def test_shades_grow_darker_all_the_way():
    rgb = plot_style.matplotlib.colormaps[plot_style.SHADES](np.linspace(0, 1, 64))[:, :3]
    assert np.all(np.diff(rgb @ [0.2126, 0.7152, 0.0722]) < 0)


def test_no_screen_and_no_pyplot_are_needed():
    code = (
        "import sys; from wave_jax.study import plot_style, plots;"
        "plot_style.png(plots.bands([0, 1], {'a': [[1.0, 2.0]]}))"
    )
    check = "; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code + check], check=True)
