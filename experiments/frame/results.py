"""The files of results: their rows, chosen, paired over seeds, and what they are of."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import RESULTS as BENCHMARKS

__all__ = [
    "PER_CENT",
    "SHOWN",
    "SIZES",
    "WHOLE",
    "Finding",
    "Rows",
    "Select",
    "Unjudged",
    "benchmark",
    "chosen",
    "pair",
    "read",
    "setting",
]

WHOLE = {"ag_news": (120_000, 7_600), "imdb": (25_000, 25_000), "dbpedia14": (560_000, 70_000)}


SHOWN = {"ag_news": "AG News", "imdb": "IMDB", "dbpedia14": "DBpedia14"}


PER_CENT = ("test_accuracy", "test", "lost")  # columns that are read as such


SIZES = {"paper": "the papers' size", "small": "SMALL's size"}


Rows = Sequence[Mapping[str, str]]


Select = Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """What a claim is worth by our numbers, and what these are of."""

    ours: str
    of: str
    verdict: str
    why: str = ""
    short: str = ""
    """One number, for the README."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """The answer to each comparison."""


class Unjudged(ValueError):
    """A claim that the results cannot judge, with the reason and our numbers, if there are any."""

    def __init__(self, why: str, ours: str = "", of: str = ""):
        super().__init__(why)
        self.finding = Finding(ours, of, "not yet measured", why, ours)


def read(results: Path, name: str) -> Rows:
    """Read the rows of a CSV file, or of the table of a benchmark, which then know its device."""
    path = BENCHMARKS / Path(name).name if name.startswith("benchmarks/") else results / name
    if not path.exists():
        raise Unjudged("no results yet")
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in line] for line in lines]
    device = text.split("\n\n")[1].split(" · ")[-2]
    return [dict(zip(head, line, strict=True), device=device) for line in body]


def chosen(rows: Rows, select: Select) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in select.items())]


def pair(rows: Rows, column: str, ours: Select, theirs: Select | float) -> tuple[list[float], list[float]]:
    """Return both at the seeds that both have; a number has all."""

    def by_seed(of: Select) -> dict[str, float]:
        scale = 100 if column in PER_CENT else 1
        return {row["seed"]: scale * float(row[column]) for row in chosen(rows, of)}

    a = by_seed(ours)
    b = by_seed(theirs) if isinstance(theirs, Mapping) else dict.fromkeys(a, theirs)
    seeds = [seed for seed in a if seed in b]
    return [a[seed] for seed in seeds], [b[seed] for seed in seeds]


def benchmark(data: str) -> str:
    """Return which of the papers' data this is, or is a part of; "" for none of them.

    >>> benchmark("dbpedia14_partial"), benchmark("planted")
    ('dbpedia14', '')
    """
    return next((name for name in WHOLE if data.startswith(name)), "")


def setting(rows: Rows) -> str:
    """Write data, size, epochs and seeds of some rows, as far as they have them."""
    parts = []
    for first in {row["data"]: row for row in rows}.values():
        name = benchmark(first["data"])
        share = int(first.get("labelled", 0)) / WHOLE.get(name, (1,))[0]
        part = f" ({share:.0%} of its texts)" if name and 0 < share < 1 else ""
        parts.append(SHOWN.get(name, first["data"]) + part)
    parts += [SIZES[size] for size in dict.fromkeys(row["networks"] for row in rows if "networks" in row)]
    parts += [
        f"{n} epoch{'s' * (n != '1')}"
        for n in dict.fromkeys(row["epochs"] for row in rows if "epochs" in row)
    ]
    seeds = len({row["seed"] for row in rows})
    return ", ".join([*parts, f"{seeds} seed{'s' * (seeds > 1)}"])
