"""What every experiment leaves: report.md with its origin on top, its figures, and its numbers as CSV."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.report import origin
from wave_jax import measures, plots, tables

__all__ = ["over_seeds", "write"]


def over_seeds(values: Sequence[float | np.floating], scale: float = 1.0, digits: int = 1) -> str:
    """Mean and half of its 95 % interval.

    >>> over_seeds([0.5, 0.5, 0.5], scale=100)
    '50.0 ± 0.0'
    """
    mean, _, half = measures.interval([scale * value for value in values])
    return f"{mean:.{digits}f} ± {half:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}"


def write(
    out: Path,
    title: str,
    parts: Mapping[str, str | Sequence[Mapping[str, object]] | plots.Figure],
    rows: Mapping[str, Sequence[Mapping[str, object]]],
) -> None:
    """report.md of `parts`, each a text, a table or a figure under its heading, and `rows` as CSV files."""
    page = [f"# {title}", origin(" ".join(["python -m experiments", *sys.argv[1:]]))]
    for i, (heading, part) in enumerate(parts.items()):
        page.append(f"## {heading}")
        if isinstance(part, plots.Figure):
            (out / f"figure{i}.png").write_bytes(plots.png(part))
            part = f"![{heading}](figure{i}.png)"
        page.append(part if isinstance(part, str) else tables.markdown(part))
    for name, table in rows.items():
        (out / f"{name}.csv").write_text(tables.csv(table))
    (out / "report.md").write_text("\n\n".join(page) + "\n")
    print("\n\n".join(page))
