"""How fast `wave-jax predict FILE TABLE --out TABLE` is on tables of each form, read and written.

    python -m benchmarks.tables FOLDER

FOLDER holds train.csv and test.csv (see docs/datasets.md). SMALL takes 16 steps there, since how often it is
right does not matter here, and is exported in int8. The texts of the test split, repeated to 30,000 rows with
a number each, are a table of each form. Every command is a process of its own; forms take turns, medians of
three. Writes benchmarks/results/tables.md.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pandas

from benchmarks.report import write
from wave_jax.data import datasets
from wave_jax.runs import presets, run
from wave_jax.serving import export

ROWS, TIMES = 30_000, 3
FORMS = (".parquet", ".csv", ".jsonl", ".csv.gz")


def exported(folder: str, file: Path) -> None:
    """Export a network of SMALL's size on the texts of a folder."""
    small = presets.preset("small")
    prepared = run.prepare(datasets.load(folder), replace(small, training=replace(small.training, steps=16)))
    *_, last = run.train(prepared)
    export.save(file, prepared.trained(last.kept), dtype="int8")


def tables(folder: str, place: Path) -> dict[str, Path]:
    """Write a table of each form with a number and a text in each row."""
    texts = datasets.load(folder).test.texts
    rows = [{"id": i, "text": text} for i, text in enumerate(texts * -(-ROWS // len(texts)))][:ROWS]
    frame, made = pandas.DataFrame(rows), {form: place / f"texts{form}" for form in FORMS}
    frame.to_parquet(made[".parquet"])
    frame.to_json(made[".jsonl"], orient="records", lines=True)
    for form in (".csv", ".csv.gz"):
        frame.to_csv(made[form], index=False)
    return made


def clocked(*command: object) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of a process."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "wave_jax", *map(str, command)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - start, used


def main(folder: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        exported(folder, place / "news.wave")
        made = tables(folder, place)
        found: dict[str, list[tuple[float, float]]] = {form: [] for form in FORMS}
        for _ in range(TIMES):
            for form, table in made.items():
                out = place / f"answers{form}"
                found[form].append(clocked("predict", place / "news.wave", table, "--out", out))
    rows = []
    for form, runs in found.items():
        seconds, used = (statistics.median(values) for values in zip(*runs, strict=True))
        rows.append(
            {
                "form": form,
                "texts/s": f"{ROWS / seconds:,.0f}",
                "texts/CPU s": f"{ROWS / used:,.0f}",
                "seconds": f"{seconds:.2f}",
                "CPU s": f"{used:.2f}",
            }
        )
    notes = f"{ROWS:,} texts of {Path(folder).name}; start of the process, reading and writing included."
    write("tables", "Tables through `wave-jax predict`", rows, notes)


if __name__ == "__main__":
    main(sys.argv[1])
