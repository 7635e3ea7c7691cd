"""A fuzzer per format: what is read is what was written, or is refused with one sentence, soon.

    python -m benchmarks.fuzz [SECONDS]          (SECONDS for each format, 10 if not given; about 3 minutes)

Each try changes a good file at random, by bytes or, as "crafted", by a value whose digest is then made right
again, and reads it. Writes benchmarks/results/fuzz.md. It ends with an error if any read failed: by another
error than the format's own, several lines, more than 2 s of CPU time, or another content where a
digest should have shown it.
"""

import gc
import gzip
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from benchmarks.changes import crafted_export, crafted_json, crafted_seal, of_bytes, packed
from benchmarks.report import write
from wave_jax.data import datasets
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.disk import cached
from wave_jax.errors import CheckpointError, DataError, PredictorError
from wave_jax.networks import bert_weights
from wave_jax.networks.configs import WaveConfig
from wave_jax.runs import notes, records, steps
from wave_jax.runs.condition import metrics_of, write_metrics
from wave_jax.runs.settings import Settings
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, predictor
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import Record

TEXTS = ["the cat sat on the mat. 北京 élan", "dogs, cats and mats!"] * 2
TOKENIZER = Tokenizer.train(TEXTS, v=60)
WAVE = WaveConfig(d=6, max_length=16)
SETTINGS = Settings(WAVE, TrainConfig(), 60, ["cats", "dogs"], 16, TOKENIZER.digest, {"name": "fuzz"})
LINES = "label,text\n" + "".join(f'{i % 2},"text {i}, and more"\n' for i in range(40))
ARRAYS = {"ids": np.arange(500, dtype=np.uint16), "offsets": np.array([0, 4, 500])}
SECONDS = 2.0  # CPU time of a read at most


class Format(NamedTuple):
    """A format: its file, who reads it, what it may raise, and how a try changes it."""

    path: Path
    read: Callable[[], Any]
    errors: tuple[type[Exception], ...]
    change: Callable[[random.Random, bytes], bytes]
    is_sealed: bool
    """Whether every change of the content has to be noticed."""


# --- formats ------------------------------------------------------------------------------------------------


def formats(folder: Path) -> dict[str, Format]:
    """Write a good file of each format."""
    made = {**of_runs(folder), **of_corpora(folder), **of_weights(folder / "bert")}
    network = WAVE.build(v=60, c=2, rngs=nnx.Rngs(0))
    wave = folder / "a.wave"
    export.save(wave, Trained(network, TOKENIZER, ["cats", "dogs"], 16), dtype="int8")

    def answers() -> bytes:
        return predictor.load(wave).logits(TEXTS).tobytes()

    made["exported file"] = Format(wave, answers, (PredictorError,), of_bytes, True)
    made["exported file, crafted"] = Format(
        wave, answers, (PredictorError, ValueError), crafted_export, False
    )
    return made


def of_runs(folder: Path) -> dict[str, Format]:
    """Write the files of a run folder."""
    (folder / "steps").mkdir()
    like = {"w": np.arange(60, dtype=np.float32)}
    steps.write(folder / "steps", 1, like, notes.Note("digest", 0.5, steps.describe(like))).finish()
    array = next((folder / "steps" / "1").rglob("state/d/*"))
    config, lines, note = (
        folder / "config.json",
        folder / "records.jsonl",
        folder / "steps" / "1" / notes.NOTE,
    )
    SETTINGS.save(config)
    write_metrics(folder, {"accuracy": 0.5, "steps": 3}, "state")
    for step in range(1, 20):
        records.append(lines, Record(step, 1, 0.5, 0.25, 1e-3, 2.0, 3.0))
    error = (CheckpointError,)
    readers = {
        "config.json": (config, lambda: Settings.read(config)),
        "metrics.json": (folder / "metrics.json", lambda: metrics_of(folder)),
        "note.json": (note, lambda: notes.note_of(folder / "steps", 1)),
    }
    made = {}
    for name, (path, read) in readers.items():
        made[name] = Format(path, read, error, of_bytes, True)
        made[f"{name}, crafted"] = Format(path, read, error, crafted_seal, False)
    made["records.jsonl"] = Format(lines, lambda: records.read(lines), error, of_bytes, False)
    made["arrays of a step"] = Format(
        array, lambda: steps.describe(steps.load(folder / "steps", 1, like)), error, of_bytes, True
    )
    return made


def of_corpora(folder: Path) -> dict[str, Format]:
    """Write texts, tokenizers and a cache."""
    plain, zipped, cache = (folder / name for name in ("plain", "zipped", "cache"))
    for path in (plain, zipped):
        path.mkdir()
    (plain / "train.csv").write_text(LINES)
    (plain / "labels.txt").write_text("cats\ndogs\n")
    (zipped / "train.csv.gz").write_bytes(gzip.compress(LINES.encode()))
    TOKENIZER.save(folder / "tokenizer.json")
    (folder / "vocab.txt").write_text("\n".join(TOKENIZER.tokens))
    cached(cache, "key", lambda: ARRAYS)

    def tokens() -> list[bytes]:
        return [array.tobytes() for array in cached(cache, "key", lambda: ARRAYS).values()]

    def texts(path: Path) -> Callable[[], Any]:
        return lambda: datasets.load(path).digest

    def tokenizer(name: str) -> Callable[[], Any]:
        return lambda: Tokenizer.read(folder / name).digest

    error, refused = (DataError,), (ValueError, OSError)
    json_file = folder / "tokenizer.json"
    return {
        "train.csv": Format(plain / "train.csv", texts(plain), error, of_bytes, False),
        "labels.txt": Format(plain / "labels.txt", texts(plain), error, of_bytes, False),
        "train.csv.gz": Format(zipped / "train.csv.gz", texts(zipped), error, of_bytes, False),
        "train.csv.gz, crafted": Format(zipped / "train.csv.gz", texts(zipped), error, packed, False),
        "tokenizer.json": Format(json_file, tokenizer("tokenizer.json"), refused, of_bytes, False),
        "tokenizer.json, crafted": Format(
            json_file, tokenizer("tokenizer.json"), refused, crafted_json, False
        ),
        "vocab.txt": Format(folder / "vocab.txt", tokenizer("vocab.txt"), refused, of_bytes, False),
        "cached tokens": Format(cache / "key.npz", tokens, (), of_bytes, True),
    }


def of_weights(bert: Path) -> dict[str, Format]:
    """Write the weights of a BERT."""
    bert.mkdir()
    (bert / "config.json").write_text(
        json.dumps({"vocab_size": 60, "hidden_size": 6, "num_attention_heads": 2})
    )
    save_file({"embeddings.word_embeddings.weight": np.ones((60, 6), np.float32)}, bert / "model.safetensors")

    def table() -> bytes:
        return bert_weights.word_embeddings(bert).tobytes()

    refused = (ValueError, OSError)
    config, weights = bert / "config.json", bert / "model.safetensors"
    return {
        "a BERT's config.json": Format(config, table, refused, of_bytes, False),
        "a BERT's config.json, crafted": Format(config, table, refused, crafted_json, False),
        "a BERT's model.safetensors": Format(weights, table, refused, of_bytes, False),
    }


# --- the tries ----------------------------------------------------------------------------------------------


def tried(format: Format, good: Any, raw: bytes, again: bytes) -> tuple[str, float]:
    """Read a changed file; return what came of it, and the CPU seconds it took."""
    format.path.write_bytes(again)
    start, found = time.process_time(), "refused"
    try:
        value = format.read()
        found = (
            "the same" if value == good else "a failure" if format.is_sealed and again != raw else "another"
        )
    except format.errors as error:
        found = "a failure" if "\n" in str(error) or len(str(error)) > 2000 else "refused"
    except Exception as error:
        print(f"{format.path.name}: {type(error).__name__}: {error!s:.300}", file=sys.stderr)
        found = "a failure"
    seconds = time.process_time() - start
    return ("a failure" if seconds > SECONDS else found), seconds


def fuzzed(name: str, format: Format, seconds: float) -> dict[str, object]:
    """Try changed files for so many seconds; return the counts."""
    rng, raw, good = random.Random(name), format.path.read_bytes(), format.read()
    counts, longest, before = Counter[str](), 0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, took = tried(format, good, raw, format.change(rng, raw))
        counts[found], longest = counts[found] + 1, max(longest, took)
        if counts.total() % 20 == 0:
            gc.collect()  # only a collection frees a tokenizer
    format.path.write_bytes(raw)
    assert format.read() == good
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    kinds = {kind: counts[kind] for kind in ("the same", "refused", "another", "a failure")}
    return {
        "format": name,
        "tries": counts.total(),
        **kinds,
        "longest, s of CPU": round(longest, 3),
        "memory, MB more": more // 1024,
    }


def main(seconds: float) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        made = formats(Path(place))
        gc.freeze()  # what JAX holds need not be looked at again and again
        for name, format in made.items():
            rows.append(fuzzed(name, format, seconds))
            print(rows[-1], flush=True)
    notes = (
        '"another": read as another content, where there is no digest to show it, or the digest was made'
        ' right again. "the same": the change did not matter, as a space in JSON; of the cache: made anew.'
    )
    write("fuzz", "Changed files, read", rows, notes)
    assert not any(row["a failure"] for row in rows)


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 10)
