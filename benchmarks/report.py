"""How every benchmark measures and writes: interleaved runs, medians, one table with its origin on top."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax

from wave_jax import tables
from wave_jax.runs.environment import origin

RESULTS = Path(__file__).parent / "results"


def interleaved(runs_of: Mapping[str, Callable], runs: int = 5) -> dict[str, float]:
    """Measure the median seconds of each function, in turn A B C A B C ..., so that load hits all alike."""
    for function in runs_of.values():  # compile
        jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in runs_of}
    for _ in range(runs):
        for name, function in runs_of.items():
            start = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def write(name: str, title: str, rows: Sequence[Mapping[str, object]], notes: str = "") -> None:
    """Print one table and keep it in benchmarks/results/NAME.md."""
    command = " ".join(["python -m", f"benchmarks.{name}", *sys.argv[1:]])
    page = f"# {title}\n\n{origin(command, RESULTS)}\n\n{tables.markdown(rows)}\n"
    if notes:
        page += f"\n{notes}\n"
    print(page)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(page)
