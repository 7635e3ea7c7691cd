"""Long lives: hundreds of fits, thousands of predictions, threads and forks, with memory and answers watched.

    python -m benchmarks.lives [SHARE]            (SHARE of the counts below, 1 if not given; an hour)

Each life is a process of its own. It does something again and again, every time in another shape, and says
what memory it holds on the way. Answers are compared, bit for bit, with those of one thread that gave them
once. Writes benchmarks/results/lives.md. It ends with an error if memory grows beyond its bound, or if an
answer differs.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wave_jax.serving import predictor

WORDS = [a + b for a in "bdfgklmnprst" for b in ("ana", "eko", "ilu", "oma", "ufi")]
THREADS, PARTS = 8, 20
READER = {"max_length": 512, "steps": 20}  # of a classifier that is asked again and again


class Life(NamedTuple):
    """What is done again and again, how often, and how much more memory it may hold at its end."""

    acts: Callable[[int, str], Iterator[bool]]
    """Yields whether the answers were right, after each act. It is given the count, and an exported file."""
    times: int
    bound: int
    """Largest growth, MB: the peak of the last fifth of the life, less that of its second fifth."""


# --- texts and calls ----------------------------------------------------------------------------------------


def texts_of(rng: random.Random, count: int, longest: int) -> list[str]:
    """Draw texts of random lengths, empty ones included."""
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, longest))) for _ in range(count)]


def calls(count: int) -> list[list[str]]:
    """Draw the texts of so many calls: one to three texts of up to 600 words each."""
    rng = random.Random(7)
    return [texts_of(rng, rng.randint(1, 3), rng.choice([5, 50, 600])) for _ in range(count)]


def fitted(i: int = 0, **settings: Any) -> Any:
    """Fit a classifier whose shape depends on i: width, length, batch, texts, classes and rows."""
    from wave_jax import WaveClassifier

    rng = random.Random(i)
    shape = {
        "d": 8 * rng.randint(1, 8),
        "max_length": rng.randint(8, 600),
        "batch": rng.randint(4, 64),
        "v": rng.randint(50, 400),
        "pairs": rng.randint(0, 200),
        "stems": rng.randint(0, 20),
    }
    texts, c = texts_of(rng, rng.randint(40, 200), rng.choice([5, 50, 200])), rng.randint(2, 9)
    labels = [k % c for k in range(len(texts))]
    return WaveClassifier(**{**shape, "steps": 4, "seed": i, **settings}).fit(texts, labels)


def numbers(classifier: Any) -> bytes:
    """Return all parameters of a classifier as bytes."""
    import jax

    return b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(classifier.network))


# --- the lives ----------------------------------------------------------------------------------------------


def fits(count: int, _: str) -> Iterator[bool]:
    """Fit networks of other shapes; every tenth is the first again, and the last fifth as the second."""
    first, fifth = numbers(fitted(0)), count // 5
    for i in range(1, count + 1):
        shape = i if i <= 4 * fifth else i - 3 * fifth
        yield numbers(fitted(0 if i % 10 == 0 else shape)) == first or i % 10 > 0


def fits_of_threads(count: int, _: str) -> Iterator[bool]:
    """Fit in eight threads what one thread has fitted."""
    alone = [numbers(fitted(i)) for i in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        made = pool.map(lambda k: numbers(fitted(k % THREADS)) == alone[k % THREADS], range(count))
        yield from made


def answers(count: int, answerer: Any, threads: int) -> Iterator[bool]:
    """Ask for the answers to texts again and again, in so many threads."""
    asked = calls(min(count, 500))
    alone = [answerer.predict_proba(texts) for texts in asked]
    turns = [k % len(asked) for k in range(count)]
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda k: np.array_equal(answerer.predict_proba(asked[k]), alone[k]), turns)


def by_estimator(threads: int) -> Callable[[int, str], Iterator[bool]]:
    return lambda count, _: answers(count, fitted(**READER), threads)


def by_file(threads: int) -> Callable[[int, str], Iterator[bool]]:
    return lambda count, file: answers(count, predictor.load(file), threads)


def forks(count: int, file: str) -> Iterator[bool]:
    """Fork a process in which JAX has answered; the child answers from the file, then the parent by JAX."""
    classifier, network, asked = fitted(**READER), predictor.load(file), calls(20)
    alone, by_jax = ([each.predict_proba(texts) for texts in asked] for each in (network, classifier))
    for _ in range(count):
        child = os.fork()
        if child == 0:
            same = [np.array_equal(network.predict_proba(t), a) for t, a in zip(asked, alone, strict=True)]
            os._exit(0 if all(same) else 1)
        _, status = os.waitpid(child, 0)
        yield status == 0 and np.array_equal(classifier.predict_proba(asked[0]), by_jax[0])


LIVES = {
    "fits of other shapes": Life(fits, 500, 100),
    "fits, 8 threads": Life(fits_of_threads, 80, 100),
    "estimator, 1 thread": Life(by_estimator(1), 10_000, 20),
    "estimator, 8 threads": Life(by_estimator(THREADS), 5000, 50),  # each thread has an arena of memory
    "file, 1 thread": Life(by_file(1), 5000, 20),
    "file, 8 threads": Life(by_file(THREADS), 5000, 20),
    "forks after JAX has started": Life(forks, 100, 20),
}


# --- what they hold -----------------------------------------------------------------------------------------


def held() -> float:
    """Return the most memory that this process has held since it was asked before, MB."""
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    return int(peak[1]) * 1024 / 1e6


def lived(life: Life, count: int, file: str) -> dict[str, Any]:
    """Live a life; return the memory held after each twentieth of it, and how many answers were wrong."""
    found, wrong = [], 0
    for i, right in enumerate(life.acts(count, file), 1):
        wrong += not right
        if i * PARTS // count > (i - 1) * PARTS // count:
            found.append(held())
            print(f"{i}: {found[-1]:.0f} MB, {wrong} wrong", file=sys.stderr, flush=True)
    return {"held": found, "wrong": wrong}


def row(name: str, share: float, folder: Path) -> dict[str, Any]:
    """Start a life and return what became of it."""
    life, count = LIVES[name], max(PARTS, round(LIVES[name].times * share))
    command = [sys.executable, "-W", "ignore:os.fork", "-m", "benchmarks.lives", "--life", name, str(count)]
    # Every program is compiled, the short way: nothing here is timed.
    short = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    setting = os.environ | {"WAVE_JAX_PROGRAMS": "off", "XLA_FLAGS": short}
    output = subprocess.check_output([*command, str(folder / "a.wave")], text=True, env=setting)
    told = json.loads(output.splitlines()[-1])
    fifth = PARTS // 5
    early, late = max(told["held"][fifth : 2 * fifth]), max(told["held"][-fifth:])
    return {
        "life": name,
        "times": f"{count:,}",
        "MB, second fifth": f"{early:.0f}",
        "MB, last fifth": f"{late:.0f}",
        "growth": f"{late - early:+.0f}",
        "bound": life.bound,
        "other answers": told["wrong"],
    }


def main(share: float) -> None:
    from benchmarks.report import write
    from wave_jax.serving import export

    with tempfile.TemporaryDirectory() as place:
        export.save(Path(place) / "a.wave", fitted(**READER)._trained(), dtype="int8")
        rows = [row(name, share, Path(place)) for name in LIVES]
    notes = (
        "Memory is the most that the process holds (resident) in a fifth of its life. `growth` is from the"
        " second fifth to the last. `other answers` are those that differ in a bit from those that one thread"
        " gave before."
    )
    write("lives", "Long lives: memory and answers", rows, notes)
    assert all(float(row["growth"]) <= row["bound"] and not row["other answers"] for row in rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--life"]:
        print(json.dumps(lived(LIVES[sys.argv[2]], int(sys.argv[3]), sys.argv[4])))
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else 1.0)
