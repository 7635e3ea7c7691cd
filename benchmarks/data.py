"""From a folder of texts to batches: texts per second of each stage, padding, peak memory.

    python -m benchmarks.data FOLDER [FOLDER ...]          (about one minute per 100,000 texts on 2 cores)

Each folder (train.csv, test.csv; see docs/datasets.md) is measured in a process of its own, all its texts
through every stage once: read, train a WordPiece vocabulary of 30,000, tokenize into an empty cache, take the
same from the cache, cut an epoch of batches of 64 on the host. Peak memory is the process's until then. Last
comes `tokenizers` alone: ids of whole texts by `encode_batch_fast` on all cores. Writes
benchmarks/results/data.md.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import write
from wave_jax.data import batches, datasets
from wave_jax.data.plan import Plan
from wave_jax.data.vocabulary import model

V, MAX_LENGTH, BATCH = 30_000, 512, 64


def clocked(function: Callable, *args: Any, **settings: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return function(*args, **settings), time.perf_counter() - start


def read(folder: str) -> tuple[list[str], list[int]]:
    data = datasets.load(folder)
    splits = [data.train, data.valid, data.test]
    return [t for split in splits for t in split.texts], [int(k) for split in splits for k in split.labels]


def cut(tokens: batches.TokenArrays, plan: Plan) -> None:
    for _ in plan.batches(tokens):
        pass


def measure(folder: str) -> dict[str, object]:
    """Return one row of the table."""
    (texts, labels), loaded = clocked(read, folder)
    with tempfile.TemporaryDirectory() as cache:
        cpu = time.process_time()
        tokenizer, trained = clocked(batches.train_tokenizer, texts, V, cache)
        tokens, tokenized = clocked(batches.tokenize, texts, labels, tokenizer, MAX_LENGTH, cache)
        cpu = time.process_time() - cpu
        _, first = clocked(batches.train_tokenizer, texts, V, cache)
        _, second = clocked(batches.tokenize, texts, labels, tokenizer, MAX_LENGTH, cache)
    plan, planned = clocked(Plan.of_epoch, tokens, BATCH, seed=0, epoch=0, together=16)
    _, gathered = clocked(cut, tokens, plan)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rust = model(tokenizer.vocabulary, tokenizer.rules)
    _, alone = clocked(lambda: [encoding.ids for encoding in rust.encode_batch_fast(texts)])

    def rate(seconds: float) -> str:
        return f"{len(texts) / seconds:,.0f}"

    steps = sum(len(block.rows) for block in plan)
    return {
        "data": Path(folder).name,
        "texts": f"{len(texts):,}",
        "tokens": f"{len(tokens.ids):,}",
        "read": rate(loaded),
        "train": rate(trained),
        "tokenize": rate(tokenized),
        "`tokenizers` alone": rate(alone),
        "train + tokenize, s (CPU s)": f"{trained + tokenized:.1f} ({cpu:.1f})",
        "from cache, s": f"{first + second:.2f}",
        "batch, ms": f"{1000 * (planned + gathered) / steps:.3f}",
        "padding": f"{plan.padding(tokens):.1%}",
        "shapes": " ".join(map(str, sorted({block.n for block in plan}))),
        "peak, MB": f"{peak:,.0f}",
    }


def main(folders: list[str]) -> None:
    if not folders:
        sys.exit("Name the folders to measure: python -m benchmarks.data FOLDER [FOLDER ...]")
    rows = []
    for folder in folders:
        command = [sys.executable, "-m", "benchmarks.data", "--row", os.path.abspath(folder)]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    sys.argv[1:] = [Path(folder).name for folder in folders]  # the page names folders, not where they lie
    notes = (
        f"At most {MAX_LENGTH} tokens a text, {V:,} rows, batches of {BATCH}. Without a unit: texts"
        " per second, once through; `tokenize` writes the cache too; `batch` is planned and cut by NumPy."
        f" Load average of the machine at the end: {os.getloadavg()[0]:.1f}."
    )
    write("data", "From texts to batches", rows, notes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main(sys.argv[1:])
