"""What a run folder contains, and the result of a run in a line; no JAX is loaded."""

import dataclasses
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wave_jax import tables
from wave_jax.runs import notes
from wave_jax.runs.card import started
from wave_jax.runs.condition import measured_state, metrics_of
from wave_jax.runs.settings import Settings

__all__ = ["in_short", "info", "info_text", "listed", "option", "percent"]


def info(path: Path) -> dict[str, Any]:
    """Return what is in a run folder."""
    settings, folder = Settings.read(path / "config.json"), path / "checkpoints"
    steps = notes.saved(folder)
    best = notes.best({step: notes.metric_of(folder, step, settings.digest) for step in steps})
    kept = max(steps, default=None) if best is None else best
    notes.check_measured(folder, kept, measured_state(path))
    return {
        "run": str(path),
        "settings": {
            **{field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)},
            "network": {"kind": settings.kind, **dataclasses.asdict(settings.network)},
            "training": dataclasses.asdict(settings.training),
            "data": dict(settings.data),
            "start": settings.start and dict(settings.start),
        },
        "steps": steps,
        "best": best,
        "metrics": metrics_of(path),
    }


def info_text(found: Mapping[str, Any]) -> str:
    """Write what is in a run folder for a terminal."""
    settings, metrics = found["settings"], found["metrics"]
    data = settings["data"]
    lines = {
        "state": "finished" if metrics else "not finished: `train --resume` goes on with it",
        "result": metrics and in_short(metrics),
        "saved steps": ", ".join(map(str, found["steps"])) or "none",
        "best step": found["best"],
        "texts": f"{data['name']}, digest {data['digest'][:12]}",
        "started from": settings["start"] and started(settings["start"]),
        "classes": ", ".join(settings["classes"]),
        "vocabulary": f"{settings['v']:,} rows, tokenizer {settings['tokenizer'][:12]}",
        "network": listed(settings["network"]),
        "training": listed(settings["training"]),
    }
    return "\n".join(_entry(name, str(text)) for name, text in lines.items() if text is not None)


def listed(settings: Mapping[str, Any]) -> str:
    """Write settings as one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _entry(name: str, text: str) -> str:
    line = f"{name:<13}{tables.printable(text)}"
    return textwrap.fill(line, 80, subsequent_indent=" " * 13, break_on_hyphens=False)


def in_short(metrics: Mapping[str, Any]) -> str:
    """Write the result of a run in a line.

    >>> in_short({"valid_accuracy": 0.9166, "seconds": 61.5, "texts_per_second": 12_345.6})
    'valid 91.66 %, trained in 62 s, 12,346 texts/s'
    """
    known = [name for name in ("valid", "test") if f"{name}_accuracy" in metrics]
    accuracies = [f"{name} {percent(metrics[f'{name}_accuracy'])}{_f1(metrics, name)}" for name in known]
    rate = f"{metrics['texts_per_second']:,.0f} texts/s"
    return ", ".join([*accuracies, f"trained in {metrics['seconds']:.0f} s", rate])


def _f1(metrics: Mapping[str, Any], split: str) -> str:
    """Write macro-F1, which runs of earlier versions lack; and micro-F1 of several labels a text."""
    names = {"micro-F1": f"{split}_micro_f1", "macro-F1": f"{split}_macro_f1"}
    known = [f"{shown} {percent(metrics[name])}" for shown, name in names.items() if name in metrics]
    return f" ({', '.join(known)})" if known else ""


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def option(name: str, value: Any) -> str:
    """Return a setting as it is given; a switch as what turns it the other way.

    >>> option("whole-words", True), option("d", 96)
    ('--no-whole-words', '--d\\xa096')
    """
    if isinstance(value, bool):
        return f"--no-{name}" if value else f"--{name}"
    return f"--{name}\xa0{value}"
