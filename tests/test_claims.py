"""The claims' page and the README say what follows from the results, by verdicts that can go either way."""

import re

import pytest

from experiments import __main__ as command
from experiments import claims
from experiments.frame import verdicts
from wave_jax import tables


def judged(rows, says):
    """The finding of a claim by these rows, through text as a CSV file gives it."""
    (claim,) = [claim for claim in claims.CLAIMS if claim.says == says]
    try:
        return claim.judge([{name: str(value) for name, value in row.items()} for row in rows])
    except verdicts.Unjudged as unjudged:
        return unjudged.finding


def runs(model, accuracy, data="ag_news", **more):
    """Rows of accuracy/runs.csv, as many seeds as numbers."""
    about = {"networks": "paper", "labelled": 120_000, "test": 7_600, "epochs": 4}
    if data == "imdb":
        about |= {"labelled": 25_000, "test": 25_000}
    return [
        {"data": data, "model": model, "seed": seed, "test_accuracy": value, **about, **more}
        for seed, value in enumerate(accuracy)
    ]


def test_the_readme_and_the_page_say_what_follows_from_the_results():
    assert (claims.RESULTS / "claims.md").read_text() == claims.page(claims.RESULTS)
    readme = claims.README.read_text()
    assert claims.replaced(readme, claims.short(claims.RESULTS)) == readme


def test_every_number_of_the_findings_stands_in_a_report():
    said = (claims.README.parent / "docs" / "findings.md").read_text()
    reports = "\n".join(path.read_text() for path in claims.RESULTS.rglob("*.md"))
    numbers = re.findall(r"-?\d+\.\d+ ± \d+\.\d+", said)
    assert len(numbers) > 30
    assert [number for number in numbers if number not in reports] == []


def test_what_has_no_results_cannot_be_judged_and_the_page_says_by_which_command_it_could(tmp_path):
    command.main(["claims", "--out", str(tmp_path)])
    page = (tmp_path / "claims.md").read_text()
    folders = {claim.files[0].split("/")[0].removesuffix("_paper") for claim in claims.CLAIMS}
    for name in sorted(folders - {"benchmarks"}):
        assert name in command.NAMES
        assert f"no results yet: `python -m experiments {name}" in page
    found = [claim.find(tmp_path) for claim in claims.CLAIMS if not claim.files[0].startswith("benchmarks")]
    assert {each.verdict for each in found} == {"not yet measured"}


def test_a_file_of_results_is_read_and_a_lacking_column_named(tmp_path):
    (claim,) = [claim for claim in claims.CLAIMS if claim.says == "Modulation beats interference"]
    file = tmp_path / claim.files[0]
    file.parent.mkdir()
    rows = runs("modulation", [0.92, 0.91]) + runs("interference", [0.90, 0.89])
    file.write_text(tables.csv(rows))
    found = claim.find(tmp_path)
    assert found.verdict == "holds"
    assert found.ours == "91.50 ± 6.35 against 89.50 ± 6.35 (interference, AG News)"
    assert found.of == "AG News, the papers' size, 4 epochs, 2 seeds"
    file.write_text(tables.csv([{"data": "ag_news", "seed": 0}]))
    assert claim.find(tmp_path).why == "its results have no column 'model'"


PARTIAL = {"labelled": 68_000}


@pytest.mark.parametrize(
    ("accuracy", "more", "verdict", "why"),
    [
        ([0.917, 0.916, 0.917], {}, "holds", "more"),
        ([0.909, 0.908, 0.909], {}, "does not hold", "less"),
        ([0.92, 0.90, 0.91], {}, "mixed", "not significantly different from 91.16"),
        ([0.92], {}, "not yet measured", "one seed"),
        ([0.917, 0.916, 0.917], PARTIAL, "holds", "more"),
        ([0.909, 0.908, 0.909], PARTIAL, "not yet measured", "trained on less"),
        ([0.909, 0.908, 0.909], {"epochs": 3}, "not yet measured", "trained on less"),
        ([0.917, 0.916, 0.917], {"networks": "small"}, "not yet measured", "paper's size"),
        ([0.917, 0.916, 0.917], {"test": 7_000}, "not yet measured", "not whole"),
        ([0.917, 0.916, 0.917], {"data": "planted"}, "not yet measured", "lack modulation on AG News"),
    ],
)
def test_the_papers_accuracy(accuracy, more, verdict, why):
    found = judged(runs("modulation", accuracy, **more), "Modulation on AG News: the paper's accuracy")
    assert found.verdict == verdict
    assert why in found.why
    assert ("57% of its texts" in found.of) == (more is PARTIAL)


def test_small_is_held_against_the_papers_number_itself():
    says = "SMALL, 2.4 million parameters in all, beats the paper on AG News"
    assert judged(runs("SMALL", [0.9180, 0.9181], networks="small"), says).verdict == "holds"
    assert judged(runs("SMALL", [0.9150, 0.9151], networks="small"), says).verdict == "does not hold"


@pytest.mark.parametrize(
    ("others", "verdict"),
    [
        ({"ag_news": [0.90, 0.89], "imdb": [0.85, 0.84]}, "holds"),
        ({"ag_news": [0.90, 0.89], "imdb": [0.93, 0.92]}, "mixed"),
        ({"ag_news": [0.93, 0.92]}, "does not hold"),
        ({"ag_news": [0.93, 0.89]}, "does not hold"),
        ({"ag_news": [0.90]}, "not yet measured"),
        ({}, "not yet measured"),
    ],
)
def test_one_model_beats_another_by_more_than_the_interval_of_the_difference(others, verdict):
    rows = [row for data in others for row in runs("modulation", [0.92, 0.91], data)]
    rows += [row for data in others for row in runs("interference", others[data], data)]
    assert judged(rows or runs("modulation", [0.92]), "Modulation beats interference").verdict == verdict


def test_only_seeds_that_both_have_are_compared():
    rows = runs("modulation", [0.92, 0.91, 0.10]) + runs("interference", [0.90, 0.89])
    assert judged(rows, "Modulation beats interference").verdict == "holds"


def test_near_bert_is_as_near_as_in_the_paper():
    def found(accuracy, **more):
        rows = runs("modulation", accuracy, **more) + runs("bert-base-uncased", [0.946, 0.945], **more)
        return verdicts.near_bert(rows, STEP)

    assert found([0.915, 0.914]).verdict == "holds"
    assert found([0.905, 0.904]).verdict == "does not hold"
    with pytest.raises(verdicts.Unjudged, match="paper's size"):
        found([0.915, 0.914], networks="small")


STEP = [{"form": "BERT base", "ms": "1000"}]


def test_what_bert_base_would_cost_is_said_where_it_is_not_measured():
    with pytest.raises(verdicts.Unjudged, match="lack bert-base-uncased; on AG News about 2 hours a seed"):
        verdicts.near_bert(runs("modulation", [0.915, 0.914]), STEP)


def test_a_transformer_trained_with_care_counts_and_those_tried_for_it_do_not():
    rows = runs("modulation", [0.92, 0.91]) + runs("Transformer", [0.80, 0.79])
    tried = runs("Transformer, rate 1, warm-up 0", [0.99])
    says = "Modulation beats a Transformer of one layer"
    assert judged(rows + tried, says).verdict == "holds"
    assert judged(rows + runs("Transformer, rate 2, warm-up 0", [0.95, 0.94]), says).why.startswith("1 of 2")


def test_imdb_is_judged_with_texts_that_are_not_cut_short():
    says = "Modulation, 512 tokens on IMDB: the paper's accuracy"
    assert judged(runs("modulation", [0.91, 0.91], "imdb"), says).verdict == "not yet measured"
    assert judged(runs("modulation, 512 tokens", [0.91, 0.912], "imdb"), says).verdict == "holds"
    assert judged(runs("modulation, 512 tokens", [0.81, 0.812], "imdb"), says).verdict == "does not hold"


def test_parameters_with_the_embeddings_and_without():
    def found(d, without, total):
        rows = [{"model": "Wave", "d": d, "n": 128, "without tables": without, "parameters": total}]
        return judged(rows, "It has 2.4 million parameters")

    assert found(768, 2_366_212, 25_807_108).verdict == "mixed"
    assert found(768, 2_366_212, 25_807_108).ours.startswith("2.37 million without the embeddings, 25.81")
    assert found(768, 1_000_000, 2_400_000).verdict == "holds"
    assert found(768, 2_500_000, 25_000_000).verdict == "does not hold"
    assert found(64, 16_000, 2_000_000).verdict == "not yet measured"


def test_savings_are_those_of_the_whole_step_and_of_the_whole_process():
    def found(temporary, ms, peak=800):
        forms = {"Wave, the table's rows as in training": (100, temporary, ms), "BERT base": (400, 8800, 100)}
        names = ("parameters MB", "temporary MB", "ms")
        rows = [
            {"form": f, "device": "a CPU", **dict(zip(names, of, strict=True))} for f, of in forms.items()
        ]
        rows = [{name: str(value) for name, value in row.items()} for row in rows]
        process = [
            {"network": network, "peak MB": str(peak), "ms a step": str(each)}
            for network, peak, each in (("Wave", peak, ms), ("BERT base", 4000, 100))
        ]
        return verdicts.savings(rows, rows, process)

    assert found(700, 5).ours == (
        "memory of a step -90.0 %, time of a step -95.0 %, "
        "memory of a process -80.0 %, time of its steps -95.0 %"
    )
    assert found(700, 5).verdict == "holds"
    assert found(700, 5, peak=1000).why.startswith("3 of 4")  # a step saves it, a process does not
    assert found(7000, 20, peak=1000).verdict == "does not hold"


def test_a_network_has_converged_if_the_second_half_of_the_batches_adds_little():
    def found(half, end, networks="paper"):
        rows = [
            {"data": "ag_news", "model": "modulation", "seed": seed, "step": step, "test": value + seed / 100}
            | {"networks": networks}
            for seed in (0, 1)
            for step, value in ((250, half), (500, end))
        ]
        return judged(rows, "It converges within 500 batches")

    assert found(0.88, 0.885).verdict == "holds"
    assert found(0.88, 0.90).verdict == found(0.88, 0.90, "small").verdict == "does not hold"
    assert "falls to 0" in found(0.88, 0.885, "small").why
    assert judged([{"data": "a", "model": "BERT", "seed": 0}], "It converges within 500 batches").why == (
        "its results lack after 500 batches against 250"
    )


def test_gradients_are_sparser_if_they_are_at_every_place_by_every_measure():
    def found(wave, at_cls):
        names = [f"{place}_{m}" for place in ("text", "cls", "classifier") for m in ("gini", "sparse")]
        about = {"data": "ag_news", "networks": "small"}
        rows = [
            {**about, "model": model, "seed": seed, **dict.fromkeys(names, value), "cls_gini": cls}
            for seed in (0, 1)
            for model, value, cls in (("modulation", wave, at_cls), ("Transformer", 0.5, 0.5))
        ]
        return judged(rows, "Modulation's gradients are sparser than the Transformer's")

    assert found(0.6, 0.6).verdict == "holds"
    assert found(0.6, 0.5).verdict == "mixed"
    assert found(0.6, 0.5).why.endswith("same: gini at [CLS]")
    assert found(0.4, 0.4).verdict == "does not hold"
    assert found(0.5, 0.5).verdict == "does not hold"
    assert "(gini at whole text, AG News)" in found(0.6, 0.6).ours


def test_a_gradient_is_like_others_if_their_cosine_is_above_a_half():
    def found(*cosines):
        rows = [
            {"data": "a", "model": "modulation", "seed": i, "agreement": c} for i, c in enumerate(cosines)
        ]
        return judged(rows, "The gradient at [CLS] is like that at the other tokens").verdict

    assert (found(0.7, 0.71), found(0.1, 0.11), found(0.7, 0.1)) == (
        "holds",
        "does not hold",
        "does not hold",
    )


def test_dimensions_are_apart_where_nothing_leaves_them():
    def found(leak):
        rows = [{"data": "a", "model": "modulation", "seed": 0, "alone": value} for value in (0.0, leak)]
        rows.append({"data": "a", "model": "Transformer", "seed": 0, "alone": ""})
        return judged(rows, "Encode and combine keep dimensions apart").verdict

    assert (found(0.0), found(1e-3)) == ("holds", "does not hold")


def test_what_spoilt_texts_cost_is_the_loss_from_clean_ones():
    def found(wave):
        rows = [
            {"data": "a", "model": model, "seed": seed, "spoilt by": kind, "rate": rate, "accuracy": accuracy}
            for seed in (0, 1)
            for kind in ("typos", "cut short")
            for model, spoilt in (("modulation", wave), ("Transformer", 0.7))
            for rate, accuracy in ((0, 0.9), (0.2, spoilt), (0.4, 0.1))
        ]
        return judged(rows, "Spoilt texts cost it less than the Transformer")

    assert found(0.8).verdict == "holds"
    assert "10.00 ± 0.00 against 20.00 ± 0.00 (typos, a)" in found(0.8).ours
    assert found(0.6).verdict == "does not hold"


def test_the_wave_carries_what_is_lost_without_it_by_every_control():
    def of(data, models):
        return [
            {"data": data, "model": model, "seed": str(seed), "test_accuracy": str(value)}
            for seed in (0, 1)
            for model, value in models.items()
        ]

    def found(mean, phase_free):
        paper = of(
            "a", {"modulation": 0.9, "bag": mean, "modulation, no phase": phase_free, "interference": 0}
        )
        small = of("b", {"SMALL": 0.9, "mean of embeddings": mean, "without the wave": phase_free})
        claim = next(claim for claim in claims.CLAIMS if claim.says == "The wave carries accuracy")
        return claim.judge(paper, small)

    assert found(0.8, 0.8).verdict == "holds"
    assert found(0.8, 0.9).verdict == "mixed"
    assert found(0.8, 0.9).why.startswith("2 of 4; more: bag, the papers' size, mean of embeddings, SMALL's")
    assert found(0.95, 0.9).verdict == found(0.9, 0.9).verdict == "does not hold"


def test_the_table_stands_between_two_markers_and_nothing_else_changes():
    before, after = claims.MARKERS
    text = f"# Title\n\n{before}\nold\n{after}\n\nmore\n"
    assert claims.replaced(text, r"new \1") == f"# Title\n\n{before}\nnew \\1\n{after}\n\nmore\n"
    with pytest.raises(ValueError, match="once each"):
        claims.replaced(text.replace(after, ""), "new")
