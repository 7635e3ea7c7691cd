"""How the figures look: colours, lines and markers readable in grey, axes, legends and PNG bytes."""

import io
from collections.abc import Mapping, Sequence
from functools import cache, wraps
from typing import Any

import jax
import matplotlib
import numpy as np
from jaxtyping import Complex, Float, Real
from matplotlib import figure, font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox

__all__ = [
    "LINES",
    "SHADES",
    "WIDTH",
    "ZERO",
    "Figure",
    "Numbers",
    "as_written",
    "circle",
    "legend",
    "line",
    "log_ticks",
    "name_phases",
    "name_points",
    "note",
    "on_circles",
    "png",
    "room",
    "shaded_map",
    "styled",
]

Numbers = jax.Array | np.ndarray


# Okabe and Ito's colours, which all eyes can distinguish, each with dashes and a marker of its own.
LINES = (
    ("#0072B2", "-", "o"),
    ("#D55E00", (0, (5, 2)), "s"),
    ("#009E73", (0, (4, 1.5, 1, 1.5)), "^"),
    ("#000000", (0, (1, 1.5)), "D"),
    ("#CC79A7", (0, (8, 2)), "v"),
    ("#E69F00", (0, (6, 1.5, 1, 1.5, 1, 1.5)), "P"),
)


SHADES = "cividis_r"  # dark is much


WIDTH = 7.2  # inches


_HATCHED: Any = {"hatch": "/////", "edgecolor": "0.7", "facecolor": "white"}
ZERO = Patch(**_HATCHED, label="exactly 0")


class Figure(figure.Figure):
    """A Matplotlib figure that also shows itself in a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self, dpi=100)


def png(figure: figure.Figure, dpi: int = 150) -> bytes:
    """Write a figure as PNG; equal figures give equal bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()


def styled(draw):
    """Make a drawing function draw in the library's style, whatever the style of its caller."""

    @wraps(draw)
    def styled(*args: Any, **settings: Any) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **settings)

    return styled


def line(ax: Axes, x: np.ndarray, y: np.ndarray, name: str, i: int) -> None:
    """Draw the i-th line; its markers are between those of the others.

    Args:
      ax: where to draw.
      x: values along the axis.
      y: values of the line.
      name: what the legend says.
      i: number of the line, which decides colour, dashes and marker.
    """
    color, dashes, marker = LINES[i % len(LINES)]
    every = max(1, len(x) // 8)
    start = i * every // len(LINES) % every
    ax.plot(x, y, color=color, ls=dashes, marker=marker, markevery=(start, every), label=as_written(name))


def room(values: Real[np.ndarray, " n"], factor: float) -> tuple[float, float]:
    """Return the limits of a logarithmic axis; with a factor of 1.6 or more, a tick lies between them."""
    return (values.min() / factor, values.max() * factor) if len(values) else (0.1, 10.0)


def log_ticks(axis: Axis, formatter: Any) -> None:
    """Set ticks at 1, 2, 5, 10 if the axis is short, else at powers of ten, written out."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure) -> None:
    """Write what each line is, above all panels, in as many columns as fit."""
    every = [line for ax in figure.axes for line in ax.get_lines()]
    lines = {name: line for line in every if not (name := str(line.get_label())).startswith("_")}
    column = 0.9 + 0.085 * max(map(len, lines), default=0)  # inches
    fit = max(1, int(figure.get_figwidth() / column))
    figure.legend(handles=list(lines.values()), loc="outside upper left", ncols=min(fit, len(lines)))


def note(ax: Axes, text: str) -> None:
    """Write a small note at the upper right of a panel."""
    ax.set_title(text, loc="right", fontsize=8.5, color="0.35")


def as_written(name: str) -> str:
    """Escape a name: dollars start no formula, and characters that the font lacks become boxes."""
    known = _characters()
    return "".join(c if ord(c) in known else "□" for c in str(name)).replace("$", r"\$")


@cache
def _characters() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.edgecolor": "0.4",
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.handlelength": 3.5,
    "hatch.linewidth": 0.5,
}


def shaded_map(ax: Axes, norms: Real[np.ndarray, "rows columns"]) -> AxesImage:
    """Shade a table of norms on a logarithmic scale of six decades at most; hatched is what is exactly 0."""
    ax.grid(False)
    ax.patch.set(**_HATCHED)
    some = norms[norms > 0]
    high = some.max(initial=1e-30)
    low = max(some.min(initial=high), high * 1e-6)
    shade = LogNorm(min(low, high / 10), high, clip=True)
    image = ax.imshow(np.ma.masked_equal(norms, 0), aspect="auto", cmap=SHADES, norm=shade)
    rows, columns = norms.shape
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    ax.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="white", lw=2)
    return image


def on_circles(
    tokens: Sequence[str], waves: Complex[np.ndarray, "n k"]
) -> tuple[list[str], tuple[float, float]]:
    """Return the names of tokens as a `circle` writes them, and its width and height in inches."""
    shown = [as_written(token if len(token) <= 12 else token[:11] + "…") for token in tokens]
    width = 2.1 * _reach(shown)
    return shown, (width, width * (0.62 if np.all(np.imag(waves) >= 0) else 1.1))


def _reach(names: Sequence[str]) -> float:
    """Return how far the names around a circle of radius 1 reach."""
    return 1.25 + 0.075 * max(map(len, names))


def circle(
    ax: Axes, z: Complex[np.ndarray, " n"], names: Sequence[str], most: int, upper: bool
) -> Complex[np.ndarray, " n"]:
    """Draw complex numbers on a circle of the largest one's radius, and return them in units of it.

    Args:
      ax: where to draw; its title becomes the radius.
      z: the numbers.
      names: their names.
      most: maximum number of names.
      upper: whether the lower half is left out.
    """
    G, reach = float(np.abs(z).max()) or 1.0, _reach(names)
    arc: Any = np.exp(1j * np.linspace(0, np.pi if upper else 2 * np.pi, 200))
    ax.plot(arc.real, arc.imag, color="0.75", lw=1)
    ax.plot([-1.1, 1.1], [0, 0], color="0.75", lw=1)
    unit: Any = z / G
    ax.plot(unit.real, unit.imag, "o", color=LINES[0][0], mec="white", mew=0.7, zorder=3)
    name_phases(ax, unit, names, most)
    radius = "G" if np.allclose(np.abs(z), G, rtol=1e-3) else "max |Z|"
    ax.set_title(f"{radius} = {G:.3g}")
    ax.set(xlim=(-reach, reach), ylim=(-0.05 if upper else -reach, reach), aspect="equal")
    ax.set(xlabel=f"Re Z / {radius}", xticks=(-1, 0, 1), yticks=(0, 1) if upper else (-1, 0, 1))
    ax.set_ylabel(f"Im Z / {radius}")
    ax.tick_params(labelsize=8, color="0.75")
    ax.spines[:].set_visible(False)
    ax.grid(False)
    return unit


def name_phases(ax: Axes, z: Complex[np.ndarray, " n"], names: Sequence[str], most: int) -> None:
    """Write names outside the unit circle, each along its own ray; rays spread if names would touch.

    Args:
      ax: where to draw.
      z: points on the unit circle.
      names: their names.
      most: maximum number of names.
    """
    middle = np.sum(z) or 1j  # the circle is cut opposite to it, where fewest points are
    angles = np.angle(z / middle) + np.angle(middle)
    named = sorted(range(len(z)), key=lambda j: -abs(z[j].real))[:most]
    named.sort(key=angles.__getitem__)
    for j, angle in zip(named, _apart(angles[named], 0.14), strict=True):
        ray, right = np.exp(1j * angle), np.cos(angle) >= 0
        ax.plot([0, z[j].real], [0, z[j].imag], color="0.85", lw=0.7, zorder=1)
        bend: Any = np.array([z[j], 1.08 * ray, 1.17 * ray])
        ax.plot(bend.real, bend.imag, color="0.6", lw=0.7)
        turn, side = np.degrees(angle) - (0 if right else 180), "left" if right else "right"
        at = (1.2 * ray.real, 1.2 * ray.imag)
        ax.text(
            *at, names[j], rotation=turn, rotation_mode="anchor", ha=side, va="center_baseline", fontsize=9
        )


def _apart(rising: Real[np.ndarray, " n"], gap: float) -> Float[np.ndarray, " n"]:
    """Return the nearest numbers, in the mean square, of which none is closer to the next than `gap`.

    >>> _apart(np.array([0.0, 0.1, 2.0]), 1.0).tolist()
    [-0.45, 0.55, 2.0]
    """
    steps, blocks = gap * np.arange(len(rising)), []  # of numbers that have run up against each other
    for number in rising - steps:
        blocks.append([number])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return np.array([np.mean(block) for block in blocks for _ in block]) + steps


def name_points(figure: Figure, ax: Axes, points: Mapping[str, tuple]) -> None:
    """Write each point's name at the first position beside it that covers no point and no other name."""
    figure.draw_without_rendering()  # settles where the points are
    bars = [ax.transData.transform([(x, y - half), (x, y + half)]) for x, y, half in points.values()]
    pad = 5 / 72 * figure.dpi
    taken = [Bbox([bar[0] - pad, bar[1] + pad]) for bar in bars]
    heights = (0, 9, -9, 18, -18, 27, -27, 36, -36, 45, -45)  # in points
    places = [(dx, dy) for dy in heights for dx in (9, -9)]
    line = {"arrowstyle": "-", "color": "0.6", "lw": 0.7, "shrinkA": 0, "shrinkB": 5}
    for name, (x, y, _) in points.items():
        place = places[0]
        text = ax.annotate(
            as_written(name), (x, y), place, textcoords="offset points", va="center", fontsize=9
        )
        for place in places:
            text.set(position=place, ha="left" if place[0] > 0 else "right")
            if not any(text.get_window_extent().overlaps(other) for other in taken):
                break
        taken.append(text.get_window_extent())
        if place[1]:
            ax.annotate("", (x, y), place, textcoords="offset points", arrowprops=line)
