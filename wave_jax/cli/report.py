"""What a run says about itself: numbers for programs, text for terminals, and report.md in its folder."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wave_jax import tables
from wave_jax.cli.info import in_short, listed, percent
from wave_jax.data import datasets
from wave_jax.data.rows import FIND, Columns
from wave_jax.data.splits import Split
from wave_jax.disk import write_whole
from wave_jax.errors import CheckpointError, DataError
from wave_jax.runs import run
from wave_jax.runs.card import card
from wave_jax.runs.folder import RunFolder
from wave_jax.runs.settings import Settings
from wave_jax.serving import export, size
from wave_jax.study import explain
from wave_jax.training.evaluate import Evaluation
from wave_jax.training.loop import Record

__all__ = [
    "evaluation",
    "evaluation_text",
    "explanation",
    "exported",
    "size_of",
    "write",
]


# --- evaluate -----------------------------------------------------------------------------------------------


def evaluation(
    folder: RunFolder, *, test: bool = False, place: str | None = None, columns: Columns = FIND
) -> dict[str, Any]:
    """Evaluate the network kept on the validation texts, and on the test split if it is asked for.

    Args:
      folder: the run.
      test: whether to read the test split too.
      place: where the texts are now, if they moved; or a file of other labelled texts to evaluate on.
      columns: names of the columns of such a file.
    """
    name, splits = _splits(folder.settings, test, place, columns)
    trained = folder.trained()
    found = {part: _numbers(trained.evaluate(split), trained.classes) for part, split in splits.items()}
    threshold = {} if trained.threshold is None else {"threshold": trained.threshold}
    return {"run": str(folder.path), "data": name, **threshold, **found}


def _splits(
    settings: Settings, test: bool, place: str | None, columns: Columns
) -> tuple[str, dict[str, Split]]:
    """Return the name of the texts to evaluate on, and their splits."""
    if place is not None and Path(place).is_file() and not _moved(settings, place):
        columns = columns._replace(several=settings.training.labels == "several")
        split = datasets.labelled(place, settings.classes, columns=columns)
        return Path(place).name, {"texts": split}
    dataset = run.texts_of(settings, place)
    splits = {"valid": dataset.valid, **({"test": dataset.test} if test else {})}
    if not any(map(len, splits.values())):
        raise DataError(f"{dataset.name} has no validation texts: evaluate on a file (--data FILE).")
    return dataset.name, {part: split for part, split in splits.items() if len(split)}


def _moved(settings: Settings, place: str) -> bool:
    """Return whether a file holds the texts that the run was trained on."""
    try:
        return bool(run.texts_of(settings, place))
    except (CheckpointError, DataError):
        return False


def _numbers(found: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """Return an evaluation as JSON holds it; what is not defined is null."""
    columns = found.precision, found.recall, found.f1, found.texts
    by_class = {
        name: {"precision": _known(p), "recall": _known(r), "f1": _known(f1), "texts": int(texts)}
        for name, p, r, f1, texts in zip(classes, *columns, strict=True)
    }
    score = found.score
    return {
        "texts": int(score.count),
        "accuracy": score.correct / score.count,
        "macro_f1": found.macro_f1,
        **({"micro_f1": found.micro_f1} if found.confusion.ndim == 3 else {}),
        "loss": float(score.mean_loss),
        "classes": by_class,
        "confusion": found.confusion.tolist(),
    }


def _known(share: float) -> float | None:
    return None if math.isnan(share) else float(share)


def evaluation_text(found: Mapping[str, Any]) -> str:
    """Write an evaluation for a terminal."""
    parts = []
    for name in ("valid", "test", "texts"):
        if name in found:
            split = found[name]
            where = found["data"] if name == "texts" else f"{found['data']}, {name}"
            head = f"{where}: {percent(split['accuracy'])} of {split['texts']:,} texts"
            if "micro_f1" in split:
                head += f" with exactly their labels, from {found['threshold']:.3g} on"
                head += f", micro-F1 {percent(split['micro_f1'])}"
            head += f", macro-F1 {percent(split['macro_f1'])}"
            parts.append(f"{head}, loss {split['loss']:.3f}\n\n{tables.plain(_class_rows(split))}")
    return "\n\n".join(parts)


def _class_rows(split: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"class": name, **numbers} for name, numbers in split["classes"].items()]


# --- explain, export ----------------------------------------------------------------------------------------


def explanation(
    folder: RunFolder, text: str, page: Path | None, label: str | None, method: explain.Method
) -> str:
    """Write the page of an explanation; return the answer and the strongest words for a terminal.

    Args:
      folder: the run.
      text: the text to explain.
      page: the file to write, if any.
      label: the class to explain; the likeliest one if not given.
      method: how to score.
    """
    if not text.strip():
        raise ValueError("The text has no words: give one to explain.")
    if page is not None:
        _check_own(folder, page)
    found = folder.trained().explain(text, label, method)
    if page is not None:
        write_whole(page, found.page().encode())
    words = [  # [CLS] and [SEP] have no characters
        {"word": text[token.start : token.end] or token.token, "score": token.score}
        for token in found.strongest()
    ]
    head = f"{found.classes[found.label]}, probability {found.probabilities[found.label]:.3f}"
    if found.threshold is not None:
        answers = ", ".join(found.classes[i] for i in found.answers) or "none"
        head = f"Labels from {found.threshold:.3g} on: {answers}\nExplained is {head}"
    shown = "" if page is None else f"\n\n{page} shows the text."
    return f"{head}\n\n{tables.plain(words)}{shown}"


def exported(folder: RunFolder, file: Path, dtype: export.Dtype, place: str | None = None) -> str:
    """Write the exported file or page; return its size and what rounding cost, for a terminal.

    Args:
      folder: the run.
      file: the file to write.
      dtype: what most numbers are rounded to.
      place: where the texts are now, if they moved.
    """
    _check_own(folder, file)
    trained = folder.trained()
    valid = run.texts_of(folder.settings, place).valid
    found = export.save(file, trained, dtype=dtype, valid=trained.tokens(valid) if len(valid) else None)
    head = f"{file}: {found.size / 1e6:,.2f} MB in {dtype}"
    if found.loss is None:
        return f"{head}\nThere are no validation texts to measure the cost of rounding on."
    before, after, texts = found.loss.before, found.loss.after, found.loss.texts
    return (
        f"{head}\n"
        f"valid {percent(before)} before, {percent(after)} after, over {texts:,} texts;"
        f" {percent(found.loss.changed)} of the answers changed"
    )


def size_of(folder: RunFolder, most: int) -> str:
    """Say how many bytes the exported file of a run has, which is at most so many."""
    return f"As an int8 file it has {size.measured(folder.trained(), most):,} bytes, of {most:,} allowed."


def _check_own(folder: RunFolder, file: Path) -> None:
    """Raise a ValueError if a file that is to be written is one of the run's own."""
    own = "config.json tokenizer.json records.jsonl metrics.json report.md README.md accuracy.png .lock"
    own += " search.json search.md"
    if file.name in own.split() and file.resolve().parent == folder.path.resolve():
        raise ValueError(f"{file} is a file of the run itself: name another one (--out).")


# --- report.md ----------------------------------------------------------------------------------------------


def write(folder: RunFolder, metrics: Mapping[str, Any]) -> None:
    """Write report.md with its figure, and README.md, the card of the model, of a finished run."""
    from wave_jax.study import plot_style, plots  # Matplotlib is slow to load, and other commands need none

    validated = [record for record in folder.records() if record.valid is not None]
    accuracies = {
        "training": [[record.accuracy for record in validated]],
        "validation": [[float(record.valid.accuracy) for record in validated if record.valid is not None]],
    }
    steps = np.array([record.step for record in validated])
    figure = plots.bands(steps, {name: np.array(values) for name, values in accuracies.items()})
    write_whole(folder.path / "accuracy.png", plot_style.png(figure))
    name = folder.path.resolve().name
    write_whole(folder.path / "README.md", card(name, folder.settings, metrics).encode())
    write_whole(folder.path / "report.md", _page(folder, metrics, validated).encode())


def _page(folder: RunFolder, metrics: Mapping[str, Any], validated: Sequence[Record]) -> str:
    plain = {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}
    epochs = [
        {
            "epoch": record.epoch,
            "step": record.step,
            "loss": record.loss,
            "training accuracy": record.accuracy,
            "validation accuracy": record.valid and float(record.valid.accuracy),
        }
        for record in validated
    ]
    settings = {"network": folder.settings.network, "training": folder.settings.training}
    return "\n\n".join(
        [
            f"# {tables.escaped(folder.path.resolve().name)}",
            f"{metrics['model']} on {tables.escaped(metrics['data'])}: {in_short(metrics)}.",
            "![accuracy over steps](accuracy.png)",
            tables.markdown(epochs),
            "The line of an epoch speaks of its last steps; training counts dropout and dropped tokens.",
            tables.markdown([{"": name, "value": _short(value)} for name, value in plain.items()]),
            *(f"{name.capitalize()}: {listed(dataclasses.asdict(of))}." for name, of in settings.items()),
            f"Versions: {listed(metrics['versions'])}.\n",
        ]
    )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
