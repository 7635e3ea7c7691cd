"""fastText, where it is installed: its texts prepared as its authors do, its training and answers; no JAX."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wave_jax.data.splits import Split

__all__ = ["ROW", "SETTINGS", "accuracy", "answers", "loaded", "size", "trained", "words"]

SETTINGS = {"wordNgrams": 2, "lr": 0.5, "epoch": 5, "thread": 2}
ROW = 64  # bytes of a quantized row: 50 codes, its norm, its word or its number


def trained(split: Split, settings: Mapping[str, Any], rows: int | None = None) -> tuple[Any, float]:
    """Write the file that fastText reads, train on it, and return the model and the seconds of training.

    With `rows` it is quantized as its documentation advises: the rows of largest norm, trained once more.
    """
    import fasttext  # pyright: ignore[reportMissingImports]

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.writelines(
            f"__label__{label} {words(text)}\n" for text, label in zip(split.texts, split.labels, strict=True)
        )
        file.flush()
        start = time.perf_counter()
        model = fasttext.train_supervised(file.name, **settings, verbose=0)
        if rows is not None:
            model.quantize(file.name, cutoff=rows, retrain=True, qnorm=True)
        return model, time.perf_counter() - start


def size(model: Any) -> int:
    """Return the bytes of a model's file."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(str(Path(folder) / "model"))
        return (Path(folder) / "model").stat().st_size


def accuracy(model: Any, split: Split) -> float:
    """Return the share of the texts that get their label."""
    found = answers(model, [words(text) + "\n" for text in split.texts])
    return float(np.mean([f"__label__{y}" == answer for y, answer in zip(split.labels, found, strict=True)]))


def answers(model: Any, lines: Sequence[str]) -> list[str]:
    """Return the label of each prepared text, as fastText writes it."""
    return [labels[0] for labels in model.f.multilinePredict(lines, 1, 0.0, "strict")[0]]


def loaded(file: str) -> Any:
    """Load a model from its file."""
    import fasttext  # pyright: ignore[reportMissingImports]

    return fasttext.load_model(file)


def words(text: str) -> str:
    """Prepare a text as fastText's authors do theirs: lower case, punctuation apart, on one line."""
    apart = "".join(f" {char} " if not (char.isalnum() or char.isspace()) else char for char in text.lower())
    return " ".join(apart.split())
