"""Forward and backward at the papers' size with other versions of Python, JAX and NumPy: time and memory.

    python -m benchmarks.stacks ENVIRONMENT ...    (two minutes each on 2 cores)

Each ENVIRONMENT is the folder of a virtual environment with what wave_jax needs. Its Python computes the
forms of `step` and `memory`, BERT left out, in a process of its own; the environments take turns, and the
median of the rounds counts. Writes benchmarks/results/stacks.md.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROUNDS, RUNS = 3, 3


def measured() -> dict[str, Any]:
    """Measure every form with the versions of this process."""
    from benchmarks.forms import batch, compiled, forms
    from benchmarks.memory import kept
    from benchmarks.report import interleaved
    from wave_jax.runs.environment import versions

    texts, all_forms = batch(), forms()
    steps = {name: compiled(form, texts) for name, form in all_forms.items()}
    seconds = interleaved(
        {name: lambda name=name: steps[name](all_forms[name].network, texts) for name in steps}, RUNS
    )
    costs = {
        name: {
            "ms": 1e3 * seconds[name],
            "temporary MB": step.memory_analysis().temp_size_in_bytes / 1e6,
            "kept MB": kept(name, all_forms[name], texts) / 1e6,
        }
        for name, step in steps.items()
    }
    return {"versions": versions(), "costs": costs}


def started(environment: str) -> dict[str, Any]:
    """Measure every form in a process of this environment."""
    python, root = Path(environment, "bin", "python").absolute(), Path(__file__).absolute().parents[1]
    command = [str(python), "-m", "benchmarks.stacks"]
    return json.loads(subprocess.check_output(command, cwd=root, text=True).splitlines()[-1])


def main(environments: list[str]) -> None:
    from benchmarks.report import write

    found = [[started(environment) for environment in environments] for _ in range(ROUNDS)]
    rows = []
    for i, first in enumerate(found[0]):
        stack = ", ".join(f"{name} {first['versions'][name]}" for name in ("python", "jax", "flax", "numpy"))
        for form in first["costs"]:
            costs = [turn[i]["costs"][form] for turn in found]
            rows.append(
                {"versions": stack, "form": form}
                | {name: f"{statistics.median(cost[name] for cost in costs):.0f}" for name in costs[0]}
            )
    notes = f"Medians of {ROUNDS} processes each, in turn. Load average {os.getloadavg()[0]:.1f}."
    write("stacks", "Forward + backward at the papers' size, by versions", rows, notes)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(sys.argv[1:])
    else:
        print(json.dumps(measured()))
