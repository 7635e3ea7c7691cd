"""Every experiment runs, small, from its command to its report."""

import csv
import json
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from experiments import __main__ as command
from experiments import accuracy, attribution, complexity, convergence, report, small
from wave_jax.network import count_parameters


def run(name, out, monkeypatch, *settings):
    args = [name, "--preset", "smoke", "--out", str(out), *settings]
    monkeypatch.setattr(sys, "argv", ["experiments", *args])
    command.main(args)
    page = (out / "report.md").read_text()
    assert page.split("\n\n")[1].startswith(f"`python -m experiments {name} --preset smoke")
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
    assert len(list(out.glob("*.png"))) == 2


def test_small(tmp_path, monkeypatch):
    variants = ("SMALL", "without pairs")
    page = run("small", tmp_path, monkeypatch, "--seeds", "1", "--variants", *variants)
    rows = table(page, "Test accuracy")
    assert [row["model"] for row in rows if row["model"] != "fastText"] == list(variants)
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    for row, point in zip(rows, points, strict=True):
        assert row["model"] == point["model"]
        assert row["test accuracy"] == f"{100 * float(point['test_accuracy']):.2f}"
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_what_fasttext_reads_is_one_line_of_words():
    assert small.words("Oil\nfell, (again)!") == "oil fell , ( again ) !"


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
        assert row["4"] == report.over_seeds(last, 100)
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
        report.cells(tmp_path, keys(), find)
    stops.clear()
    found = report.cells(tmp_path, keys(), find)
    assert asked == [0, 1, 2]
    assert "1 of 3 cells are left" in capsys.readouterr().out
    assert found == [{"right": [True, False], "accuracy": 0.5 * seed} for seed in range(3)]
    file = tmp_path / "cells.jsonl"
    file.write_bytes(file.read_bytes()[:-9])  # as a full disk leaves it
    assert report.cells(tmp_path, keys(), find) == found
    assert asked == [0, 1, 2, 2]
    assert report.cells(tmp_path, keys()[::-1], find) == found[::-1]  # all are there
    assert len(asked) == 4
    report.cells(tmp_path, keys(epochs=7), find)  # other settings, other cells
    assert asked[4:] == [0, 1, 2]


def test_accuracy(tmp_path, monkeypatch):
    page = run("accuracy", tmp_path, monkeypatch, "--models", "bag")
    rows = table(page, "Test accuracy, %")
    assert [(row["model"], row["seeds"]) for row in rows] == [("modulation", "2"), ("bag", "2")]
    points = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    bag = [float(row["test_accuracy"]) for row in points if row["model"] == "bag"]
    assert rows[1]["test"] == report.over_seeds(bag, 100, digits=2)
    assert [row["model"] for row in table(page, "Differences")] == ["bag"]
    texts = table(page, "Data")[0]["test"]
    cells = [json.loads(line)["found"] for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    for cell in cells:  # what McNemar's test reads is what is counted
        assert accuracy.right(cell).sum() == pytest.approx(cell["test_accuracy"] * int(texts))


def test_a_difference_is_told_by_more_than_its_interval_and_a_paired_test():
    def runs(*answers):
        cells = [{"test_accuracy": np.mean(a), "right": np.packbits(a).tobytes().hex()} for a in answers]
        return cells

    none, some, all_ = ([i < n for i in range(96)] for n in (0, 40, 80))
    assert accuracy.difference(runs(all_, all_), runs(some, some))["verdict"] == "better"
    assert accuracy.difference(runs(some, some), runs(all_, all_))["verdict"] == "worse"
    assert accuracy.difference(runs(all_, none), runs(some, some))["verdict"] == "not told apart"
    few = [i < 43 for i in range(96)]
    assert accuracy.difference(runs(few, few), runs(some, some))["verdict"] == "not told apart"
    assert accuracy.difference(runs(all_), runs(some))["verdict"] == "not told apart"  # one seed says nothing


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
