"""Training under a bar that says what is trained."""

from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from wave_jax.data import published
from wave_jax.data.datasets import Dataset
from wave_jax.runs import run
from wave_jax.runs.presets import Preset

__all__ = ["prepared", "trained", "turns"]


def prepared(dataset: Dataset, preset: Preset) -> run.Prepared:
    """Prepare a run whose tokenizer and tokens are cached where those of `wave-jax train` are."""
    return run.prepare(dataset, preset, cache=published.data_folder() / "tokens")


def turns(prepared: run.Prepared, about: str, every: int = 16) -> Iterator[run.Turn]:
    """Yield the turns of `run.train` under a bar that says what is trained."""
    with tqdm(desc=about, total=prepared.steps, leave=False) as bar:
        for turn in run.train(prepared, every=every):
            bar.update(turn.record.step - bar.n)
            yield turn


def trained(prepared: run.Prepared, about: str) -> tuple[list[Any], Any]:
    """Train to the end; return the records and the best network."""
    records, network = [], None
    for turn in turns(prepared, about):
        records.append(turn.record)
        network = turn.kept
    return records, network
