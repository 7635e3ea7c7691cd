"""Figures: one function draws one figure from arrays and names, and returns it.

    figure = phase_portrait(wave.encode(w), tokens)
    figure                              # in a notebook
    figure.savefig("wave.png")

All are readable in print without colour: lines differ by dashes and markers too, and shades by their
lightness. Nothing here touches pyplot or a screen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Real
from matplotlib.ticker import EngFormatter, NullFormatter, PercentFormatter

from wave_jax.study import statistics
from wave_jax.study.plot_style import (
    LINES,
    WIDTH,
    ZERO,
    Figure,
    Numbers,
    as_written,
    circle,
    legend,
    line,
    log_ticks,
    name_points,
    note,
    on_circles,
    room,
    shaded_map,
    styled,
)

__all__ = [
    "accuracy_against_parameters",
    "bands",
    "differences",
    "gradient_norms",
    "panels",
    "phase_portrait",
    "scaling",
    "stage_map",
]


@styled
def panels(
    x: Real[Numbers, " x"],
    curves: Mapping[str, Mapping[str, Real[Numbers, " x"]]],
    label: str,
    along: str,
) -> Figure:
    """Draw curves of several models side by side: `curves[panel][model]`, over the same x.

    Args:
      x: values along the axis.
      curves: values of each model, by panel.
      label: what is drawn.
      along: what the axis counts.
    """
    figure = Figure(figsize=(WIDTH, 3), layout="constrained")
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    for ax, (panel, lines) in zip(axes, curves.items(), strict=True):
        for name, values in lines.items():
            line(ax, np.asarray(x), np.asarray(values), name, names.index(name))
        ax.set(title=as_written(panel), xlabel=as_written(along))
    axes[0].set_ylabel(as_written(label))
    legend(figure)
    return figure


@styled
def gradient_norms(
    steps: Real[Numbers, " steps"], norms: Mapping[str, Mapping[str, Float[Numbers, " steps"]]]
) -> Figure:
    """Draw norms of gradients over training: `norms[place][model]`, one panel for every place."""
    figure = panels(steps, norms, "gradient norm (nats per unit)", "step")
    every = np.concatenate([np.ravel(values) for lines in norms.values() for values in lines.values()])
    figure.axes[0].set(ylim=room(every[every > 0], 1.6), yscale="log")
    log_ticks(figure.axes[0].yaxis, "{x:g}")
    return figure


@styled
def stage_map(tokens: Sequence[str], gradients: Mapping[str, Real[Numbers, "n ..."]]) -> Figure:
    """Draw how much gradient each token has at each stage of one text: the norm of `gradients[stage][token]`.

    Of `gradients.by_stage(network, batch, per_text=True)` these are the stages with tokens, of one text.
    Hatched is what is exactly 0: with [CLS] pooling, the waves of all other tokens.
    """
    stages = {name: np.asarray(values).reshape(len(tokens), -1) for name, values in gradients.items()}
    norms = np.stack([np.linalg.norm(values, axis=1) for values in stages.values()], axis=1)
    figure = Figure(figsize=(2.8 + 0.55 * len(stages), 1.2 + 0.23 * len(tokens)), layout="constrained")
    ax = figure.subplots()
    ax.set_xticks(range(len(stages)), map(as_written, stages))
    ax.set_yticks(range(len(tokens)), map(as_written, tokens))
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.set_xlabel("stage", loc="left")
    ax.xaxis.set_label_position("top")
    ax.spines[:].set_visible(False)
    image = shaded_map(ax, norms)
    if norms.any():
        figure.colorbar(image, label="norm of ∂loss/∂stage (nats per unit)")
    if not norms.all():
        figure.legend(handles=[ZERO], loc="outside lower left")
    return figure


@styled
def phase_portrait(
    Z: Complex[Numbers, "n d"], tokens: Sequence[str], dims: Sequence[int] = (0, 1, 2), names: int = 16
) -> Figure:
    """Draw each token of a text as a complex number, one panel for each of some dimensions.

    A wave from `encode` lies on the upper half circle of radius G, the norm of the dimension over the text.
    At most `names` tokens have theirs written: those farthest from the top, where the others crowd.

    Args:
      Z: the wave.
      tokens: name of each token.
      dims: the dimensions to draw.
      names: maximum number of tokens that are named.
    """
    waves: Any = np.asarray(Z)[:, list(dims)]
    shown, size = on_circles(tokens, waves)
    figure = Figure(figsize=(size[0] * len(dims), size[1]), layout="constrained")
    for ax, k, z in zip(figure.subplots(1, len(dims), squeeze=False)[0], dims, waves.T, strict=True):
        circle(ax, z, shown, names, bool(np.all(waves.imag >= 0)))
        ax.set_title(f"dimension {k + 1},  {ax.get_title()}")
    return figure


@styled
def bands(
    steps: Real[Numbers, " steps"],
    curves: Mapping[str, Real[Numbers, "seeds steps"]],
    label: str = "accuracy",
    along: str = "step",
    over: str = "seeds",
) -> Figure:
    """Draw the convergence of several models: the mean over seeds, and its 95 % interval.

    `label` and `along` name the axes, `over` what the rows of a curve are, where it is not seeds.

    Args:
      steps: values along the axis.
      curves: (seeds, steps) values of each model.
      label: what is drawn.
      along: what the axis counts.
      over: what the interval is over.
    """
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    ax = figure.subplots()
    x, most = np.asarray(steps), max(len(values) for values in curves.values())
    for i, (name, values) in enumerate(curves.items()):
        intervals = [statistics.interval(column) for column in np.asarray(values, float).T]
        mean, half = (np.array([getattr(each, part) for each in intervals]) for part in ("mean", "half"))
        line(ax, x, mean, name, i)
        if len(values) > 1:
            ax.fill_between(x, mean - half, mean + half, color=LINES[i % len(LINES)][0], alpha=0.18, lw=0)
    ax.set(xlabel=as_written(along), ylabel=as_written(label))
    if most > 1:
        note(ax, f"mean and its 95 % interval over {most} {over}")
    legend(figure)
    return figure


@styled
def scaling(
    sizes: Real[Numbers, " sizes"],
    costs: Mapping[str, Mapping[str, Real[Numbers, " sizes"]]],
    along: str,
    formulas: Mapping[str, Mapping[str, Real[Numbers, " sizes"]]] | None = None,
) -> Figure:
    """Draw how costs grow with size, both logarithmic: `costs[what][model]`, one panel for every cost.

    A power law is a straight line. Pale and wide below the measured lines are those of `formulas`.

    Args:
      sizes: values along the axis.
      costs: the cost of each model.
      along: what the axis counts.
      formulas: a curve to draw beside the costs, by cost and model.
    """
    across = min(2, len(costs))
    down = -(-len(costs) // across)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.4 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, squeeze=False).ravel()
    names, x = list(dict.fromkeys(name for lines in costs.values() for name in lines)), np.asarray(sizes)
    for ax, (what, lines) in zip(panels, costs.items(), strict=False):
        pale = {} if formulas is None else formulas.get(what, {})
        for name, values in pale.items():
            color = LINES[names.index(name) % len(LINES)][0]
            ax.plot(x, np.asarray(values), color=color, lw=6, alpha=0.25, label="_")
        for name, values in lines.items():
            line(ax, x, np.asarray(values), name, names.index(name))
        every = np.concatenate([np.ravel(values) for values in (*lines.values(), *pale.values())])
        ax.set(title=as_written(what), xscale="log", yscale="log", xlim=room(x, 1.2), ylim=room(every, 1.6))
        ax.set_xticks(x, [f"{size:g}" for size in x])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", which="minor", length=0)
        log_ticks(ax.yaxis, EngFormatter(sep=" "))
    for ax in panels[len(costs) :]:
        ax.set_visible(False)
    figure.supxlabel(as_written(along), fontsize=10)
    legend(figure)
    return figure


@styled
def accuracy_against_parameters(
    models: Mapping[str, tuple[int, float, float]], label: str = "test accuracy"
) -> Figure:
    """Draw what size buys: `models[name]` is (parameters, accuracy as a share of 1, half its interval)."""
    figure = Figure(figsize=(WIDTH, 4), layout="constrained")
    ax = figure.subplots()
    models = {name: (x, y, half if np.isfinite(half) else 0.0) for name, (x, y, half) in models.items()}
    for i, (parameters, accuracy, half) in enumerate(models.values()):
        color, _, marker = LINES[i % len(LINES)]
        ax.errorbar(parameters, accuracy, half, fmt=marker, color=color, ms=7, capsize=3, elinewidth=1)
    longest = float(max(map(len, models)))  # names stand beside their points
    ax.set(xscale="log", xlim=room(np.array([x for x, _, _ in models.values()]), max(5.0, longest)))
    ax.set(xlabel="parameters", ylabel=as_written(label))
    ax.margins(y=0.12)
    log_ticks(ax.xaxis, EngFormatter(sep=" "))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    note(ax, "bars: 95 % interval")
    name_points(figure, ax, models)
    return figure


@styled
def differences(
    models: Mapping[str, Mapping[str, tuple[float, float]]], label: str = "difference, points"
) -> Figure:
    """Draw what changes do to models: `models[name][change]` is (difference, half its interval).

    The axis is straight up to 1 on either side, and logarithmic beyond.
    """
    names = list(dict.fromkeys(name for changes in models.values() for name in changes))
    figure = Figure(figsize=(WIDTH, 1.2 + 0.3 * len(names)), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color="0.4", lw=1, label="_")
    for i, (model, changes) in enumerate(models.items()):
        color, _, marker = LINES[i % len(LINES)]
        x, half = np.array([*changes.values()], float).T
        half = np.where(np.isfinite(half), half, 0)
        y = np.array([names.index(name) for name in changes]) + 0.3 * ((i + 0.5) / len(models) - 0.5)
        ax.plot(x, y, color=color, ls="", marker=marker, label=as_written(model))
        ax.hlines(y, x - half, x + half, color=color, lw=1.2)
    ax.set_xscale("symlog", linthresh=1)
    low, high = ax.get_xlim()
    ticks = [sign * tick for tick in (0.5, 1, 2, 5, 10, 20, 50) for sign in (-1, 1)]
    ax.set_xticks([0, *(tick for tick in ticks if low <= tick <= high)])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_yticks(range(len(names)), map(as_written, names))
    ax.set(ylim=(len(names) - 0.5, -0.5), xlabel=as_written(label))
    note(ax, "bars: 95 % interval")
    legend(figure)
    return figure
