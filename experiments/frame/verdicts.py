"""What the papers' claims are worth by the files of results: from rows to findings, for `claims`.

A difference is told where the 95 % interval of its mean over seeds leaves out 0; where all intervals of a
claim hold it, nothing is said. An accuracy is held against the paper's on the whole of its test split, by
networks of its size; trained on fewer texts or epochs they may reach it, and cannot fail to.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import RESULTS as BENCHMARKS
from experiments.frame import compare
from wave_jax import tables

WHOLE = {"ag_news": (120_000, 7_600), "imdb": (25_000, 25_000), "dbpedia14": (560_000, 70_000)}
SHOWN = {"ag_news": "AG News", "imdb": "IMDB", "dbpedia14": "DBpedia14"}
PAPER = {  # P1 table 2
    "modulation": {"ag_news": 91.66, "imdb": 87.02, "dbpedia14": 98.05},
    "interference": {"ag_news": 90.91, "imdb": 87.00, "dbpedia14": 97.93},
    "BERT": {"ag_news": 94.64, "imdb": 93.94, "dbpedia14": 99.28},
}
SLACK = 0.5  # points below: its tables 1 and 2 differ by 0.55 on one setting
NEAR = {data: PAPER["modulation"][data] - PAPER["BERT"][data] - SLACK for data in WHOLE}
PER_CENT = ("test_accuracy", "test", "lost")  # columns that are read as such
SIZES = {"paper": "the papers' size", "small": "SMALL's size"}
SAVED = {"memory": 77.34, "time": 85.62}  # % less than BERT, P1 abstract

Rows = Sequence[Mapping[str, str]]
Select = Mapping[str, str]
Comparison = tuple[str, str, Select, Select | float]  # name, column, which rows are ours, theirs or a number


@dataclass(frozen=True)
class Finding:
    """What a claim is worth by our numbers, and what these are of."""

    ours: str
    of: str
    verdict: str
    why: str = ""


class Unjudged(ValueError):
    """Why a claim cannot be judged; and our numbers, where there are any."""

    def __init__(self, why: str, ours: str = "", of: str = ""):
        super().__init__(why)
        self.finding = Finding(ours, of, "cannot be judged", why)


# --- rows ---------------------------------------------------------------------------------------------------


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


# --- verdicts -----------------------------------------------------------------------------------------------


def told(ours: str, of: str, answers: Mapping[str, str], wanted: str = "more") -> Finding:
    """By what `compare.against` answers to every comparison: all should be `wanted`."""
    if set(answers.values()) == {"same"}:
        raise Unjudged(f"not told apart: {', '.join(answers)}", ours, of)
    verdict, _, why = compare.verdict(answers, wanted).partition(" (")
    if verdict == "cannot be judged":
        raise Unjudged(why.removesuffix(")"), ours, of)
    return Finding(ours, of, verdict, why.removesuffix(")"))


def compared(
    rows: Rows,
    comparisons: Sequence[Comparison],
    wanted: str = "more",
    by: float | Mapping[str, float] = 0.0,
    show: int = 9,
) -> Finding:
    """All comparisons on all data, or those of the papers that `by` names: ours should be more, or less, than
    theirs + `by`. The numbers of the first `show` are written out."""
    answers, said, used = {}, [], []
    datasets = dict.fromkeys(row["data"] for row in rows)
    for data in datasets:
        here, known = chosen(rows, {"data": data}), benchmark(data)
        for i, (name, column, one, other) in enumerate(comparisons):
            ours, theirs = pair(here, column, one, other)
            if not ours or (isinstance(by, Mapping) and known not in by):
                continue
            more = by[known] if isinstance(by, Mapping) else by
            answers[f"{name} on {data}" if len(datasets) > 1 else name] = compare.against(
                ours, [value + more for value in theirs]
            )
            used += chosen(here, one)
            if i < show:
                digits = 2 if column in PER_CENT else 3
                a, b = (
                    compare.over_seeds(values, digits=digits) if isinstance(of, Mapping) else of
                    for values, of in ((ours, one), (theirs, other))
                )
                said.append(f"{a} against {b} ({name}, {SHOWN.get(known, data)})")
    if not answers:
        raise Unjudged(f"its results lack {' or '.join(name for name, *_ in comparisons)}")
    return told("; ".join(said), setting(used), answers, wanted)


def reaches(rows: Rows, model: str, data: str, least: float, networks: str = "paper") -> Finding:
    """Judge whether a model's accuracy on one of the papers' data is more than `least`."""
    rows = [row for row in chosen(rows, {"model": model}) if benchmark(row["data"]) == data]
    if not rows:
        raise Unjudged(f"its results lack {model} on {SHOWN[data]}")
    accuracy, of, (labelled, test) = [100 * float(row["test_accuracy"]) for row in rows], rows[0], WHOLE[data]
    known = compare.over_seeds(accuracy, digits=2), setting(rows)
    if of["networks"] != networks:
        raise Unjudged("the networks are not of the paper's size", *known)
    if int(of["test"]) < test:
        raise Unjudged("the test split is not whole", *known)
    found = told(*known, {f"than {least:.2f}": compare.against(accuracy, [least] * len(accuracy))})
    fewer = int(of["labelled"]) < labelled or int(of.get("epochs", 4)) < 4
    if found.verdict == "does not hold" and fewer:
        raise Unjudged(f"less than {least:.2f}, but trained on less than in the paper", *known)
    return found


def near_bert(rows: Rows) -> Finding:
    """Judge whether modulation is no further below BERT than in the paper."""
    sides = {"model": "modulation"}, {"model": "BERT"}
    found = compared(rows, [("BERT", "test_accuracy", *sides)], by=NEAR)
    if SIZES["small"] in found.of:
        raise Unjudged("the networks are not of the paper's size", found.ours, found.of)
    return found


def parameters(rows: Rows) -> Finding:
    """Judge the parameters of the Wave Network at BERT's width, without its table of embeddings and with it."""
    wave = chosen(rows, {"model": "Wave", "d": "768"})
    if not wave:
        raise Unjudged("its results lack the papers' width, 768")
    millions = [int(wave[0][name]) / 1e6 for name in ("without tables", "parameters")]
    is_it = [round(count, 1) <= 2.4 for count in millions]
    verdict = "holds" if all(is_it) else "holds in part" if any(is_it) else "does not hold"
    ours = "{:.2f} million without the embeddings, {:.2f} with them".format(*millions)
    return Finding(ours, "d = 768", verdict)


def savings(memory: Rows, step: Rows) -> Finding:
    """Judge a step against BERT's: memory of weights, moments and temporary arrays; and time."""
    forms = "Wave, the table's rows as in training", "BERT base"
    (wave, bert), times = ([chosen(rows, {"form": form})[0] for form in forms] for rows in (memory, step))
    ours, theirs = (3 * float(row["parameters MB"]) + float(row["temporary MB"]) for row in (wave, bert))
    saved = {
        "memory": 100 * (1 - ours / theirs),
        "time": 100 * (1 - float(times[0]["ms"]) / float(times[1]["ms"])),
    }
    answers = {name: "more" if saved[name] >= SAVED[name] else "less" for name in saved}
    of = f"weights, Adam and temporary arrays of a step of 64 texts of 128 tokens, {step[0]['device']}"
    return told(", ".join(f"{name} -{value:.1f} %" for name, value in saved.items()), of, answers)


def converges(rows: Rows) -> Finding:
    """Judge whether the second half of 500 batches adds less than a point to the accuracy."""
    half, end = ({"model": "modulation", "step": step} for step in ("250", "500"))
    found = compared(rows, [("after 500 batches against 250", "test", end, half)], "less", by=1)
    if found.verdict != "does not hold" and SIZES["small"] in found.of:
        raise Unjudged("SMALL's rate falls to 0 at the last batch: any curve is flat", found.ours, found.of)
    return found


def alone(rows: Rows) -> Finding:
    """Judge whether no derivative of encode and combine leaves its dimension."""
    waves = [row for row in rows if row["alone"]]
    most = max(float(row["alone"]) for row in waves)
    ours = f"at most {tables.number(most)} of the squared Jacobian off the diagonal"
    return Finding(ours, setting(waves), "does not hold" if most else "holds")


def spoilt(rows: Rows) -> Finding:
    """Judge whether modulation loses less than the Transformer if a fifth of a text is spoilt."""
    clean = {(row["data"], row["model"], row["seed"]): row for row in chosen(rows, {"rate": "0"})}
    lost = []
    for row in chosen(rows, {"rate": "0.2"}):
        whole = clean[row["data"], row["model"], row["seed"]]
        lost.append({**row, "lost": str(float(whole["accuracy"]) - float(row["accuracy"]))})
    comparisons = [
        (
            kind,
            "lost",
            {"model": "modulation", "spoilt by": kind},
            {"model": "Transformer", "spoilt by": kind},
        )
        for kind in dict.fromkeys(row["spoilt by"] for row in lost)
    ]
    return compared(lost, comparisons, "less")
