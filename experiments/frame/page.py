"""The page of an experiment: report.md with its origin on top, figures, and numbers as CSV."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.frame.grid import origins
from wave_jax import tables
from wave_jax.runs.environment import origin
from wave_jax.study import plot_style

__all__ = ["distinct", "write"]


def distinct(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows that differ in these columns, and no other columns.

    >>> distinct([{"data": "a", "seed": 0}, {"data": "a", "seed": 1}], ["data"])
    [{'data': 'a'}]
    """
    return [dict(values) for values in dict.fromkeys(tuple((k, row[k]) for k in names) for row in rows)]


def write(
    out: Path,
    title: str,
    parts: Mapping[str, str | Sequence[Mapping[str, object]] | plot_style.Figure],
    rows: Mapping[str, Sequence[Mapping[str, object]]],
) -> None:
    """Write report.md of `parts`, each under its heading, and `rows` as CSV files.

    Args:
      out: folder of the report.
      title: its title.
      parts: texts, tables and figures by heading.
      rows: tables by the name of their CSV file.
    """
    page = [
        f"# {title}",
        origin(shlex.join(["python", "-m", "experiments", *sys.argv[1:]]), Path(__file__).parent),
    ]
    if computed := origins(out):
        page.append(
            f"The page was written as the line above says, its cells were computed with\n\n{computed}"
        )
    for i, (heading, part) in enumerate(parts.items()):
        page.append(f"## {heading}")
        if isinstance(part, plot_style.Figure):
            (out / f"figure{i}.png").write_bytes(plot_style.png(part))
            part = f"![{heading}](figure{i}.png)"
        page.append(part if isinstance(part, str) else tables.markdown(part))
    for name, table in rows.items():
        (out / f"{name}.csv").write_text(tables.csv(table))
    (out / "report.md").write_text("\n\n".join(page) + "\n")
    print("\n\n".join(page))
