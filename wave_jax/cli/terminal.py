"""A run at a terminal: its head, a bar, a line for every validation, and signals that stop it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import Any

from wave_jax.networks.layers import count_parameters
from wave_jax.runs import run
from wave_jax.runs.card import started
from wave_jax.runs.folder import RunFolder
from wave_jax.runs.run import Prepared
from wave_jax.training import progress

__all__ = ["head", "stopping", "train"]


def head(prepared: Prepared) -> str:
    """Say what is trained on what."""
    settings, count = prepared.settings, count_parameters(prepared.network)
    texts = f"{len(prepared.train.labels):,} texts of {settings.data['name']}"
    start = f"started from {started(settings.start)}\n" if settings.start else ""
    return (
        f"{settings.kind} with {count.total:,} parameters, {count.without_embeddings:,} without embeddings\n"
        f"{start}{texts}, {len(prepared.valid.labels):,} more for validation"
    )


def train(prepared: Prepared, folder: RunFolder, *, lines: bool = True) -> int | None:
    """Train to the end, or to the step at which a signal asked to stop, with a line for every validation."""
    figures = Thread(target=import_module, args=("wave_jax.study.plots",))  # of the report; slow to load
    with stopping() as asked, progress.bar(prepared.steps) as bar:
        for turn in run.train(prepared, folder):
            record = turn.record
            bar.show(record)
            if 2 * record.step >= prepared.steps and figures.ident is None:
                figures.start()  # while the device works
            if lines and record.valid is not None:
                valid = f"valid {100 * float(record.valid.accuracy):.2f} %"
                bar.write(f"epoch {record.epoch:>2}  step {record.step:>6,}  loss {record.loss:.3f}  {valid}")
            if asked() and record.step < prepared.steps:
                folder.save(turn.state)
                return record.step
    return None


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Catch signals that ask to stop: the first waits for the loop to look, the next one does not wait."""
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: Any) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
