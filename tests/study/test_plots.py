"""Figures: what is drawn is what was given, names do not cover each other, and print needs no colour."""

import io

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from wave_jax import wave
from wave_jax.networks.trace import Trace
from wave_jax.study import pictures, plot_style, plots, statistics

RNG = np.random.default_rng(0)
STEPS = np.arange(0, 200, 10)
MODELS = ("Wave, modulation", "Wave, interference", "integrated gradients", "bag")
TOKENS = ["[CLS]", "oil", "$x_1$", "🌊", "a\\b", "prices", "<b>", "##ing", "fall", "a$", "", "[SEP]"]
W = RNG.normal(size=(12, 4)).astype(np.float32)
MANY = [f"token{i}" for i in range(70)]
Z = np.asarray(wave.encode(jnp.asarray(W)))
TRACE = Trace(w=W, w1=W, w2=W, Z1=Z, Z2=Z, Z=Z * Z, x=W, h=W[0], logits=W[0])


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
    "before and after": lambda: pictures.phase_portraits({"before": Z, "after": -np.conj(Z)}, TOKENS),
    "there and back": lambda: pictures.flow(TOKENS, TRACE, TRACE),
    "without waves": lambda: pictures.flow(TOKENS, Trace(w=W, h=W[0]), Trace(w=W, h=W[0])),
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


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_covers_another_or_leaves_the_figure(name, monkeypatch):
    drawn, draw = {}, Text.draw
    monkeypatch.setattr(Text, "draw", lambda text, renderer: (drawn.update({text: 0}), draw(text, renderer)))
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    texts = [text for text in drawn if text.get_text().strip()]
    assert len(texts) > 5
    for text in texts:
        assert figure.bbox.padded(1).containsx(text.get_window_extent().x0), text.get_text()
        assert figure.bbox.padded(1).containsx(text.get_window_extent().x1), text.get_text()
    corners = {text: corners_of(text) for text in texts}
    for i, a in enumerate(texts):
        for b in texts[i + 1 :]:
            assert apart(corners[a], corners[b]), (a.get_text(), b.get_text())


def corners_of(text):
    """The corners of a text's box, turned as the text is."""
    anchor, turn = 0j, 1 + 0j
    if text.get_rotation_mode() == "anchor":
        anchor = complex(*text.get_transform().transform(text.get_position()))
        turn = np.exp(1j * np.radians(text.get_rotation()))
        text.set_rotation(0)
    box = text.get_window_extent()
    return anchor + (np.array([complex(x, y) for x, y in box.corners()]) - anchor) * turn


def apart(a, b, slack=1.5):
    """Whether a line separates two boxes: one of their own sides' directions does, if any."""
    sides = [c[k] - c[0] for c in (a, b) for k in (1, 2)]
    spans = [[(c * np.conj(side / abs(side))).real for c in (a, b)] for side in sides if abs(side)]
    return any(x.max() < y.min() + slack or y.max() < x.min() + slack for x, y in spans)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_picture_and_pyplot_knows_nothing_of_it(name):
    before = dict(plt.rcParams)
    figure = FIGURES[name]()
    picture = imread(io.BytesIO(figure._repr_png_()))
    assert picture[..., :3].std() > 0.02
    assert picture.shape[1] == pytest.approx(100 * figure.get_size_inches()[0], abs=1)
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def test_lines_differ_by_dashes_and_markers_and_carry_the_numbers():
    norms = {"[CLS]": {m: np.exp(RNG.normal(size=20)) for m in MODELS}, "text": {"bag": np.ones(20)}}
    first, second = plots.gradient_norms(STEPS, norms).axes
    lines = {line.get_label(): line for line in first.get_lines()}
    for m in MODELS:
        np.testing.assert_array_equal(lines[m].get_ydata(), norms["[CLS]"][m])
    assert len({str(line._unscaled_dash_pattern) for line in lines.values()}) == len(MODELS)
    assert len({line.get_marker() for line in lines.values()}) == len(MODELS)
    (bag,) = second.get_lines()  # one name, one look, in every panel
    assert (bag.get_color(), bag.get_marker()) == (lines["bag"].get_color(), lines["bag"].get_marker())


@pytest.mark.parametrize("values", [[1.0, 1.0], [2.1, 4.9], [3e-4, 0.9], [0.0, 3.0], [0.0, 0.0]])
def test_a_logarithmic_axis_always_has_ticks_that_are_written_out(values):
    ax = plots.gradient_norms(np.arange(2), {"[CLS]": {"wave": np.array(values)}}).axes[0]
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.yaxis.get_majorticklocs() if low <= tick <= high]
    assert 1 <= len(ticks) <= 8
    assert all("times" not in text.get_text() for text in ax.get_yticklabels(which="both"))


def test_a_stage_map_holds_the_norms_and_marks_exact_zeros():
    figure = plots.stage_map(TOKENS, gradients())
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown[:, 0], np.linalg.norm(W, axis=1), rtol=1e-6)
    assert shown[0, 2] == 4
    assert shown.mask.tolist() == [[False, False, j > 0] for j in range(12)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exactly 0"]
    assert not plots.stage_map(TOKENS, {"w": W}).legends
    plot_style.png(plots.stage_map(["a"], {"w": np.zeros((1, 2))}))


def test_points_lie_on_the_circle_at_their_phases():
    ax = plots.phase_portrait(Z, TOKENS, dims=(2,)).axes[0]
    (points,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
    x, y = points.get_data()
    np.testing.assert_allclose(np.hypot(x, y), 1, rtol=1e-5)
    np.testing.assert_allclose(np.arctan2(y, x), np.angle(Z[:, 2]), rtol=1e-4)
    assert ax.get_title() == f"dimension 3,  G = {np.linalg.norm(W[:, 2]):.3g}"
    other = FIGURES["an interference"]().axes[0]
    assert "max |Z|" in other.get_title()
    assert (ax.get_xlabel(), other.get_xlabel()) == ("Re Z / G", "Re Z / max |Z|")


def test_only_the_outermost_tokens_of_a_long_text_are_named():
    w = RNG.normal(size=(70, 1)).astype(np.float32)
    ax = plots.phase_portrait(wave.encode(jnp.asarray(w)), MANY, dims=(0,), names=5).axes[0]
    outermost = np.argsort(-np.abs(w[:, 0]))[:5]
    assert {text.get_text() for text in ax.texts} == {MANY[j] for j in outermost}


def test_names_are_shown_as_they_are():
    texts = [text.get_text() for text in FIGURES["one wave"]().axes[0].texts]
    assert {r"\$x_1\$", "□", "a\\b", "<b>", r"a\$"} <= set(texts)


def test_a_band_is_the_interval_of_the_mean():
    values = RNG.uniform(size=(5, 20))
    ax = plots.bands(STEPS, {"wave": values, "one seed": values[:1]}).axes[0]
    (band,) = ax.collections
    mean, _, half = statistics.interval(values[:, 7])
    edge = band.get_paths()[0].vertices
    assert sorted(set(edge[edge[:, 0] == 70, 1])) == pytest.approx([mean - half, mean + half])
    assert ax.get_lines()[0].get_ydata()[7] == pytest.approx(mean)


def test_costs_are_drawn_over_their_formulas():
    first, second, *_ = FIGURES["costs"]().axes
    assert (first.get_xscale(), first.get_yscale()) == ("log", "log")
    lines = [line for line in first.get_lines() if line.get_label() == "bag"]
    np.testing.assert_array_equal(lines[0].get_ydata(), COSTS["bytes"]["bag"])
    assert [len(ax.get_lines()) for ax in (first, second)] == [2 * len(MODELS), len(MODELS)]
    shown = [text.get_text() for text in FIGURES["costs"]().legends[0].get_texts()]
    assert shown == list(MODELS)  # each once, and no formula


def test_a_change_stands_on_its_row_with_its_interval():
    given = {"wave": {"a": (-20.0, 5.0), "b": (0.5, np.inf)}, "bag": {"b": (2.0, 1.0)}}
    ax = plots.differences(given).axes[0]
    rows = [text.get_text() for text in ax.get_yticklabels()]
    for (changes, line), bars in zip(
        zip(given.values(), ax.get_lines()[1:], strict=True), ax.collections, strict=True
    ):
        assert line.get_xdata().tolist() == [x for x, _ in changes.values()]
        assert [rows[round(y)] for y in line.get_ydata()] == [*changes]
        ends = [np.ptp(path.vertices[:, 0]) for path in bars.get_paths()]
        assert ends == [2 * half if np.isfinite(half) else 0 for _, half in changes.values()]


def test_one_seed_has_no_interval():
    figure = plots.accuracy_against_parameters({"wave": (1000, 0.9, np.inf), "bag": (2000, 0.8, 0.01)})
    plot_style.png(figure, 50)
    assert figure.axes[0].get_ylim()[1] < 1
