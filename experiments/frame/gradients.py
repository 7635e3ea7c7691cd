"""The page of the gradient study: verdicts, tables and figures of its cells."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.frame import compare
from wave_jax import tables
from wave_jax.study import plots, statistics

__all__ = ["TIMES", "WAVES", "about", "closed_form_text", "numbers", "of_data", "study_rows"]

ABOUT_SHARES = """\
The part of ∂L/∂Z along the wave moves its magnitude, what all tokens share (global semantics); the part
across it moves its phase, what is the token's own (local semantics). The share of the first in the squares of
both, a mean over texts; 0.5 where a gradient has nothing to do with its wave."""
PLACES = {"cls": "[CLS]", "text": "whole text", "classifier": "classifier"}
WAVES = ("interference", "modulation")
CLAIMS = {
    "sparser": ("sparse", "gini"),
    "more of one direction": ("resultant", "principal", "sign_agreement"),
}
DRAWN = {"gini": "Gini coefficient", "resultant": "Mean resultant length"}
TIMES = ("start", "middle", "end")  # of training, when the entries themselves are looked at
LEAST = 1e-4  # threshold from which on an entry may count as small

Cells = Sequence[dict[str, Any]]


def about(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cell[name] for name in ("data", "model", "seed", "networks", "labelled")}


def numbers(cell: Mapping[str, Any]) -> dict[str, float]:
    """Return each measure of a training as one number, over the steps after the start."""
    studies = cell["studies"][1:]
    found = {name: float(np.mean([row[name] for row in studies])) for name in studies[0]} | cell["signs"]
    for place in PLACES:
        below = [cell["entries"][when][place]["below"] for when in TIMES[1:]]
        found[f"{place}_sparse"] = float(np.mean(np.array(below)[:, counted(cell)]))
    return found


def counted(cell: Mapping[str, Any]) -> np.ndarray:
    """Return which thresholds are at least `LEAST`."""
    return np.array(cell["thresholds"]) >= LEAST


def study_rows(cells: Cells) -> Cells:
    return [
        {**about(cell), "step": step, **row}
        for cell in cells
        for step, row in zip(cell["steps"], cell["studies"], strict=True)
    ]


def of_data(name: str, cells: Cells) -> dict[str, Any]:
    """Write verdicts, tables and figures of one data set."""
    models = by_model(cells)
    over = {model: [numbers(cell) for cell in of] for model, of in models.items()}
    compared = comparisons(over)
    steps = np.array(cells[0]["steps"])

    def curve(measure: str, model: str) -> np.ndarray:
        """(seeds, steps)"""
        return np.array([[row[measure] for row in cell["studies"]] for cell in models[model]])

    norms = {
        shown: {model: curve(f"{place}_norm", model).mean(axis=0) for model in models}
        for place, shown in PLACES.items()
    }
    found: dict[str, Any] = {f"Verdicts: {name}": verdicts(compared)} if compared else {}
    found |= {f"Against the Transformer: {name}": compared} if compared else {}
    found |= {
        f"All measures, mean over training: {name}": measure_table(over),
        f"Norms: {name}": plots.gradient_norms(steps, norms),
    }
    for measure, label in DRAWN.items():
        for place in ("cls", "text"):
            drawn = {model: curve(f"{place}_{measure}", model) for model in models}
            found[f"{label} at {PLACES[place]}: {name}"] = plots.bands(steps, drawn, label)
    return found | of_entries(name, cells) | of_shares(name, cells)


def of_entries(name: str, cells: Cells) -> dict[str, Any]:
    """Draw how large the entries are, at the start, in the middle and at the end, and at which thresholds."""
    thresholds = np.array(cells[0]["thresholds"])
    exponents = np.log10(thresholds)
    below = {
        when: {
            shown: {
                model: np.mean([each["entries"][when][place]["below"] for each in of], axis=0)
                for model, of in by_model(cells).items()
            }
            for place, shown in PLACES.items()
        }
        for when in TIMES
    }
    along = "log₁₀ of size / largest"
    found: dict[str, Any] = {
        f"Sizes of the entries, {when}: {name}": plots.panels(
            (exponents[1:] + exponents[:-1]) / 2,
            {at: {model: np.diff(curve) for model, curve in lines.items()} for at, lines in curves.items()},
            "share of the entries",
            along,
        )
        for when, curves in below.items()
    }
    at_end = below["end"]
    found[f"Share of entries below a threshold, end: {name}"] = plots.panels(
        exponents, at_end, "share below", "log₁₀ of threshold / largest"
    )
    found[f"Sparser at how many thresholds, end: {name}"] = threshold_table(cells)
    found[f"Quantiles of the sizes, end: {name}"] = quantile_table(cells)
    return found


def by_model(cells: Cells) -> dict[str, Cells]:
    return {
        model: [cell for cell in cells if cell["model"] == model]
        for model in dict.fromkeys(cell["model"] for cell in cells)
    }


def threshold_table(cells: Cells) -> Cells:
    """Count the thresholds from `LEAST` on at which a wave has more entries below than the Transformer."""
    models, at = by_model(cells), np.flatnonzero(counted(cells[0])).tolist()

    def below(model: str, place: str, i: int) -> list[float]:
        return [cell["entries"]["end"][place]["below"][i] for cell in models[model]]

    rows = []
    for wave in WAVES:
        for place, shown in PLACES.items():
            if wave in models and "Transformer" in models:
                told = [compare.against(below(wave, place, i), below("Transformer", place, i)) for i in at]
                counts = {answer: told.count(answer) for answer in ("more", "same", "less")}
                rows.append({"network": wave, "place": shown, "thresholds": len(at)} | counts)
    return rows


def quantile_table(cells: Cells) -> Cells:
    return [
        {"network": model, "place": shown}
        | {
            f"{share:g}": tables.number(
                np.mean([each["entries"]["end"][place]["quantiles"][i] for each in of])
            )
            for i, share in enumerate(of[0]["quantiles"])
        }
        for model, of in by_model(cells).items()
        for place, shown in PLACES.items()
    ]


def of_shares(name: str, cells: Cells) -> dict[str, Any]:
    """Draw the share of the gradient that moves the magnitude, at every wave, along training."""
    waves = {model: of for model, of in by_model(cells).items() if model in WAVES}
    curves = {
        stage: {
            model: np.array([[at[stage] for at in each["shares"]] for each in of])
            for model, of in waves.items()
        }
        for stage in ("Z1", "Z2", "Z")
    }
    drawn = {stage: {model: x.mean(axis=0) for model, x in of.items()} for stage, of in curves.items()}
    rows = [
        {"network": model, "stage": stage}
        | {
            when: compare.over_seeds([*curves[stage][model][:, i]], digits=3)
            for when, i in zip(TIMES, (0, len(cells[0]["steps"]) // 2, -1), strict=True)
        }
        for model in waves
        for stage in curves
    ]
    return {
        f"What moves the magnitude: {name}": ABOUT_SHARES,
        f"Share that moves the magnitude: {name}": rows,
        f"Share that moves the magnitude, along training: {name}": plots.panels(
            np.array(cells[0]["steps"]), drawn, "share that moves |Z|", "step"
        ),
    }


def comparisons(over: Mapping[str, Cells]) -> Cells:
    """Subtract the Transformer from a wave, seed by seed, at every place by every measure of a claim."""
    return [
        {
            "claim": claim,
            "network": wave,
            "place": shown,
            "measure": measure,
            "wave": compare.over_seeds(ours, digits=3),
            "Transformer": compare.over_seeds(theirs, digits=3),
            "difference": compare.over_seeds([a - b for a, b in zip(ours, theirs, strict=False)], digits=3),
            "wave is": compare.against(ours, theirs),
        }
        for claim, names in CLAIMS.items()
        for wave in WAVES
        for measure in names
        for place, shown in PLACES.items()
        if "Transformer" in over
        for ours, theirs in [[[row[f"{place}_{measure}"] for row in over[m]] for m in (wave, "Transformer")]]
    ]


def verdicts(compared: Cells) -> str:
    """Judge each claim: it holds if it does at every place by every measure."""
    claims: dict[tuple[str, str], dict[str, str]] = {}
    for row in compared:
        answers = claims.setdefault((row["network"], row["claim"]), {})
        answers[f"{row['measure']} at {row['place']}"] = row["wave is"]
    return "\n".join(
        f"- {wave}, {claim} than the Transformer: {compare.verdict(answers, 'more')}."
        for (wave, claim), answers in claims.items()
    )


def measure_table(over: Mapping[str, Cells]) -> Cells:
    def shown(values: Sequence[float]) -> str:
        mean, _, half = statistics.interval(values)
        ends = f" ± {tables.number(half)}" if len(values) > 1 else ""
        return tables.number(mean) + ends

    names = next(iter(over.values()))[0]
    return [
        {"measure": name} | {model: shown([row[name] for row in rows]) for model, rows in over.items()}
        for name in names
    ]


def closed_form_text(cells: Cells) -> str:
    worst = {wave: max(max(cell["deviation"]) for cell in cells if cell["model"] == wave) for wave in WAVES}
    found = ", ".join(f"{tables.number(value)} in {wave}" for wave, value in worst.items())
    return (
        "With [CLS] pooling the gradient at another token's variant is w·c, c one factor a dimension for the"
        f" whole text. Largest deviation, before and after training, over the largest entry: {found}."
    )
