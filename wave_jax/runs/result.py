"""What a run leaves: the numbers of the network that it keeps, and of its training.

    metrics = measure(prepared, network, records)                   # or finish(folder, prepared)

`finish` writes them into the run folder as `metrics.json`, by which a finished run is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wave_jax.data.splits import Split
from wave_jax.networks.layers import count_parameters
from wave_jax.networks.trace import Network
from wave_jax.runs import calibration
from wave_jax.runs.environment import device, versions
from wave_jax.runs.folder import RunFolder, parameter_digest
from wave_jax.runs.run import Prepared
from wave_jax.training.evaluate import Outputs, outputs, probabilities
from wave_jax.training.loop import Record
from wave_jax.training.threshold import best_threshold

__all__ = ["finish", "measure"]


def finish(
    folder: RunFolder, prepared: Prepared, *, test: Split | None = None, preset: str | None = None
) -> dict[str, Any]:
    """Measure the network that a run keeps at its end, and write `metrics.json`.

    Args:
      folder: the run folder.
      prepared: what `prepare` made.
      test: the test split, if it is to be measured.
      preset: name of the preset, for the record.
    """
    network = folder.network()
    metrics = measure(prepared, network, folder.records(), test=test, preset=preset)
    folder.finish(metrics)
    return metrics


def measure(
    prepared: Prepared,
    network: Network,
    records: Sequence[Record],
    *,
    test: Split | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    """Return the numbers of a run, as JSON holds them: of the network kept, and of its training.

    `seconds` are those of training, compiling included, over all parts of a run that was resumed; reading,
    validation and saving come on top. `texts_per_second` is the number of texts seen, over them. With several
    labels a text, `threshold` is chosen on the validation texts, and 0.5 where there are none. Each text is
    answered once, and all numbers are made of its logits.

    Args:
      prepared: what `prepare` made.
      network: the network kept.
      records: the records of training.
      test: the test split, if it is to be measured.
      preset: name of the preset, for the record.
    """
    settings, count = prepared.settings, count_parameters(network)
    answered = {"valid": outputs(network, prepared.valid)}
    if test is not None:
        answered["test"] = outputs(network, prepared.trained(network).tokens(test))
    threshold = None if prepared.start.threshold is None else _threshold(answered["valid"])
    texts, seconds = _texts_and_seconds(records, len(prepared.train.labels), settings.training.batch)
    return {
        "model": settings.kind,
        "preset": preset,
        "seed": settings.training.seed,
        "data": settings.data["name"],
        "data_digest": settings.data["digest"],
        **({} if threshold is None else {"threshold": threshold}),
        **_scores(answered, threshold),
        "parameters": count.total,
        "parameters_without_embeddings": count.without_embeddings,
        "parameter_digest": parameter_digest(network),
        "steps": records[-1].step if records else 0,
        "epochs": records[-1].epoch if records else 0,
        "seconds": seconds,
        "texts_per_second": texts / seconds if seconds else 0.0,
        "device": device(),
        "versions": versions(),
        **(calibration.numbers(answered) if prepared.calibrate else {}),
    }


def _threshold(valid: Outputs) -> float:
    """Choose the threshold of several labels on the validation texts."""
    assert valid.targets is not None
    return best_threshold(np.asarray(probabilities(valid.logits, several=True)), valid.targets)


def _scores(answered: Mapping[str, Outputs], threshold: float | None) -> dict[str, float]:
    """Return the numbers of each split as metrics.json names them; none of a split without texts."""
    scores: dict[str, float] = {}
    for split, of in answered.items():
        found = of.evaluated(threshold)
        if not found.score.count:
            continue
        scores[f"{split}_accuracy"] = found.score.correct / found.score.count
        scores[f"{split}_macro_f1"] = found.macro_f1
        if found.confusion.ndim == 3:
            scores[f"{split}_micro_f1"] = found.micro_f1
        scores[f"{split}_loss"] = float(found.score.mean_loss)
    return scores


def _texts_and_seconds(records: Sequence[Record], size: int, batch: int) -> tuple[int, float]:
    """Add up texts and seconds from rates and steps: a record's last batch may not be full.

    >>> at = [Record(step, 1, 0.0, 0.0, 0.0, 0.0, rate) for step, rate in ((2, 8.0), (3, 4.0))]
    >>> _texts_and_seconds(at, size=10, batch=4)
    (10, 1.5)
    """
    per_epoch, before, seconds = -(-size // batch), 0, 0.0
    for record in records:
        epochs, steps = divmod(record.step, per_epoch)
        seen = epochs * size + min(steps * batch, size)
        seconds += (seen - before) / record.texts_per_second
        before = seen
    return before, seconds
