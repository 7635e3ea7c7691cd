"""The command `demo`: three networks learn the planted corpus side by side, offline.

Their gradients are studied along the way; runs, figures and a page are written to a folder.
"""

import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from wave_jax import tables
from wave_jax.cli import info, report
from wave_jax.data import batches, datasets, planted
from wave_jax.data.batches import Batch
from wave_jax.data.splits import Split
from wave_jax.disk import write_whole
from wave_jax.errors import CheckpointError
from wave_jax.networks.trace import Network
from wave_jax.networks.transformer import TransformerConfig
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs import environment, result, run
from wave_jax.runs.folder import RunFolder
from wave_jax.runs.presets import Preset
from wave_jax.runs.run import Prepared
from wave_jax.study import explain, plot_style, plots
from wave_jax.study.papers import as_row, gradient_study
from wave_jax.training import progress
from wave_jax.training.config import TrainConfig
from wave_jax.training.progress import Bar

__all__ = ["NETWORKS", "TRAINING", "Demo"]

_WAVE = WaveConfig(d=64, dropout=0.2, max_length=64)
NETWORKS = {
    "interference": replace(_WAVE, combine="interfere"),
    "modulation": _WAVE,
    "transformer": TransformerConfig(32, 2, width=64, max_length=64),
}
TRAINING = TrainConfig(epochs=6, rate=5e-3, weight_decay=0.01, smoothing=0.1, drop_tokens=0.1, lengths=2)
_V = 4_000  # all the words there are
_STUDIES = 16  # along a training, about
_TEXTS = 32  # whose gradients are studied, as in P2

_HEAD = """\
wave_jax {version}, jax {jax}, {device}

{texts:,} planted texts on four topics. Words lean to topics, but in a quarter of
the texts only a pair of words decides. Adding up words, one cannot reach
{additive:.1%}; knowing how the texts were made, one reaches {bayes:.1%}.
"""
_PAGE = """\
# Three networks on a planted corpus

{head}
{tables}

![validation accuracy over steps](accuracy.png)

![gradient norms over steps](gradients.png)

Hyperparameters were tuned for modulation only, with a single seed: the demo shows the tool and does not rank
the networks.

Gradients are of the loss, at the embeddings of {texts} validation texts ([CLS]; all tokens of a text) and at
the classifier's parameters.

[explain.html](explain.html) shows a text with a colour and a material that decide its label together, and
what the answer of the network of modulation loses without each of its words. Words that others make up for
lose it little. The runs: {runs}.

{device}; versions: {versions}.
"""
_PLACES = {"cls": "[CLS]", "text": "whole text", "classifier": "classifier"}


@dataclass(frozen=True)
class Demo:
    """Train three small networks offline; compare accuracies and gradients.

    A Wave Network by interference, one by modulation, a one-layer Transformer."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """New folder to write; by default runs/demo, then runs/demo-2 and so on."""
    seed: int = 0
    """Seed of the networks and of the order of texts."""
    size: int = planted.SIZE
    """Texts to train on; with fewer it is faster, and learns less."""

    def __call__(self) -> None:
        began, out = time.perf_counter(), _new(self.out)
        print(_head(self.size), flush=True)
        origin = {"name_or_folder": "planted", "size": self.size}
        dataset, training = datasets.load(**origin), replace(TRAINING, seed=self.seed)
        with tempfile.TemporaryDirectory() as cache, ExitStack() as folders:
            learners = {}
            for name, network in NETWORKS.items():
                prepared = run.prepare(dataset, Preset(network, training, _V), cache=cache, origin=origin)
                folder = folders.enter_context(run.run_folder(out / name, prepared))
                learners[name] = Learner(prepared, folder)
            _learn_together(learners)
            for learner in learners.values():
                learner.finish()
        _leave(out, learners, dataset.valid)
        print(f"\n{_tables(learners, tables.plain)}\n")
        print(f"{time.perf_counter() - began:.0f} s in all. To look at, in {out}:")
        print("  report.md     tables and figures\n  explain.html  which words made a label\n\nNext:")
        for command in _next(out):
            print(f"  {command}")


def _head(size: int) -> str:
    reachable = planted.accuracies()._asdict()
    return _HEAD.format(
        version=version("wave_jax"), jax=version("jax"), device=environment.device(), texts=size, **reachable
    )


def _new(out: Path | None) -> Path:
    """Return a folder that does not exist yet."""
    if out is None:
        places = (Path(f"runs/demo{tail}") for tail in ("", *(f"-{i}" for i in range(2, 10_000))))
        return next(place for place in places if not place.exists())
    if out.exists():
        raise CheckpointError(f"{out} is there already: name a new folder.")
    return out


# --- learning -----------------------------------------------------------------------------------------------


@dataclass
class Learner:
    """One network being trained, and what was observed."""

    prepared: Prepared
    folder: RunFolder
    steps: list[int] = field(default_factory=list)
    studies: list[dict[str, float]] = field(default_factory=list)
    accuracies: dict[int, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def epochs(self, bar: Bar) -> Iterator[float]:
        """Train, and study the gradients on the way: the validation accuracy of every epoch."""
        batch, every, shown = _some(self.prepared), -(-self.prepared.steps // _STUDIES), 0
        self._study(0, self.prepared.network, batch)
        for turn in run.train(self.prepared, self.folder, every=every):
            step = turn.record.step
            bar.advance(step - shown)
            shown = step
            if step - self.steps[-1] > every // 2 or step == self.prepared.steps:
                self._study(step, turn.state.network, batch)
            if turn.record.valid is not None:
                self.accuracies[step] = float(turn.record.valid.accuracy)
                yield self.accuracies[step]

    def _study(self, step: int, network: Network, batch: Batch) -> None:
        self.steps.append(step)
        self.studies.append(as_row(gradient_study(network, batch)))

    def finish(self) -> None:
        """Measure the trained network and write its report."""
        self.metrics = result.finish(self.folder, self.prepared)
        report.write(self.folder, self.metrics)


def _some(prepared: Prepared) -> Batch:
    """Return the first validation texts."""
    valid = prepared.valid
    return batches.gather(valid, np.arange(min(_TEXTS, len(valid.labels))), int(valid.lengths.max()))


def _learn_together(learners: Mapping[str, Learner]) -> None:
    """Train all epoch by epoch, at the same time; print a line of a table for each epoch."""
    print("epoch" + "".join(f"{name:>15}" for name in learners), flush=True)
    assert TRAINING.epochs is not None
    total = sum(learner.prepared.steps for learner in learners.values())
    with progress.bar(total) as bar, ThreadPoolExecutor(len(learners)) as pool:
        runs = [learner.epochs(bar) for learner in learners.values()]
        for epoch in range(1, TRAINING.epochs + 1):
            accuracies: Iterator[float] = pool.map(next, runs)  # pyright: ignore[reportAssignmentType]
            bar.write(f"{epoch:>5}" + "".join(f"{100 * accuracy:>13.2f} %" for accuracy in accuracies))


# --- what is left -------------------------------------------------------------------------------------------


def _tables(learners: Mapping[str, Learner], form: Any) -> str:
    """Write the results, and the gradients at the end of training, as tables of this form."""
    results = [
        {
            "network": name,
            "parameters": learner.metrics["parameters"],
            "without embeddings": learner.metrics["parameters_without_embeddings"],
            "accuracy": learner.metrics["valid_accuracy"],
            "texts/s": round(np.median([record.texts_per_second for record in learner.folder.records()])),
        }
        for name, learner in learners.items()
    ]
    gradients = [
        {
            "gradient norm at": name,
            **{shown: learner.studies[-1][f"{place}_norm"] for place, shown in _PLACES.items()},
        }
        for name, learner in learners.items()
    ]
    return f"{form(results)}\n\n{form(gradients)}"


def _leave(out: Path, learners: Mapping[str, Learner], valid: Split) -> None:
    """Write figures, page and report."""
    first = next(iter(learners.values()))
    norms = {
        shown: {
            name: np.array([row[f"{place}_norm"] for row in learner.studies])
            for name, learner in learners.items()
        }
        for place, shown in _PLACES.items()
    }
    curves = {name: np.array([list(learner.accuracies.values())]) for name, learner in learners.items()}
    figures = {
        "accuracy.png": plots.bands(np.array(list(first.accuracies)), curves, "validation accuracy"),
        "gradients.png": plots.gradient_norms(np.array(first.steps), norms),
    }
    for name, figure in figures.items():
        write_whole(out / name, plot_style.png(figure))
    write_whole(out / "explain.html", _explained(learners["modulation"], valid).page().encode())
    write_whole(out / "report.md", _page(learners).encode())


def _explained(learner: Learner, valid: Split) -> explain.Explanation:
    """Explain the first validation text whose label a colour and a material decide."""
    assert valid.evidence is not None
    colours = {*" ".join(planted.COLOURS).split()}
    spans = zip(valid.texts, valid.evidence, strict=True)
    paired = (text for text, places in spans if any(text[a:b].lower() in colours for a, b in places))
    settings = learner.prepared.settings
    return explain.explain(
        learner.folder.network(),
        learner.prepared.tokenizer,
        next(paired, valid.texts[0]),
        settings.classes,
        max_length=settings.max_length,
    )


def _page(learners: Mapping[str, Learner]) -> str:
    first = next(iter(learners.values()))
    return _PAGE.format(
        head=_head(len(first.prepared.train.labels)).split("\n\n")[1],
        tables=_tables(learners, tables.markdown),
        texts=_TEXTS,
        runs=", ".join(f"[{name}]({name}/report.md)" for name in learners),
        device=first.metrics["device"],
        versions=info.listed(first.metrics["versions"]),
    )


def _next(out: Path) -> Sequence[str]:
    """Return commands to go on with."""
    folder = shlex.quote(str(out / "modulation"))
    return (
        f"wave-jax evaluate {folder} --test",
        f'echo "the crew left the dock" | wave-jax predict {folder}',
        f"wave-jax export {folder} --out {shlex.quote(str(out / 'modulation.wave'))}",
    )
