"""The corpora of an experiment, and what rows say of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.frame.contenders import Networks
from wave_jax.data import datasets
from wave_jax.data.datasets import Dataset

__all__ = ["load", "setting", "table"]


def load(data: Sequence[str], valid: float | Path = 0.2, size: int | None = None) -> list[Dataset]:
    """Load the data sets of a setting `data`, or else the planted corpus with `size` texts."""
    return [
        datasets.load(name, valid=valid, size=size if name == "planted" else None)
        for name in data or ("planted",)
    ]


def setting(dataset: Dataset, networks: Networks) -> dict[str, Any]:
    """Return what rows are judged by: the size of the networks, and the number of labelled texts."""
    return {"networks": networks, "labelled": len(dataset.train) + len(dataset.valid)}


def table(loaded: Sequence[Dataset]) -> list[dict[str, Any]]:
    """Return the sizes and the digest of each data set, as rows of a table."""
    return [
        {"data": dataset.name}
        | {part: len(getattr(dataset, part)) for part in ("train", "valid", "test")}
        | {"digest": dataset.digest}
        for dataset in loaded
    ]
