"""Small faults, put in one at a time: do the tests notice each of them?

    python -m benchmarks.faults [PART]          (about 15 minutes on 2 cores; PART: of the names of files)

`faults.toml` lists the faults as patches. Each is put into a copy of the project, where the test file that
mirrors the module is then run, or the one that the list names. A fault survives if these tests pass. In the
end the tests that noticed one are run without any: a test that always fails notices nothing.
Writes benchmarks/results/faults.md, if no PART is given. It ends with an error if a fault survived.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from benchmarks.report import write

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("faults.toml")
HANGS = 900  # seconds
SURVIVED = "**survived**"
NOTES = """\
{faults} faults, {survivors} survivors; {minutes:.0f} minutes. The tests that noticed one pass without any.

*Before*: what survived the tests of commit 0f5367f, on which the list was made: {before} of these faults at
the least. Most of those of one test file were put in together there, and it passed; of test_experiments.py,
the tests of their experiments passed."""


class Fault(NamedTuple):
    """A change of a file that the tests have to notice."""

    says: str
    """What is wrong then."""
    file: str
    old: str
    new: str
    test: str = ""
    """The test file that has to notice, if it is not the one that mirrors the module."""
    survived: bool = False
    """Whether the tests of commit 0f5367f, on which the list was made, were seen not to notice."""

    @property
    def tests(self) -> str:
        """Return the test file that has to notice."""
        _, *folders, name = PurePosixPath(self.file).parts
        return self.test or "/".join(("tests", *folders, f"test_{name}"))

    def put_into(self, text: str) -> str:
        """Return the text of the file with the fault; its old text must be there once."""
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.file} holds the old text of {self.says!r} {count} times, not once.")
        return text.replace(self.old, self.new)


def listed() -> list[Fault]:
    """Return all faults, in their order."""
    return [Fault(**fault) for fault in tomllib.loads(LIST.read_text("utf-8"))["fault"]]


def copy_into(folder: Path) -> None:
    """Copy the project: the files that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def failure(folder: Path, tests: Iterable[str]) -> str | None:
    """Run tests of a copy; return the first that fails, as pytest names it, None if they all pass."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-n0", *tests],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS,
    )
    if run.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (tests/[^\s\[]+)", run.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"pytest ended with {run.returncode}:\n{run.stdout[-2000:]}")
    return found[1]


def noticed(folder: Path, fault: Fault) -> str | None:
    """Return the test that notices a fault in a copy, which is then as it was."""
    file = folder / fault.file
    before = file.read_text("utf-8")
    _write_later(file, fault.put_into(before))
    try:
        return failure(folder, [fault.tests])
    except subprocess.TimeoutExpired:
        return fault.tests  # it hangs
    finally:
        _write_later(file, before)


def _write_later(file: Path, text: str) -> None:
    """Write a file as two seconds later: Python takes code compiled of one as long, of the same second."""
    later = file.stat().st_mtime + 2
    file.write_text(text, "utf-8")
    later = max(later, file.stat().st_mtime)
    os.utime(file, (later, later))


def row(fault: Fault, by: str | None, seconds: float) -> dict[str, object]:
    """Return what is said of a fault."""
    _, _, test = (by or "").partition("::")
    shown = SURVIVED if by is None else test or f"{fault.tests} as a whole"
    before = "survived" if fault.survived else ""
    return {
        "file": fault.file,
        "fault": fault.says,
        "before": before,
        "noticed by": shown,
        "s": round(seconds),
    }


def main(part: str) -> None:
    faults, rows, tests = [fault for fault in listed() if part in fault.file], [], {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy_into(folder)
        for number, fault in enumerate(faults, 1):
            start = time.perf_counter()
            by = noticed(folder, fault)
            tests |= {by: None} if by else {}
            rows.append(row(fault, by, time.perf_counter() - start))
            print(f"{number}/{len(faults)}", *rows[-1].values(), sep=" · ", flush=True)
        broken = failure(folder, tests) if tests else None
    if broken:
        raise SystemExit(f"{broken} fails without a fault too: mend it first.")
    survivors = sum(each["noticed by"] == SURVIVED for each in rows)
    if not part:
        counts = {"faults": len(rows), "survivors": survivors, "before": sum(x.survived for x in faults)}
        notes = NOTES.format(**counts, minutes=sum(each["s"] for each in rows) / 60)
        write("faults", "Small faults, and the tests that notice them", rows, notes)
    if survivors:
        raise SystemExit(f"{survivors} of {len(rows)} faults survived.")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "")
