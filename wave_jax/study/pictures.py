"""Pictures of one text: its stages there and back, and its tokens on the circle before and after training.

    trace, back = network.trace(ids, mask), by_stage(network, batch)     # of a batch of one text
    flow(tokens, *jax.tree.map(lambda stage: stage[0], (trace, back)))

As in `plots`, one function draws one figure and returns it, and print needs no colour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from wave_jax.networks.trace import Trace
from wave_jax.study.plot_style import (
    LINES,
    WIDTH,
    ZERO,
    Figure,
    Numbers,
    as_written,
    circle,
    log_ticks,
    note,
    on_circles,
    shaded_map,
    styled,
)
from wave_jax.study.shares import magnitude_share

__all__ = ["flow", "phase_portraits"]

Stages = Mapping[str, np.ndarray]

_HOLLOW: Any = {"marker": "o", "ls": "", "color": "0.45", "mfc": "none", "mew": 0.8}
_PARTS = (  # of a gradient at a wave
    Patch(facecolor="0.3", edgecolor="0.3", label="moves the magnitude"),
    Patch(facecolor="white", edgecolor="0.3", hatch="....", label="moves the phase"),
)


@styled
def flow(tokens: Sequence[str], trace: Trace, back: Trace) -> Figure:
    """Draw one text's way to the logits, and the way of its loss back, both from left to right.

    Shades are norms: of each token at each stage, and of the whole text at h and at the logits. Below the
    waves are their phases, a column of dots a dimension, and how much of the squared gradient moves the
    magnitude, how much the phase.

    Args:
      tokens: name of each token.
      trace: the stages of the text, without a batch axis.
      back: the derivatives by them, as `by_stage` returns them.
    """
    there, again = _stages(trace, len(tokens)), _stages(back, len(tokens))
    if {name: x.shape for name, x in there.items()} != {name: x.shape for name, x in again.items()}:
        raise ValueError(
            f"trace and back must have the same stages, got {', '.join(there)} and {', '.join(again)}."
        )
    waves = any(map(np.iscomplexobj, there.values()))
    size = max(1.2 * WIDTH, 1.4 + 0.95 * len(there)), 1.5 + 0.23 * len(tokens) + 2 * waves
    figure = Figure(figsize=size, layout="constrained")
    heights = (0.7 + 0.23 * len(tokens), 1.6)[: 1 + waves]
    axes = figure.subplots(1 + waves, 2, squeeze=False, height_ratios=heights)
    again = dict(reversed(again.items()))
    _norms(figure, axes[0, 0], tokens, there, "forwards →   norm of the stage")
    label = "backwards →   norm of ∂loss/∂stage (nats per unit)"
    _norms(figure, axes[0, 1], [""] * len(tokens), again, label)
    handles = [ZERO] if any(not np.all(_by_token(x, 1)) for x in again.values()) else []
    if waves:
        _phases(axes[1, 0], there)
        _shares(axes[1, 1], again, there)
        handles += _PARTS
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), handlelength=2)
    return figure


@styled
def phase_portraits(
    waves: Mapping[str, Complex[Numbers, "n d"]],
    tokens: Sequence[str],
    dims: Sequence[int] = (0, 1, 2),
    names: int = 16,
) -> Figure:
    """Draw the tokens of one text at several moments, as before and after training: a row for each.

    Every row is drawn as `plots.phase_portrait` has it. Hollow dots show where the tokens were a row above.

    Args:
      waves: the wave at each moment, by its name.
      tokens: name of each token.
      dims: the dimensions to draw.
      names: maximum number of tokens that are named.
    """
    chosen: dict[str, Any] = {name: np.asarray(Z)[:, list(dims)] for name, Z in waves.items()}
    every: Any = np.concatenate([*chosen.values()])
    shown, (width, height) = on_circles(tokens, every)
    size = width * len(dims), height * len(chosen) + 0.4 * (len(chosen) > 1)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(chosen), len(dims), squeeze=False)
    before: list[Any] = [None] * len(dims)
    for row, (moment, Z) in zip(axes, chosen.items(), strict=True):
        for i, (ax, k, z) in enumerate(zip(row, dims, Z.T, strict=True)):
            above, before[i] = before[i], circle(ax, z, shown, names, bool(np.all(every.imag >= 0)))
            if above is not None:
                ax.plot(above.real, above.imag, **_HOLLOW, zorder=2)
            ax.set_title(f"{as_written(moment)}: dimension {k + 1},  {ax.get_title()}")
    if len(chosen) > 1:
        figure.legend(handles=[Line2D([], [], **_HOLLOW, label="a row above")], loc="outside lower right")
    return figure


# --- the parts of a flow ------------------------------------------------------------------------------------


def _stages(trace: Trace, n: int) -> dict[str, np.ndarray]:
    """Return the stages that a trace has, layer by layer, under their names."""
    layers = max((len(stage) for stage in trace if isinstance(stage, tuple)), default=1)
    inner = Trace._fields[1:-2]
    named: dict[str, Any] = {"w": trace.w}
    for i in range(layers):
        for name in inner:
            stage = getattr(trace, name)
            at = name if layers == 1 else f"{name} ({i + 1})"
            named[at] = stage[i] if isinstance(stage, tuple) else stage
    named |= {"h": trace.h, "logits": trace.logits}
    found = {name: np.asarray(stage) for name, stage in named.items() if stage is not None}
    for name, stage in found.items():
        whole = name in ("h", "logits")
        if stage.ndim != 2 - whole or (not whole and len(stage) != n):
            raise ValueError(
                f"The stage {name} must be of one text of {n} tokens, got {stage.shape}: take stage[0] of a"
                " batch, and the tokens alone of a padded text."
            )
    return found


def _by_token(stage: np.ndarray, n: int) -> np.ndarray:
    """Return the norm at every token; that of a stage of the whole text n times."""
    norms = np.linalg.norm(np.atleast_2d(stage), axis=1)
    return norms if stage.ndim == 2 else np.repeat(norms, n)


def _norms(figure: Figure, ax: Axes, tokens: Sequence[str], stages: Stages, label: str) -> None:
    """Shade the norm of each token at each stage."""
    norms = np.stack([_by_token(stage, len(tokens)) for stage in stages.values()], axis=1)
    image = shaded_map(ax, norms)
    ax.set_xticks(range(len(stages)), map(as_written, stages))
    ax.set_yticks(range(len(tokens)), map(as_written, tokens))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if norms.any():
        bar = figure.colorbar(image, ax=ax, location="top", label=label, fraction=0.06, aspect=30)
        log_ticks(bar.ax.xaxis, "{x:g}")


def _under(ax: Axes, stages: Stages) -> list[int]:
    """Give a panel the columns of the map above it, and return those of waves."""
    waves = [i for i, stage in enumerate(stages.values()) if np.iscomplexobj(stage)]
    names = list(stages)
    ax.set_xticks(waves, [as_written(names[i]) for i in waves])
    ax.set_xlim(-0.5, len(stages) - 0.5)
    ax.tick_params(axis="x", length=0)
    ax.grid(False, axis="x")
    return waves


def _phases(ax: Axes, stages: Stages) -> None:
    """Draw the phase of every token in every dimension of each wave; that of [CLS], the first, black."""
    high = 1
    for i in _under(ax, stages):
        alpha = np.angle([*stages.values()][i]) / np.pi % 2  # a product of waves has phases up to 2π
        high = max(high, 1 + bool(alpha.max(initial=0) > 1))
        d = alpha.shape[1]
        x = np.broadcast_to(i - 0.4 + 0.8 * (np.arange(d) + 0.5) / d, alpha.shape)
        ax.plot(x[1:].ravel(), alpha[1:].ravel(), ".", color="0.6", ms=2.5, mew=0, label="_")
        ax.plot(x[0], alpha[0], LINES[3][2], color="black", ms=2.5, mew=0, label="_")
    ax.set(ylim=(-0.05 * high, 1.05 * high), ylabel="phase (rad)")
    ax.set_yticks([0, 0.5 * high, high], ["0", "π/2", "π"] if high == 1 else ["0", "π", "2π"])
    note(ax, "black: the first token")


def _shares(ax: Axes, back: Stages, there: Stages) -> None:
    """Draw how much of the squared gradient at each wave moves the magnitude, and how much the phase."""
    magnitude, phase = _PARTS
    for i in _under(ax, back):
        name, by_Z = [*back.items()][i]
        share = 100 * float(magnitude_share(*map(jnp.asarray, (there[name], by_Z))))
        ax.bar(i, share, 0.8, color=magnitude.get_facecolor(), edgecolor="0.3")
        ax.bar(i, 100 - share, 0.8, share, color="white", edgecolor="0.3", hatch=phase.get_hatch())
        ax.text(i, 104, f"{share:.0f} %", ha="center", fontsize=8.5)
    ax.set(ylim=(0, 120), yticks=(0, 50, 100), ylabel="share (%)")
    note(ax, "of the squared gradient")
