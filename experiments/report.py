"""What every experiment leaves: report.md with its origin on top, its figures, and its numbers as CSV.

What takes long it computes by `cells`, each as soon as it is there kept in cells.jsonl beside the report.
"""

import contextlib
import dataclasses
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from benchmarks.report import machine, origin
from wave_jax import tables
from wave_jax.data import datasets
from wave_jax.data.datasets import Dataset
from wave_jax.disk import write_whole
from wave_jax.networks.bert import BertConfig
from wave_jax.runs import presets, run
from wave_jax.runs.presets import Preset
from wave_jax.study import plot_style, statistics

__all__ = [
    "Networks",
    "against",
    "cells",
    "difference",
    "distinct",
    "load",
    "models",
    "over_seeds",
    "packed",
    "setting",
    "trained",
    "turns",
    "unpacked",
    "verdict",
    "with_seed",
    "write",
]

Networks = Literal["paper", "small"]

Key = Mapping[str, Any]


def cells(out: Path, keys: Sequence[Key], find: Callable[[Key], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `find(key)` for every key, in order, as JSON gives it back; compute only what cells.jsonl lacks.

    A cell is kept with its origin: the report may be written elsewhere. A key holds all that its cell follows
    from: data and their digest, model, seed, and settings, which may be dataclasses. A changed key is another
    cell. Lines that cannot be read, as of a disk that was full, are as if they were not there.
    """
    path = out / "cells.jsonl"
    lines = {_json(line["key"]): line for line in _lines(path)}
    left = {name: key for key in keys if (name := _json(key)) not in lines}
    print(f"{len(left)} of {len(keys)} cells are left to compute.", flush=True)
    for name, key in tqdm(left.items(), desc="cells", disable=not left):
        lines[name] = json.loads(_json({"key": key, "origin": machine(), "found": find(key)}))
        write_whole(path, "".join(f"{_json(line)}\n" for line in lines.values()).encode())
    return [lines[_json(key)]["found"] for key in keys]


def origins(out: Path) -> str:
    """Return with what the cells were computed, each origin with the number of its cells, one a line."""
    counts = Counter(line["origin"] for line in _lines(out / "cells.jsonl") if "origin" in line)
    return "\n".join(f"- {count} cells: {where}" for where, count in counts.items())


def models(networks: Networks, weights: str | None = None, names: Sequence[str] = ()) -> dict[str, Preset]:
    """Return what the papers compare, at their size and settings or at SMALL's, and its variants.

    A wave has one voice, as the papers' have. A Transformer on given words is as wide as they are. At the
    papers' size there are also waves without positions, and Transformers with rates and warm-ups of `GRID`.

    Args:
      networks: whose size and settings.
      weights: folder of a BERT; without one, what needs it is left out.
      names: which models to return; all but the grid if empty.

    >>> list(models("small"))
    ['modulation', 'interference', 'Transformer', 'bag']
    """
    name = "paper-modulation" if networks == "paper" else "small"
    wave = presets.preset(name)
    wave = replace(wave, network=replace(wave.network, voice_width=None))
    interference = replace(wave, network=replace(wave.network, combine="interfere"))
    known = {
        "modulation": wave,
        "interference": interference,
        "Transformer": presets.preset(name, "transformer"),
        "bag": presets.preset(name, "bag"),
    }
    if networks == "paper":
        for wave_name, with_positions in (("modulation", wave), ("interference", interference)):
            bare = replace(with_positions.network, positions="none")
            known[f"{wave_name}, no positions"] = replace(with_positions, network=bare)
    if weights is not None:
        known |= given(name, weights)
    grid = {grid_name: of_grid(known["Transformer"], *point) for grid_name, point in GRID.items()}
    known_too = known | grid
    if unknown := [name for name in names if name not in known_too]:
        more = "" if weights else ", and with weights of Transformer, given words and BERT"
        raise ValueError(f"There is no model {unknown[0]!r}: choose of {', '.join(known_too)}{more}.")
    return {name: known_too[name] for name in names or known}


def given(name: str, weights: str) -> dict[str, Preset]:
    """Return what starts from the weights of a BERT: a Transformer on its words, and all of it."""
    words, size = presets.preset(name, "transformer", weights), BertConfig.read(weights)
    wide = {"d": size.hidden_size, "heads": size.num_attention_heads, "width": 4 * size.hidden_size}
    return {
        "Transformer, given words": replace(words, network=replace(words.network, **wide)),
        "BERT": presets.preset(name, "bert", weights),
    }


# Peak rates and shares of warm-up that the Transformer is tried with; the rate falls linearly to 0.
GRID = {
    f"Transformer, rate {rate:g}, warm-up {warm_up:g}": (rate, warm_up)
    for rate in (1e-4, 3e-4, 1e-3)
    for warm_up in (0.0, 0.1)
}


def of_grid(transformer: Preset, rate: float, warm_up: float) -> Preset:
    """Return the Transformer trained at another rate, with warm-up, falling linearly to 0."""
    training = replace(transformer.training, rate=rate, warm_up=warm_up, schedule="linear")
    return replace(transformer, training=training)


def load(data: Sequence[str], valid: float = 0.2, size: int | None = None) -> list[Dataset]:
    """The data sets of a setting `data`, or else the planted corpus, of which `size` says how large it is."""
    return [
        datasets.load(name, valid=valid, size=size if name == "planted" else None)
        for name in data or ("planted",)
    ]


def with_seed(preset: Preset, seed: int, epochs: int | None) -> Preset:
    """Trained with this seed, and for another number of epochs where one is given."""
    training = replace(preset.training, seed=seed, epochs=epochs or preset.training.epochs)
    return replace(preset, training=training)


def setting(dataset: Dataset, networks: Networks) -> dict[str, Any]:
    """Whose size the networks are, and how many texts train and validate them: what rows are judged by."""
    return {"networks": networks, "labelled": len(dataset.train) + len(dataset.valid)}


def distinct(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that differ in these columns, and no other columns.

    >>> distinct([{"data": "a", "seed": 0}, {"data": "a", "seed": 1}], ["data"])
    [{'data': 'a'}]
    """
    return [dict(values) for values in dict.fromkeys(tuple((k, row[k]) for k in names) for row in rows)]


def turns(prepared: run.Prepared, about: str, every: int = 16) -> Iterator[run.Turn]:
    """`run.train` under a bar that says what is trained."""
    with tqdm(desc=about, total=prepared.steps, leave=False) as bar:
        for turn in run.train(prepared, every=every):
            bar.update(turn.record.step - bar.n)
            yield turn


def trained(prepared: run.Prepared, about: str) -> tuple[list[Any], Any]:
    """The records of a whole training, and its best network."""
    records, network = [], None
    for turn in turns(prepared, about):
        records.append(turn.record)
        network = turn.kept
    return records, network


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines


def _json(value: Any) -> str:
    """Equal for what is equal, whatever the order of its names."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {"kind": type(value).__name__, **dataclasses.asdict(value)}
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        return str(value)

    return json.dumps(value, sort_keys=True, default=plain)


def over_seeds(values: Sequence[float | np.floating], scale: float = 1.0, digits: int = 1) -> str:
    """Mean and half of its 95 % interval.

    >>> over_seeds([0.5, 0.5, 0.5], scale=100)
    '50.0 ± 0.0'
    """
    mean, _, half = statistics.interval([scale * value for value in values])
    return f"{mean:.{digits}f} ± {half:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}"


def against(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Whether ours are more or less than theirs of the same seeds, by more than the 95 % interval of the
    difference; "same" where it holds 0, "one seed" where there is none.

    >>> against([0.5, 0.6, 0.5], [0.2, 0.2, 0.1]), against([0.5, 0.1], [0.3, 0.3]), against([1.0], [0.0])
    ('more', 'same', 'one seed')
    """
    mean, _, half = statistics.interval(np.subtract(ours, theirs))
    if len(ours) == 1:
        return "one seed"
    return "more" if mean > half else "less" if -mean > half else "same"


def difference(runs: Sequence[Key], base: Sequence[Key], name: str) -> dict[str, Any]:
    """Of one model's `test_accuracy` from another's, called `name`, seed by seed, in points of per cent; and
    McNemar's test on their packed `right`. A verdict needs both, thus two seeds or more."""
    pairs = list(zip(runs, base, strict=True))
    tests = [statistics.mcnemar(unpacked(a["right"]), unpacked(b["right"])) for a, b in pairs]
    points = [100 * (a["test_accuracy"] - b["test_accuracy"]) for a, b in pairs]
    mean, _, half = statistics.interval(points)
    p = np.median([test.p for test in tests])
    told = abs(mean) > half and p < 0.05
    return {
        "difference": over_seeds(points, digits=2),
        "only it": f"{np.mean([test.only_a for test in tests]):.0f}",
        f"only {name}": f"{np.mean([test.only_b for test in tests]):.0f}",
        "p": f"{p:.2g}",
        "verdict": ("better" if mean > 0 else "worse") if told else "not told apart",
    }


def packed(right: np.ndarray) -> str:
    """Which texts are answered right, as a cell keeps it.

    >>> packed(np.array([True, False, True]))
    'a0'
    """
    return np.packbits(right).tobytes().hex()


def unpacked(right: str) -> np.ndarray:
    """Which texts are answered right, and nothing after them.

    >>> unpacked("a0").nonzero()[0].tolist()
    [0, 2]
    """
    return np.unpackbits(np.frombuffer(bytes.fromhex(right), np.uint8)) == 1


def verdict(answers: Mapping[str, str], wanted: str) -> str:
    """What `against` answers, by what was compared, to one claim that all of them should be `wanted`.

    >>> verdict({"norm": "more", "spread": "same"}, "more")
    'holds in part (more: norm; same: spread)'
    """
    where: dict[str, list[str]] = {}
    for name, answer in answers.items():
        where.setdefault(answer, []).append(name)
    if "one seed" in where:
        return "cannot be judged (one seed has no interval)"
    holds = "does not hold" if wanted not in where else "holds" if len(where) == 1 else "holds in part"
    said = "; ".join(f"{answer}: {', '.join(names)}" for answer, names in where.items())
    return f"{holds} ({said})"


def write(
    out: Path,
    title: str,
    parts: Mapping[str, str | Sequence[Mapping[str, object]] | plot_style.Figure],
    rows: Mapping[str, Sequence[Mapping[str, object]]],
) -> None:
    """report.md of `parts`, each a text, a table or a figure under its heading, and `rows` as CSV files."""
    page = [f"# {title}", origin(shlex.join(["python", "-m", "experiments", *sys.argv[1:]]))]
    if computed := origins(out):
        page.append(
            f"The page was written as the line above says, its cells were computed with\n\n{computed}"
        )
    for i, (heading, part) in enumerate(parts.items()):
        page.append(f"## {heading}")
        if isinstance(part, plot_style.Figure):
            (out / f"figure{i}.png").write_bytes(plot_style.png(part))
            part = f"![{heading}](figure{i}.png)"
        page.append(part if isinstance(part, str) else tables.markdown(part))
    for name, table in rows.items():
        (out / f"{name}.csv").write_text(tables.csv(table))
    (out / "report.md").write_text("\n\n".join(page) + "\n")
    print("\n\n".join(page))
