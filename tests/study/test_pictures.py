"""Pictures of one text: what is drawn is the norms, phases and shares of its stages, and its places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from tiny import BATCH, CONFIGS, build

from wave_jax.networks.trace import Trace
from wave_jax.study import pictures
from wave_jax.study.gradients import by_stage
from wave_jax.study.shares import magnitude_share

TOKENS = ["[CLS]", "oil", "$x$", "fall", "again", "[SEP]"]


@jax.jit
def there_and_back(network, one):
    both = network.trace(*one[:2]), by_stage(network, one)
    return jax.tree.map(lambda x: x[0], both)


@pytest.fixture(scope="module")
def modulation():
    one = jax.tree.map(lambda x: x[:1], BATCH)
    return jax.device_get(there_and_back(build(CONFIGS["modulation"]), one))


def maps(figure):
    """Both maps, without the colour bars, as arrays of norms."""
    assert not any(isinstance(each, QuadMesh) for ax in figure.axes[:2] for each in ax.collections)
    return [ax.images[0].get_array() for ax in figure.axes[:2]]


def names(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


def test_a_flow_shades_the_norms_there_and_back(modulation):
    trace, back = modulation
    figure = pictures.flow(TOKENS, trace, back)
    forwards, backwards = maps(figure)
    stages = ["w", "w1", "w2", "Z1", "Z2", "Z", "x", "h", "logits"]
    assert names(figure.axes[0]) == stages
    assert names(figure.axes[1]) == stages[::-1]
    for i, name in enumerate(stages):
        for found, given in ((forwards[:, i], trace), (backwards[:, -1 - i], back)):
            stage = getattr(given, name)
            want = [np.sqrt(np.sum(np.abs(row) ** 2)) for row in np.broadcast_to(stage, (6, stage.shape[-1]))]
            np.testing.assert_allclose(found.filled(0), want, rtol=1e-6)
    assert backwards.mask[:, names(figure.axes[1]).index("Z")].tolist() == [False] + 5 * [True]
    assert figure.legends[0].get_texts()[0].get_text() == "exactly 0"


def test_a_flow_shows_phases_and_shares_below_their_waves(modulation):
    trace, back = modulation
    figure = pictures.flow(TOKENS, trace, back)
    phases, shares = figure.axes[2:4]
    assert (names(phases), names(shares)) == (["Z1", "Z2", "Z"], ["Z", "Z2", "Z1"])
    others, first = phases.get_lines()[4:6]  # of Z
    alpha = np.angle(trace.Z1) + np.angle(trace.Z2)
    np.testing.assert_allclose(first.get_ydata(), alpha[0] / np.pi, rtol=1e-5)
    np.testing.assert_allclose(others.get_ydata(), alpha[1:].ravel() / np.pi, rtol=1e-5)
    assert phases.get_ylim()[1] > 2
    assert others.get_xdata().min() > 4.5
    assert others.get_xdata().max() < 5.5
    bars = shares.patches
    for (magnitude, phase), name in zip(zip(bars[::2], bars[1::2], strict=True), names(shares), strict=True):
        share = float(magnitude_share(*(jnp.asarray(getattr(each, name)) for each in (trace, back))))
        assert magnitude.get_height() == pytest.approx(100 * share, rel=1e-5)
        assert phase.get_y() + phase.get_height() == pytest.approx(100)
        assert phase.get_hatch()  # grey tells the two apart


def test_a_flow_of_other_networks_has_the_stages_that_they_have(modulation):
    trace, _ = modulation
    twice = Trace(*((stage, stage) for stage in trace))._replace(w=trace.w, h=trace.h, logits=trace.logits)
    of_two_layers = pictures.flow(TOKENS, twice, twice)
    assert [found.shape for found in maps(of_two_layers)] == [(6, 15)] * 2
    assert names(of_two_layers.axes[3]) == [f"{wave} ({i})" for i in (2, 1) for wave in ("Z", "Z2", "Z1")]
    few = Trace(w=trace.w, h=trace.h, logits=trace.logits)
    without_waves = pictures.flow(TOKENS, few, few)
    assert [found.shape for found in maps(without_waves)] == [(6, 3)] * 2
    assert len(without_waves.axes) == 4  # two maps and their bars of colour


def test_a_flow_of_a_batch_or_of_two_texts_is_refused(modulation):
    trace, back = modulation
    with pytest.raises(ValueError, match=r"stage w must be of one text of 6 tokens, got \(1, 6, 6\): take"):
        pictures.flow(TOKENS, jax.tree.map(lambda x: x[None], trace), back)
    with pytest.raises(ValueError, match=r"stage w must be of one text of 5 tokens, got \(6, 6\)"):
        pictures.flow(TOKENS[:5], trace, back)
    with pytest.raises(ValueError, match=r"trace and back must have the same stages, got w, w1, .* and w"):
        pictures.flow(TOKENS, trace, Trace(w=back.w))


def test_portraits_show_every_moment_and_where_tokens_were_before(modulation):
    trace, _ = modulation
    later = trace.Z1 * np.exp(-0.1j * np.angle(trace.Z1)) * 2
    figure = pictures.phase_portraits({"before": trace.Z1, "after": later}, TOKENS, dims=(1, 4))
    assert len(figure.axes) == 4
    for row, (moment, Z) in enumerate({"before": trace.Z1, "after": later}.items()):
        for i, k in enumerate((1, 4)):
            ax = figure.axes[2 * row + i]
            G = np.abs(Z[:, k]).max()
            assert ax.get_title() == f"{moment}: dimension {k + 1},  G = {G:.3g}"
            dots, *before = (line.get_data() for line in ax.get_lines() if line.get_marker() == "o")
            np.testing.assert_allclose(dots[0] + 1j * dots[1], Z[:, k] / G, rtol=1e-5)
            assert len(before) == row
            if before:
                first = trace.Z1[:, k] / np.abs(trace.Z1[:, k]).max()
                np.testing.assert_allclose(before[0][0] + 1j * before[0][1], first, rtol=1e-5)
    assert not pictures.phase_portraits({"one": trace.Z1}, TOKENS).legends
