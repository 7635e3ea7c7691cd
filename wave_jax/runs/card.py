"""The card of a saved model: README.md as the Hugging Face Hub reads it, with task, data, numbers and use."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wave_jax import tables
from wave_jax.runs.settings import Settings

__all__ = ["card", "started"]

_METRICS = {"accuracy": "accuracy", "micro_f1": "f1", "macro_f1": "f1"}
"""Numbers of a split, and what the Hub calls them."""
_USE = """```python
from wave_jax import WaveClassifier

classifier = WaveClassifier.{load}("{name}")
classifier.predict(["a text"])
classifier.explain("a text")
```"""


def card(
    name: str, settings: Settings, metrics: Mapping[str, Any], license: str = "unknown", load: str = "load"
) -> str:
    """Write the card of a trained network: a header for the Hub, then Markdown.

    Args:
      name: name of the model.
      settings: those of its run.
      metrics: the numbers of its run.
      license: name of a licence as the Hub lists them.
      load: what reads the model: `load` or `from_pretrained`.
    """
    data = str(settings.data.get("name", "texts in memory"))
    scores = [
        (part, score) for part in ("valid", "test") for score in _METRICS if f"{part}_{score}" in metrics
    ]
    found = [
        {"split": part, "number": score.replace("_", " "), "value": f"{metrics[f'{part}_{score}']:.4f}"}
        for part, score in scores
    ]
    facts = {
        "data": data,
        "classes": ", ".join(settings.classes),
        "parameters": f"{metrics['parameters']:,}" if "parameters" in metrics else "unknown",
        "rows of the vocabulary": f"{settings.v:,}",
        "tokens of a text that are read": f"{settings.max_length:,}",
        "temperature": metrics.get("temperature", "none"),
        **({"threshold of several labels": metrics["threshold"]} if "threshold" in metrics else {}),
        **({"started from": started(settings.start)} if settings.start else {}),
        "network": _listed(settings.network),
        "training": _listed(settings.training),
    }
    parts = [
        _header(name, data, license, metrics, scores),
        f"# {tables.escaped(name)}",
        f"A {settings.kind} network of wave_jax that classifies texts.",
        _USE.format(load=load, name=name),
        *([tables.markdown(found)] if found else []),
        tables.markdown([{"": fact, "value": str(value)} for fact, value in facts.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def started(start: Mapping[str, Any]) -> str:
    """Say in a line what a run started from.

    >>> start = {"path": "runs/first", "data": "news", "digest": 64 * "a", "new_rows": 2, "new_classes": 0}
    >>> started(start)
    'first, trained on news, parameters aaaaaaaaaaaa, new rows 2'
    """
    place = "a classifier in memory" if start["path"] is None else Path(start["path"]).name
    classes = f", new classes {start['new_classes']:,}" if start["new_classes"] else ""
    known = f"{place}, trained on {start['data']}, parameters {start['digest'][:12]}"
    return f"{known}, new rows {start['new_rows']:,}{classes}"


def _header(
    name: str, data: str, license: str, metrics: Mapping[str, Any], scores: list[tuple[str, str]]
) -> str:
    """Write the header in YAML: scalars and short lists as JSON, which is YAML too."""
    results = [
        {
            "type": _METRICS[score],
            "name": f"{part} {score}".replace("_", " "),
            "value": metrics[f"{part}_{score}"],
        }
        for part, score in scores
    ]
    dataset = {"type": re.sub(r"[^\w.-]+", "-", data) or "texts", "name": data}
    entry = {"task": {"type": "text-classification"}, "dataset": dataset, "metrics": results}
    lines = {
        "library_name": "wave_jax",
        "pipeline_tag": "text-classification",
        "license": license,
        "tags": ["wave-network", "jax", "text-classification"],
        "metrics": sorted({_METRICS[score] for _, score in scores}),
        "model-index": [{"name": name, "results": [entry] if results else []}],
    }
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in lines.items()), "---"])


def _listed(settings: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(settings).items())
