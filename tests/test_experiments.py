"""Every experiment runs, small, from its command to its report."""

import contextlib
import csv
import inspect
import json
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden import make_bert
from safetensors.numpy import save_file
from tiny import BATCH, CONFIGS, build

from experiments import __main__ as command
from experiments import (
    ablation,
    accuracy,
    attribution,
    claims,
    complexity,
    convergence,
    gradient_study,
    independence,
    learning_curve,
    robustness,
    small,
    targets,
    what_is_left,
)
from experiments.frame import (
    compare,
    contenders,
    corpora,
    gradients,
    grid,
    page,
    peer,
    results,
    rivals,
    verdicts,
)
from experiments.frame.about import about
from wave_jax import wave
from wave_jax.data.splits import Split
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks import bert_weights
from wave_jax.networks.layers import count_parameters
from wave_jax.networks.trace import Trace
from wave_jax.study import measures
from wave_jax.study.edits import scaled


def run(name, out, monkeypatch, *settings):
    args = [name, "--preset", "smoke", "--out", str(out), *settings]
    monkeypatch.setattr(sys, "argv", ["experiments", *args])
    command.main(args)
    page = (out / "report.md").read_text()
    assert page.split("\n\n")[1].startswith(f"`python -m experiments {name} --preset smoke")
    for claim in claims.CLAIMS:  # they find their columns: nothing is missing but seeds, texts and models
        folder, file = claim.files[0].split("/")
        if folder.removesuffix("_paper") == name and len(claim.files) == 1:
            with contextlib.suppress(verdicts.Unjudged):
                claim.judge(results.read(out, file))
    return page


def table(page, heading):
    lines = page.split(f"## {heading}\n\n")[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_attribution(tmp_path, monkeypatch):
    folder = tmp_path / "texts"
    folder.mkdir()
    for part in ("train", "test"):
        rows = [f"{i % 2},{['up rise', 'down fall'][i % 2]} {'abcde'[i % 5]}" for i in range(20)]
        (folder / f"{part}.csv").write_text("\n".join(["label,text", *rows]))
    out = tmp_path / "out"
    page = run("attribution", out, monkeypatch, "--data", str(folder))
    assert [row["method"] for row in table(page, "Texts that keep their answer, %: texts")] == [
        *attribution.METHODS
    ]
    assert [row["data"] for row in table(page, "Data")] == ["planted", "texts"]
    points = list(csv.DictReader((out / "deletion.csv").read_text().splitlines()))
    assert len(points) == 2 * len(attribution.METHODS) * 3  # data, methods, and 0 to 2 tokens masked
    assert {row["kept"] for row in points if row["masked"] == "0"} == {"1.0"}
    heading = "Infidelity, sensitivity, and what is left of the order, %: planted"
    checks = {row["method"]: row for row in table(page, heading)}
    assert [name for name, row in checks.items() if row["standard error"] != "-"] == ["Shapley, 32 orders"]
    assert checks["random"]["sensitivity"] == "0.0"
    assert {checks["random"][name] for name in attribution.CHECKS if "shuffled" in name} == {"100.0"}
    assert len(list(csv.DictReader((out / "checks.csv").read_text().splitlines()))) == len(points) / 3
    assert len(list(out.glob("*.png"))) == 2


def test_small(tmp_path, monkeypatch):
    variants = ("SMALL", "without pairs")
    page = run("small", tmp_path, monkeypatch, "--seeds", "1", "--variants", *variants)
    assert [row["model"] for row in table(page, "Test accuracy")][:2] == list(variants)
    rows = table(page, "Model by model")
    assert [row["model"] for row in rows if row["model"] != "fastText"] == list(variants)
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    for row, point in zip(rows, points, strict=True):
        assert row["model"] == point["model"]
        assert row["test accuracy"] == f"{100 * float(point['test_accuracy']):.2f}"
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_models_stand_beside_small_by_the_seeds_that_both_have():
    seeds = {"SMALL": (0.90, 0.91, 0.92, 0.80), "worse": (0.80, 0.81, 0.82), "alike": (0.92, 0.91, 0.90)}
    rows = [
        {"data": data, "model": model, "seed": seed, "test_accuracy": accuracy}
        for data in ("a", "b")
        for model, found in seeds.items()
        for seed, accuracy in enumerate(found if data == "a" else found[::-1])
    ]
    best, worse, alike = small.side_by_side(rows)
    assert list(best) == ["model", "a", "b"]
    assert best["a"].startswith("88.25 ± ")
    assert worse["a"] == "81.00 ± 2.48 less"
    assert alike["a"] == "91.00 ± 2.48"


def test_what_is_said_of_small_stands_in_its_results():
    root = Path(__file__).parent.parent
    says = (root / "docs" / "small.md").read_text().splitlines()
    results = root / "experiments" / "results"
    reports = [(results / name / "report.md").read_text() for name in ("small", "learning_curve")]
    rows = [line for line in says if line.startswith("|")]
    assert len(rows) > 20
    assert set(rows) <= set("\n".join(reports).splitlines())


def test_learning_curve(tmp_path, monkeypatch):
    page = run("learning_curve", tmp_path, monkeypatch)
    rows = table(page, "Test accuracy: planted")
    assert [row["texts"] for row in rows] == ["40", "72"]  # 60 to train and 12 to validate
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    of = [100 * float(p["test_accuracy"]) for p in points if (p["texts"], p["model"]) == ("72", "TF-IDF")]
    assert rows[1]["TF-IDF"].split(" ±")[0] == f"{np.mean(of):.1f}"
    assert {row["model"] for row in points} >= {"SMALL", "TF-IDF"}
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_few_texts_are_among_many_and_none_is_of_the_test_split():
    dataset = corpora.load((), 0.2, 50)[0]
    few, many = (learning_curve.drawn(dataset, count, draw=1).texts for count in (7, 20))
    assert many[:7] == few
    assert len(learning_curve.labelled(dataset)) == len(dataset.train) + len(dataset.valid)
    assert learning_curve.drawn(dataset, 7, draw=0).texts != few


def bert_folder(folder):
    tokenizer = Tokenizer.train(["a cat and a dog"] * 2, v=50)
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    (folder / "config.json").write_text(json.dumps(make_bert.CONFIG))
    save_file(make_bert.weights(), folder / "model.safetensors")
    return folder


def test_vectors_are_the_mean_of_a_berts_last_tokens(tmp_path):
    folder, texts = bert_folder(tmp_path), ("a cat", "a dog", "a cat and a dog")
    bert = bert_weights.load(folder, 2, nnx.Rngs(0))
    tokenizer, kept = Tokenizer.read(folder / "tokenizer.json"), {}
    rival = rivals.vectors(Split(texts, np.array([0, 1, 0], np.int32)), folder, kept)
    assert list(rival.answer(texts)) == [0, 1, 0]
    for text in texts:
        ids = tokenizer.encode([text], 256).ids[None].astype(np.int32)
        tokens = np.asarray(bert.tokens(jnp.asarray(ids), jnp.ones(ids.shape, bool))[0], float)
        np.testing.assert_allclose(kept[text], tokens.mean(axis=0), atol=1e-6)


def test_what_fasttext_reads_is_one_line_of_words():
    assert peer.words("Oil\nfell, (again)!") == "oil fell , ( again ) !"


def test_all_passes_over_what_is_finished_with_the_same_settings(tmp_path, monkeypatch, capsys):
    ran = []

    @dataclass(frozen=True)
    class Config:
        data: tuple[str, ...] = ()
        seeds: int = 5

    def experiment(name, broken=False):
        def main(config, out):
            if broken:
                raise KeyboardInterrupt
            ran.append((name, config, out))

        found = ModuleType(name, "What?\n\nPrice: a second.\n\nTo expect: nothing.")
        presets = {"full": Config(), "smoke": Config(seeds=1)}
        vars(found).update(Config=Config, PRESETS=presets, main=main)
        monkeypatch.setitem(sys.modules, f"experiments.{name}", found)

    def everything(*settings):
        ran.clear()
        command.main(["all", "--preset", "smoke", "--out", str(tmp_path), *settings])
        return [name for name, *_ in ran]

    monkeypatch.setattr(command, "NAMES", ["one", "two"])
    experiment("one")
    experiment("two", broken=True)
    with pytest.raises(KeyboardInterrupt):
        everything()
    experiment("two")
    assert everything() == ["two"]
    assert "one is finished." in capsys.readouterr().out
    assert everything() == []
    assert everything("--data", "a", "b", "--weights", "c") == ["one", "two"]
    assert ran[0] == ("one", Config(("a", "b"), seeds=1), tmp_path / "one")
    experiment("two", broken=True)
    with pytest.raises(KeyboardInterrupt):
        command.main(["two", "--preset", "smoke", "--out", str(tmp_path / "two"), "--data", "a", "b"])
    experiment("two")
    assert everything("--data", "a", "b") == ["two"]  # what was begun anew is not finished


@pytest.mark.parametrize("name", command.NAMES)
def test_help_says_the_question_the_claim_and_the_price(name, capsys):
    experiment = import_module(f"experiments.{name}")
    says = about(experiment)
    assert "grid.cells(" in inspect.getsource(experiment)  # which shows a bar, and goes on where it was
    assert "on 2 cores" in " ".join(says.price.split())
    assert "goes on where it was" in " ".join(says.price.split())
    with pytest.raises(SystemExit) as left:
        command.main([name, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    for part in says:
        assert " ".join(part.split()) in shown
    assert f"usage: python -m experiments {name}" in shown
    assert "--preset smoke" in shown


def test_what_an_experiment_says_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    says = "one\ntwo three\n- four\n  five six\n\n    seven eight nine"
    assert command.wrapped(says) == "one two\nthree\n- four\n  five six\n\n    seven eight nine"


def test_what_says_no_price_is_no_experiment():
    with pytest.raises(ValueError, match=r"docstring of one must begin with a question.*Price: "):
        about(ModuleType("one", "What?\n\nTo expect: nothing."))


def test_before_it_begins_an_experiment_says_what_it_does_and_what_it_costs(tmp_path, capsys):
    found = ModuleType("one", "What?\n\nPrice: a second.\n\nTo expect: nothing.")
    vars(found).update(main=lambda config, out: print("begun"))
    command.answer(found, "seeds=3", tmp_path)
    said = capsys.readouterr().out
    assert said.split("\n\n") == ["What?", "Price: a second.", f"seeds=3\ninto {tmp_path}\nbegun\n"]


def test_an_unknown_experiment_is_refused_with_the_names_of_the_known(capsys):
    with pytest.raises(SystemExit):
        command.main(["astrology"])
    assert "'attribution'" in capsys.readouterr().err


def test_convergence(tmp_path, monkeypatch):
    page = run("convergence", tmp_path, monkeypatch, "--models", "bag", "--texts", "30")
    points = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert [(point["seed"], point["step"]) for point in points] == [(s, k) for s in "01" for k in "24"]
    for split, name in (("test", "Test"), ("valid", "Validation")):
        last = [float(point[split]) for point in points if point["step"] == "4"]
        (row,) = table(page, f"{name} accuracy, %: planted")
        assert row["4"] == compare.over_seeds(last, 100)
        assert all(30 * x == pytest.approx(round(30 * x)) for x in last)  # of 30 texts
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_batches_until_nine_tenths_of_the_way_from_chance_to_the_best():
    curves = {"fast": np.array([[0.5, 0.9, 1.0]]), "slow": np.array([[0.5, 0.5, 0.9]])}
    curves["never"] = curves["slow"] - 0.1
    rows = convergence.table([10, 20, 30], curves, classes=4)
    assert [row["batches to 90 %"] for row in rows] == [30, "none", "none"]
    rows = convergence.table([10, 20, 30], curves | {"fast": curves["fast"] - 0.05}, classes=4)
    assert [row["batches to 90 %"] for row in rows] == [30, 30, "none"]


def test_a_stopped_experiment_goes_on_with_the_cells_that_are_left(tmp_path, capsys):
    asked, stops = [], [2]

    def find(key):
        if key["seed"] in stops:
            raise KeyboardInterrupt
        asked.append(key["seed"])
        return {"right": np.array([True, False]), "accuracy": np.float32(0.5) * key["seed"]}

    def keys(**changes):
        return [{"seed": seed, "settings": replace(small.Config(), **changes)} for seed in range(3)]

    with pytest.raises(KeyboardInterrupt):
        grid.cells(tmp_path, keys(), find)
    stops.clear()
    found = grid.cells(tmp_path, keys(), find)
    assert asked == [0, 1, 2]
    assert "1 of 3 cells are left" in capsys.readouterr().out
    assert found == [{"right": [True, False], "accuracy": 0.5 * seed} for seed in range(3)]
    file = tmp_path / "cells.jsonl"
    file.write_bytes(file.read_bytes()[:-9])  # as a full disk leaves it
    assert grid.cells(tmp_path, keys(), find) == found
    assert asked == [0, 1, 2, 2]
    assert grid.cells(tmp_path, keys()[::-1], find) == found[::-1]  # all are there
    assert len(asked) == 4
    grid.cells(
        tmp_path, [key | {"later": None} for key in keys()], find
    )  # a setting that is new, and not set
    assert len(asked) == 4
    grid.cells(tmp_path, keys(epochs=7), find)  # other settings, other cells
    assert asked[4:] == [0, 1, 2]


def test_a_report_says_with_what_its_cells_were_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "machine", lambda: "a GPU")
    grid.cells(tmp_path, [{"seed": 0}, {"seed": 1}], lambda key: {"accuracy": 0.5})
    monkeypatch.setattr(grid, "machine", lambda: "a CPU")
    grid.cells(tmp_path, [{"seed": 1}, {"seed": 2}], lambda key: {"accuracy": 0.5})
    assert grid.origins(tmp_path) == "- 2 cells: a GPU\n- 1 cells: a CPU"
    page.write(tmp_path, "Title", {}, {})
    assert "computed with\n\n- 2 cells: a GPU" in (tmp_path / "report.md").read_text()


def test_networks_of_the_papers_size_have_a_folder_of_their_own():
    assert command.folder("accuracy", accuracy.Config()) == "accuracy_paper"
    assert command.folder("accuracy", accuracy.Config(networks="small")) == "accuracy"
    assert command.folder("complexity", complexity.Config()) == "complexity"


def test_the_papers_size_has_variants_and_a_grid_by_name():
    models = contenders.models("paper")
    assert models["modulation, no positions"].network.positions == "none"
    assert models["interference, no positions"].network.combine == "interfere"
    assert models["modulation, no phase"].network.read_out == "magnitude"
    name = "Transformer, rate 0.0003, warm-up 0.1"
    longer = "modulation, 512 tokens"
    assert not {name, longer} & set(models)  # only when asked for
    asked = contenders.models("paper", names=(name, longer))
    training = asked[name].training
    assert (training.rate, training.warm_up, training.schedule) == (3e-4, 0.1, "linear")
    assert asked[longer].network.max_length == 512
    with pytest.raises(ValueError, match="There is no model 'astrology'"):
        contenders.models("paper", names=("astrology",))


def test_the_best_of_the_grid_on_validation_has_more_seeds(tmp_path, monkeypatch):
    def judge(dataset, key):
        best = key["model"].endswith("rate 0.0003, warm-up 0.1") or key["model"] == "modulation"
        right = np.arange(8) < (6 if best else 4)
        numbers = dict.fromkeys(("parameters", "parameters_without_embeddings"), 10)
        accuracies = {"test_accuracy": right.mean(), "valid_accuracy": right.mean()}
        return numbers | accuracies | {"seconds": 1.0, "device": "none", "right": grid.packed(right)}

    monkeypatch.setattr(accuracy, "judge", judge)
    page = run("accuracy", tmp_path, monkeypatch, "--models", "Transformer", "--seeds", "5", "--grid")
    seeds = {row["model"]: row["seeds"] for row in table(page, "Test accuracy, %")}
    assert seeds.pop("modulation") == "5"
    assert seeds.pop("Transformer") == seeds.pop("Transformer, rate 0.0003, warm-up 0.1") == "3"
    assert set(seeds.values()) == {"1"}
    assert len(seeds) == len(contenders.RATES["Transformer"]) - 1
    page = run("accuracy", tmp_path, monkeypatch, "--seeds", "5", "--finished")  # names and computes nothing
    assert {row["model"]: row["seeds"] for row in table(page, "Test accuracy, %")}.items() >= seeds.items()


def test_what_starts_from_weights_is_called_as_its_folder_is(tmp_path):
    from golden import make_bert
    from safetensors.numpy import save_file

    weights = make_bert.weights()
    words = "embeddings.word_embeddings.weight"
    for name, held in (("whole", weights), ("words", {words: weights[words]})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(make_bert.CONFIG))
        save_file(held, tmp_path / name / "model.safetensors")
    folders = [str(tmp_path / name) for name in ("whole", "words")]
    known = contenders.every("small", folders)
    from_weights = [name for name, preset in known.items() if preset.weights and "warm-up" not in name]
    assert from_weights == ["Transformer on words of whole", "whole", "Transformer on words of words"]
    assert known["whole, random start"].weights is None
    assert known["whole, rate 5e-05, warm-up 0.1"].weights == tmp_path / "whole"
    assert contenders.berts(folders) == ["whole", "whole, random start"]
    assert contenders.fewer(known["whole"], 5) == 3
    assert contenders.fewer(known["interference"], 5) == 5
    key = json.loads(grid._json({"preset": known["whole"]}))["preset"]["weights"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "whole").rename(tmp_path / "elsewhere" / "whole")  # the same weights, the same cell
    grid._digest.cache_clear()
    moved = replace(known["whole"], weights=tmp_path / "elsewhere" / "whole")
    assert json.loads(grid._json({"preset": moved}))["preset"]["weights"] == key


def test_accuracy(tmp_path, monkeypatch):
    page = run("accuracy", tmp_path, monkeypatch, "--models", "bag")
    rows = table(page, "Test accuracy, %")
    assert [(row["model"], row["seeds"]) for row in rows] == [("modulation", "2"), ("bag", "2")]
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    bag = [float(row["test_accuracy"]) for row in points if row["model"] == "bag"]
    assert rows[1]["test"] == compare.over_seeds(bag, 100, digits=2)
    assert [row["model"] for row in table(page, "Differences")] == ["bag"]
    texts = table(page, "Data")[0]["test"]
    cells = [json.loads(line)["found"] for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    for cell in cells:  # what McNemar's test reads is what is counted
        assert grid.unpacked(cell["right"]).sum() == pytest.approx(cell["test_accuracy"] * int(texts))


def test_a_difference_is_told_by_more_than_its_interval_and_a_paired_test():
    def told(runs, base):
        both = ([{"test_accuracy": np.mean(a), "right": grid.packed(a)} for a in of] for of in (runs, base))
        return compare.difference(*both, "base")["verdict"]

    none, some, few, all_ = ([i < n for i in range(96)] for n in (0, 40, 43, 80))
    assert told([all_, all_], [some, some]) == "better"
    assert told([some, some], [all_, all_]) == "worse"
    assert told([all_, none], [some, some]) == "not significant"
    assert told([few, few], [some, some]) == "not significant"
    assert told([all_], [some]) == "not significant"  # one seed says nothing


def test_a_difference_over_seeds_is_significant_by_the_interval_of_its_mean():
    """For two seeds it is 9 standard deviations long, for thirty a third of one: half of it, Student's."""
    wide, narrow = [1.0, 3.0], [0.7 + (-1) ** i for i in range(30)]
    for differences, verdict in ((wide, "same"), (narrow, "more")):
        theirs = [5.0 + i for i in range(len(differences))]
        ours = [a + b for a, b in zip(theirs, differences, strict=True)]
        assert compare.against(ours, theirs) == verdict
        assert compare.against(theirs, ours) == {"more": "less", "same": "same"}[verdict]
    assert np.mean(wide) > np.std(wide, ddof=1)
    assert np.mean(narrow) < np.std(narrow, ddof=1)


def test_complexity(tmp_path, monkeypatch):
    page = run("complexity", tmp_path, monkeypatch)
    models = ["Wave", "Transformer"]
    points = list(csv.DictReader((tmp_path / "costs.csv").read_text().splitlines()))
    assert [row["model"] for row in points] == 3 * models
    for row in points:
        by_formula = complexity.formulas(row["model"], int(row["n"]), int(row["d"]))
        assert int(row["parameters"]) == by_formula["parameters"]
        assert int(row["without tables"]) == by_formula["without tables"]
        assert 1 < int(row["kept"]) / by_formula["kept"] < 1.4  # terms of lower order count in small networks
    for heading in ("Exponents along text length n", "Exponents along width d"):
        assert [row["model"] for row in table(page, heading)] == models
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize("model", complexity.MODELS)
def test_formulas_of_costs_at_the_papers_size(model):
    """Nothing is run: networks are shapes. P1's 2.4 million parameters are those of Wave."""
    n, d = 128, 768
    config = complexity.networks(n, d)[model]
    network = jax.eval_shape(lambda: config.build(v=complexity.V, c=complexity.C, rngs=nnx.Rngs(0)))
    by_formula = complexity.formulas(model, n, d)
    count = count_parameters(network)
    assert count == (by_formula["parameters"], by_formula["without tables"])
    assert not model.startswith("Wave") or count.without_embeddings == 2_366_212
    of_text = complexity.kept(network, 2, n) - complexity.kept(network, 1, n)
    assert by_formula["kept"] == pytest.approx(of_text, rel=0.06)


@pytest.fixture
def folder(tmp_path):
    """Texts of one length, so that a network is compiled once."""
    path = tmp_path / "texts"
    path.mkdir()
    for part in ("train", "test"):
        rows = [f"{i % 2},{['up rise', 'down fall'][i % 2]} {'abcde'[i % 5]}" for i in range(40)]
        (path / f"{part}.csv").write_text("\n".join(["label,text", *rows]))
    return str(path)


@pytest.fixture
def one_wave(monkeypatch):
    for module in (gradient_study, gradients):
        monkeypatch.setattr(module, "WAVES", ("modulation",))


@pytest.mark.usefixtures("one_wave")
def test_gradient_study(folder, tmp_path, monkeypatch):
    page = run("gradient_study", tmp_path, monkeypatch, "--data", folder)
    assert page.count("not yet measured (one seed has no interval)") == 2
    rows = list(csv.DictReader((tmp_path / "studies.csv").read_text().splitlines()))
    names = ["modulation", "Transformer"]
    assert sorted((row["model"], row["step"]) for row in rows) == sorted((m, s) for m in names for s in "024")
    compared = table(page, "Against the Transformer: texts")
    assert len(compared) == (2 + 3) * 3  # measures of both claims, places
    shown = next(row["wave"] for row in compared if row["measure"] == "gini")
    means = [np.mean([float(row["cls_gini"]) for row in rows if row["model"] == "modulation"][1:])]
    assert shown == compare.over_seeds(means, digits=3)
    assert len(list(tmp_path.glob("*.png"))) == 5 + 4 + 1
    at = table(page, "Sparser at how many thresholds, end: texts")
    assert [row["thresholds"] for row in at] == 3 * ["17"]
    assert [row["stage"] for row in table(page, "Share that moves the magnitude: texts")] == ["Z1", "Z2", "Z"]
    quantiles = table(page, "Quantiles of the sizes, end: texts")
    assert [(row["network"], row["place"]) for row in quantiles][3] == ("Transformer", r"\[CLS\]")
    assert all(float(row["0.05"]) <= float(row["0.99"]) for row in quantiles)
    (seed, _) = csv.DictReader((tmp_path / "seeds.csv").read_text().splitlines())
    cells = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    cell = next(cell for cell in cells if cell["key"]["model"] == "modulation")
    below = [cell["found"]["entries"][when]["cls"]["below"] for when in ("middle", "end")]
    at_least = [t >= 1e-4 for t in cell["key"]["thresholds"]]
    assert float(seed["cls_sparse"]) == pytest.approx(np.mean(np.array(below)[:, at_least]))


@pytest.mark.usefixtures("one_wave")
def test_a_gradient_study_without_a_transformer_compares_nothing(folder, tmp_path, monkeypatch):
    page = run("gradient_study", tmp_path, monkeypatch, "--data", folder, "--models", "modulation")
    assert "Verdicts" not in page
    assert "Against the Transformer" not in page
    assert list(table(page, "All measures, mean over training: texts")[0]) == ["measure", "modulation"]


def test_the_closed_form_is_that_of_cls_pooling():
    for combine in ("modulate", "interfere"):
        config = replace(CONFIGS["modulation"], combine=combine)
        assert gradient_study.closed_form(build(config), BATCH) < 1e-5
    assert gradient_study.closed_form(build(replace(config, pool="mean")), BATCH) > 0.1


def test_a_claim_is_judged_by_all_its_comparisons():
    seeds = {"interference": (3.0, 3.1, 2.9), "modulation": (1.0, 9.0, -4.0), "Transformer": (1.0, 1.1, 1.0)}
    names = [f"{place}_{m}" for ms in gradients.CLAIMS.values() for m in ms for place in gradients.PLACES]
    over = {model: [dict.fromkeys(names, value) for value in values] for model, values in seeds.items()}
    over["interference"] = [row | {"cls_resultant": 0.0} for row in over["interference"]]
    lines = gradients.verdicts(gradients.comparisons(over)).splitlines()
    assert lines[0].startswith("- interference, sparser than the Transformer: holds (more: sparse at [CLS]")
    assert lines[1].startswith("- modulation, sparser than the Transformer: does not hold (same:")
    assert (
        "interference, more of one direction than the Transformer: mixed (8 of 9; less: resultant" in lines[2]
    )


def test_independence(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(independence, "WAVES", ("modulation",))
    page = run("independence", tmp_path, monkeypatch, "--data", folder)
    assert "holds: off the diagonal there is at most 0 in modulation." in page
    rows = list(csv.DictReader((tmp_path / "independence.csv").read_text().splitlines()))
    shown = table(page, "Before and after training: texts")
    assert [row["network"] for row in shown] == [
        m for m in [*independence.WAVES, "Transformer"] for _ in "12"
    ]
    for row, of in zip(shown, rows, strict=True):
        assert row["rank, h"] == f"{float(of['rank_h']):.3f}"
    before, after = rows[0], rows[1]
    assert before["training"] == "before"
    assert before["jacobian_cls"] != after["jacobian_cls"]
    assert len(list(tmp_path.glob("*.png"))) == 1


@pytest.mark.parametrize("name", ["modulation", "Transformer"])
def test_the_jacobian_is_that_of_h_by_every_token(name):
    network, ids, mask = build(CONFIGS[name]), BATCH.ids[0], BATCH.mask[0]
    w = network.trace(ids, mask).w
    plain = jax.jit(jax.jacfwd(lambda x: network.trace(ids, mask, nudge=Trace(w=x - w)).h))(w)
    got = independence.jacobian(network, ids, mask)
    np.testing.assert_allclose(got, np.moveaxis(plain, 1, 0), rtol=2e-3, atol=1e-4)


def test_encode_and_combine_keep_dimensions_apart_and_a_change_that_does_has_moved_one():
    network, ids, mask = build(CONFIGS["modulation"]), BATCH.ids[0], BATCH.mask[0]
    J = independence.alone(network, ids, mask)
    assert J.shape == (2, 6, 6, 6)
    assert float(np.abs(J).max()) > 0
    assert float(measures.off_diagonal(J)) == 0
    assert independence.reach(np.diag([1.0, 2.0, 0.0]))["moved"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("d", [4, 6])
def test_where_all_is_mixed_alike_the_width_does_not_show(d):
    mixed = np.ones((2, d, d))
    even = independence.reach(mixed[0])
    assert (independence.crossing(mixed), even["moved"]) == (pytest.approx(1), pytest.approx(1))
    np.testing.assert_allclose(even["curve"], independence.SHARES, atol=1e-12)


def test_networks_of_different_width_come_into_one_figure():
    cells = []
    for model, d in (("modulation", 48), ("Transformer", 64)):
        of = dict.fromkeys(independence.COLUMNS, 0.5) | independence.reach(np.eye(d))
        cells += [{"model": model, "before": of, "after": of}] * 2
    parts = independence.of_data("texts", cells)
    assert "How far a change of one dimension spreads, after training: texts" in parts


def test_robustness(tmp_path, monkeypatch):
    page = run("robustness", tmp_path, monkeypatch, "--models", "bag")
    points = list(csv.DictReader((tmp_path / "accuracy.csv").read_text().splitlines()))
    assert len(points) == 2 * len(robustness.SPOILT) * 3  # models, and rates with 0
    case = {(row["model"], row["accuracy"]) for row in points if row["spoilt by"] == "changed case"}
    clean = {(row["model"], row["accuracy"]) for row in points if row["rate"] == "0"}
    assert len(case) == 2
    assert case == clean  # the vocabulary is lower case
    losses = table(page, "Losses: planted")
    assert [row["spoilt by"] for row in losses] == [*robustness.SPOILT]
    assert {row["modulation loses"] for row in losses} == {"one seed"}
    assert len(list(tmp_path.glob("*.png"))) == len(robustness.SPOILT)
    with pytest.raises(ValueError, match=r"at must be one of rates = \(0.1,\), got 0.2"):
        robustness.Config(rates=(0.1,))


WORDS = " ".join(f"{chr(97 + i)}{chr(97 + j)}word" for i in range(26) for j in range(8))


@pytest.mark.parametrize("name", robustness.SPOILT)
def test_a_text_is_spoilt_the_same_every_time_and_at_no_rate_not_at_all(name):
    (once,), (again,), (other,) = (robustness.spoil([WORDS], name, 0.3, seed) for seed in (1, 1, 2))
    assert once == again != WORDS
    assert name == "cut short" or once != other
    assert robustness.spoil([WORDS, ""], name, 0.0, 1) == [WORDS, ""]
    assert all(robustness.spoil(["one", "a b"], name, 1.0, 1))  # something is left
    two = robustness.spoil([WORDS, WORDS], name, 0.3, 1)
    assert name == "cut short" or two[0] != two[1]


def test_of_spoilt_texts_so_much_is_hit_as_the_rate_says_and_more_at_a_higher_one():
    words, hit = WORDS.split(), {}
    for rate in (0.3, 0.6):
        of = {name: robustness.spoil([WORDS], name, rate, 0)[0] for name in robustness.SPOILT}
        left = of["dropped words"].split()
        hit[rate] = {
            "case": {i for i, (a, b) in enumerate(zip(WORDS, of["changed case"], strict=True)) if a != b},
            "dropped": {*words} - {*left},
        }
        letters = sum(char.isalpha() for char in WORDS)
        assert len(hit[rate]["case"]) == pytest.approx(rate * letters, rel=0.15)
        assert len(hit[rate]["dropped"]) == pytest.approx(rate * len(words), rel=0.15)
        assert left == [word for word in words if word in left]  # in their order
        assert of["changed case"].lower() == WORDS
        assert of["cut short"] == " ".join(words[: round((1 - rate) * len(words))])
        shuffled = of["shuffled words"].split()
        assert sorted(shuffled) == sorted(words)
        moved = sum(a != b for a, b in zip(words, shuffled, strict=True))
        assert moved == pytest.approx(rate * len(words), rel=0.15)
        same = sum(a == b for a, b in zip(words, of["typos"].split(" "), strict=False))
        assert same < len(words) * (1 - rate)  # a word has several letters
    for kind in ("case", "dropped"):
        assert hit[0.3][kind] < hit[0.6][kind]


def test_ablation(folder, tmp_path, monkeypatch):
    page = run("ablation", tmp_path, monkeypatch, "--data", folder, "--texts", "24")
    rows = table(page, "Controls: texts")
    assert [row["change"] for row in rows] == [ablation.NONE, "mean of embeddings"]
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    for row, point in zip(rows, points, strict=True):
        assert (row["base"], row["change"]) == ("modulation", point["change"])
        assert row["test"] == f"{100 * float(point['test_accuracy']):.2f}"
        assert bool(row["difference"]) == (row["change"] != ablation.NONE)
    assert table(page, "Data")[0]["train"] == "24"
    assert len(list(tmp_path.glob("*.png"))) == 1


@pytest.mark.parametrize("combine", ["modulate", "interfere"])
@pytest.mark.parametrize("less", ["real part", "second map", "wave"])
def test_a_network_that_lacks_something_is_the_formula_without_it(less, combine):
    read_out = "real_imag" if less == "second map" else "real"
    network = build(ablation.LessConfig(d=6, max_length=16, less=less, combine=combine, read_out=read_out))
    (layer,), expected = network.layers, []
    for ids, mask in zip(BATCH.ids, BATCH.mask, strict=True):
        w = np.asarray(network.embedding[...], float)[ids[mask]]
        if less == "wave":
            expected.append(w.mean(axis=0))
            continue
        maps = [layer.variant1, layer.variant1 if less == "second map" else layer.variant2]
        w1, w2 = (w @ np.asarray(m.kernel[...]) + np.asarray(m.bias[...]) for m in maps)
        Z1, Z2 = (u[0] + 1j * np.sqrt((u[1:] ** 2).sum(axis=0)) for u in (w1, w2))
        Z = Z1 * Z2 if combine == "modulate" else Z1 + Z2
        expected.append(np.concatenate([Z.real, Z.imag]) if less == "second map" else Z.imag)
    logits = network.classifier(layer.output(jax.numpy.array(expected, np.float32)))
    np.testing.assert_allclose(
        jax.jit(type(network).__call__)(network, *BATCH[:2]), logits, rtol=1e-4, atol=1e-5
    )
    maps = {"real part": 2, "second map": 1, "wave": 0}[less]
    whole = count_parameters(build(replace(CONFIGS["modulation"], read_out=read_out))).total
    assert count_parameters(network).total == whole - (2 - maps) * (6 * 6 + 6)


def test_what_is_trained_for_an_ablation_is_small_with_one_change_and_nothing_twice():
    train = Split(("",) * 6400, np.arange(6400, dtype=np.int32) % 2)
    expected = contenders.with_seed(ablation.presets.preset("small"), 0, None, train)
    assert expected.training == replace(ablation.presets.preset("small").training, epochs=6)
    points = {
        (base, name): ablation.preset(base, change, 0, None, train)
        for table in ablation.TABLES.values()
        for base, changes in table.items()
        for name, change in {ablation.NONE: {}, **changes}.items()
        if name != "shuffled words"  # whose texts differ, and nothing else
    }
    assert points["modulation", ablation.NONE] == expected
    assert len(set(points.values())) == len(points) == 28
    assert {preset.training for preset in points.values()} == {expected.training}


def test_shuffled_texts_keep_their_words_and_labels_and_those_left_are_drawn_once(folder):
    (dataset,) = corpora.load([folder])
    shuffled, other = (ablation.shuffle(dataset, seed) for seed in (0, 1))
    for part in ("train", "valid", "test"):
        before, after, again = (
            getattr(each, part) for each in (dataset, shuffled, ablation.shuffle(dataset, 0))
        )
        assert before.texts != after.texts == again.texts != getattr(other, part).texts
        assert [sorted(text.split()) for text in before.texts] == [
            sorted(text.split()) for text in after.texts
        ]
        assert before.labels.tolist() == after.labels.tolist()
    few = ablation.fewer(dataset, 10)
    assert few.train.digest == ablation.fewer(dataset, 10).train.digest
    assert (len(few.train), few.valid) == (10, dataset.valid)
    assert few.train.texts != dataset.train.texts[:10]
    assert ablation.fewer(dataset, None) is dataset


def test_what_carries_the_accuracy_is_what_costs_some_where_it_is_taken_away():
    def runs(*right):
        answers = [np.arange(96) < n for n in right]
        return [{"test_accuracy": np.mean(a), "right": grid.packed(a)} for a in answers]

    found = {("modulation", ablation.NONE): runs(80, 80), ("modulation", "magnitude"): runs(79, 80)}
    found |= {("modulation", "shuffled words"): runs(40, 41), ("modulation", "2 layers"): runs(90, 90)}
    lines = ablation.verdict(found).splitlines()
    assert lines[0].startswith("- modulation, worse: shuffled words (-41.15")
    assert lines[1] == "- modulation, better: 2 layers (10.42 ± 0.00)."
    assert lines[2].startswith("- modulation, not significant: magnitude (-0.52")
    assert "carried by the order of words; not significantly by the phase." in lines[3]
    one = {point: of[:1] for point, of in found.items()}
    assert ablation.verdict(one) == "Cannot be judged: one seed has no interval."


def test_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(what_is_left, "CHUNK", 16)
    page = run("what_is_left", tmp_path, monkeypatch)
    rows = table(page, "What is left: planted")
    assert [row["scaled away"] for row in rows[::2]] == [*what_is_left.PARTS]
    assert len({row["1"] for row in rows}) == 1  # a share of 1 leaves all, whatever the reference
    points = list(csv.DictReader((tmp_path / "accuracy.csv").read_text().splitlines()))
    assert len(points) == 2 + 2 * len(rows)  # the two networks, and two shares of each row
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_waves_of_another_text_and_waves_at_their_mean():
    """At the mean wave every text gets one answer; with both waves of another text, that text's."""
    network = build(CONFIGS["modulation"])
    other = jax.tree.map(lambda x: x[::-1], BATCH)
    usual = {name: wave.Polar(np.ones(6, np.float32), np.ones(6, np.float32)) for name in ("Z1", "Z2")}
    nothing = (jax.numpy.zeros(()), jax.numpy.zeros(()))
    assert len(set(what_is_left.answer(network, BATCH, nothing, usual).tolist())) == 1
    all_of_it = (jax.numpy.ones(()), jax.numpy.ones(()))
    plain = network(*BATCH[:2]).argmax(axis=-1)
    np.testing.assert_array_equal(what_is_left.answer(network, BATCH, all_of_it, usual), plain)
    both = network.trace(*other[:2])
    mixed = wave.modulate(network.trace(*BATCH[:2]).Z1, both.Z2)
    want = network.trace(*BATCH[:2], edit=Trace(Z=mixed)).logits.argmax(axis=-1)
    np.testing.assert_array_equal(what_is_left.mixed(network, BATCH, other), want)


def test_what_never_had_a_part_answers_as_if_it_were_scaled_away():
    for without, edit in (("magnitude", scaled(magnitude=0.0)), ("phase", scaled(phase=0.0))):
        never = build(replace(CONFIGS["modulation"], combine=what_is_left.WITHOUT[without]))
        edited = build(CONFIGS["modulation"]).trace(*BATCH[:2], edit=Trace(Z1=edit, Z2=edit)).logits
        np.testing.assert_allclose(never(*BATCH[:2]), edited, rtol=1e-4, atol=1e-5)


def test_what_is_tried_out_never_takes_the_place_of_results(tmp_path, monkeypatch):
    written = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "answer", lambda experiment, config, out: written.append(out))
    for preset in ("smoke", "full"):
        command.main(["gradient_study", "--preset", preset, "--networks", "small"])
    assert written == [Path("runs/experiments/gradient_study"), command.HERE / "results" / "gradient_study"]


def test_targets(tmp_path, monkeypatch):
    train = targets.of_small

    def of_small(dataset, preset, key):
        """Several labels are trained; the rest is the same function, and costs two programs more."""
        if key["part"] == "several labels":
            return train(dataset, preset, key)
        return {"test_accuracy": 0.25, "test_macro_f1": 0.125, "seconds": 2.0}

    monkeypatch.setattr(targets, "of_small", of_small)
    page = run("targets", tmp_path, monkeypatch)
    assert [row["model"] for row in table(page, "Class weights: planted")] == ["plain", "balanced"]
    assert [row["train"] for row in table(page, "Data")] == ["60", "60"]  # without folders, no other texts
    rows = table(page, "Several labels: planted")
    assert [row["model"] for row in rows] == ["SMALL", "TF-IDF"]
    assert all(row.keys() >= {"exact", "micro-F1", "macro-F1", "threshold", "seconds"} for row in rows)
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    f1 = next(float(p["test_macro_f1"]) for p in points if p["model"] == "TF-IDF")
    assert rows[1]["macro-F1"] == f"{100 * f1:.1f}"


def test_a_teacher_learns_few_labels_and_its_students_its_answers(tmp_path, monkeypatch):
    dataset = corpora.load((), 0.05, 40)[0]
    monkeypatch.setattr(rivals, "vectors", lambda train, folder, kept: rivals.tfidf(train))
    config = replace(targets.PRESETS["smoke"], weights=(str(tmp_path),), labelled=20, most=30)
    keys = {key["model"]: key for key in targets.keys_of("soft targets", dataset, config)}
    assert [*keys] == ["teacher", "few labels", "teacher of few", "teacher of all"]
    assert 0 <= targets.judge(dataset, keys["teacher"], {})["test_accuracy"] <= 1
    seen = []
    monkeypatch.setattr(targets, "of_small", lambda dataset, preset, key: seen.append(dataset) or {})
    for model in ("few labels", "teacher of few", "teacher of all"):
        targets.judge(dataset, keys[model], {})
    few, same, more = ([*x.train.texts, *x.valid.texts] for x in seen)
    assert (len(few), len(same), len(more)) == (20, 20, 30)
    assert {*few} == {*same} < {*more}
    assert seen[0].train.targets is None
    np.testing.assert_allclose(seen[2].train.targets.sum(axis=1), 1, rtol=1e-5)
