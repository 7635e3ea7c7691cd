"""Killed twenty times at random moments: does a run come to the same end?

    python -m benchmarks.kill [KILLS]                    (about three minutes on 2 cores)

A small Wave Network is trained on the planted corpus, and saved after every second step, in a process that
is killed (SIGKILL) after a random number of records and a random part of a second, and started again, until
it has been killed so often; then it is left to end. The digest of its parameters and optimizer, and its
records, are compared with those of a run that nobody touched.
Writes benchmarks/results/kill.md.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flax import nnx

from benchmarks.report import write
from wave_jax.data import batches, planted
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs.folder import RunFolder, Settings, parameter_digest
from wave_jax.training import loop
from wave_jax.training.loop import TrainConfig

TEXTS, LENGTH, EVERY = 4_000, 64, 2
NETWORK = WaveConfig(d=64, dropout=0.5, max_length=LENGTH)
TRAINING = TrainConfig(epochs=4, batch=64, rate=3e-3, schedule="cosine", drop_tokens=0.3)


def create(path: Path) -> None:
    texts = planted.generate(0, "train", TEXTS).texts
    tokenizer = Tokenizer.train(texts, v=8_000)
    settings = Settings(
        NETWORK,
        TRAINING,
        tokenizer.v,
        planted.CLASSES,
        LENGTH,
        tokenizer.digest,
        {"name": "planted", "size": TEXTS},
    )
    RunFolder.create(path, settings, tokenizer).close()


def go_on(path: Path) -> None:
    """Train from the folder's last step to the end, with a line per record."""
    with RunFolder.open(path) as folder:
        settings, tokenizer = folder.settings, folder.tokenizer()
        drawn, held = planted.generate(0, "train", TEXTS), planted.generate(0, "valid", TEXTS // 10)
        tokens = batches.tokenize(drawn.texts, drawn.labels, tokenizer, LENGTH)
        valid = batches.tokenize(held.texts, held.labels, tokenizer, LENGTH)
        state = folder.resume()
        print("from", 0 if state is None else int(state.step), flush=True)
        start = state or settings.network.build(v=settings.v, c=len(settings.classes), rngs=nnx.Rngs(0))
        for state, record in loop.fit(start, tokens, settings.training, valid=valid, every=EVERY):
            folder.append(record)
            folder.save(state, metric=record.valid and record.valid.accuracy)
            print("at", record.step, flush=True)


def started(path: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.kill", "--run", str(path)]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(path.parent), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | cache)


def killed(path: Path, records: int, seconds: float) -> tuple[int, int]:
    """Return the step a run went on from, and the last one it reported before it was killed."""
    with started(path) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline().split()[1]) for _ in range(records + 1)]
        time.sleep(seconds)
        process.kill()
    assert process.returncode == -9, "the run ended before it was killed"
    return told[0], told[-1]


def ended(path: Path) -> tuple[str, list[loop.Record]]:
    """Return the result of a run: the digest of its last state, and its records without the clock's."""
    with started(path) as process:
        assert process.wait() == 0
    folder = RunFolder.open(path)
    records = [record._replace(texts_per_second=0.0) for record in folder.records()]
    return parameter_digest(folder.restore()), records


def main(kills: int) -> None:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        whole, broken = Path(place, "whole"), Path(place, "broken")
        create(whole)
        create(broken)
        digest, records = ended(whole)
        most = len(records) // kills  # so that the last kill comes before the end
        rows = []
        for kill in range(1, kills + 1):
            seconds = rng.uniform(0, 0.3)
            start, last = killed(broken, rng.randint(0, most), seconds)
            left = [entry.name for entry in (broken / "checkpoints").iterdir() if not entry.name.isdecimal()]
            rows.append(
                {
                    "kill": kill,
                    "went on from step": start,
                    "last step reported": last,
                    "and killed after, s": f"{seconds:.2f}",
                    "half-written steps": len(left),
                }
            )
            print(rows[-1], flush=True)
        again, resumed = ended(broken)
    same = "the same" if (again, resumed) == (digest, records) else "NOT the same"
    notes = (
        f"{records[-1].step} steps. After {kills} kills the run has {same} parameters and optimizer (SHA-256"
        f" {again[:16]}…) and {len(records)} records, but for texts per second, as one that nobody touched."
    )
    write("kill", f"A run killed {kills} times", rows, notes)
    assert (again, resumed) == (digest, records)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        go_on(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 20)
