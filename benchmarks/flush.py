"""What it costs to force files to the disk: where a run is finished, and where a file is exported.

    python -m benchmarks.flush                   (some seconds)

Random bytes are written as the files of a run folder (three steps of SMALL) and as
exported files. Writes benchmarks/results/flush.md.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import write
from wave_jax.disk import flush, write_whole

MB, TIMES = 10**6, 3


def seconds(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def of_run(folder: Path, size: int) -> dict[str, float]:
    """Return the seconds to write three steps, and to force them to the disk at the end of a run."""

    def steps() -> None:
        for step in "123":
            (folder / step).mkdir(parents=True)
            (folder / step / "array").write_bytes(os.urandom(size))

    took = {"written in, s": seconds(steps), "forced to the disk in, s": seconds(lambda: flush(folder))}
    shutil.rmtree(folder)
    return took


def of_file(file: Path, size: int) -> dict[str, float]:
    """Return the seconds to write a file, and what more it takes to force it to the disk."""
    content = os.urandom(size)
    plain = seconds(lambda: write_whole(file, content))
    return {
        "written in, s": plain,
        "forced to the disk in, s": seconds(lambda: write_whole(file, content, flushed=True)) - plain,
    }


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as place:
        for name, measure, size in (
            ("a run of SMALL, 3 steps of 23 MB", of_run, 23 * MB),
            ("SMALL as an exported file, 2.3 MB", of_file, 23 * MB // 10),
        ):
            found = [measure(Path(place) / "files", size) for _ in range(TIMES)]
            rows.append(
                {"what": name} | {key: statistics.median(run[key] for run in found) for key in found[0]}
            )
    write(
        "flush", "Files forced to the disk (fsync)", rows, f"Medians of {TIMES}, on the disk of this folder."
    )


if __name__ == "__main__":
    main()
