"""What a run says about itself."""

import json
import math
import re

import numpy as np
import pytest
from tiny import DATA, PRESET

from wave_jax.cli import report
from wave_jax.data import datasets
from wave_jax.data.rows import FIND
from wave_jax.runs import result, run
from wave_jax.runs.condition import metrics_of
from wave_jax.training.evaluate import Evaluation
from wave_jax.training.loss import Score


def test_numbers_of_an_evaluation_are_json_and_undefined_ones_are_null():
    found = report._numbers(Evaluation(Score(2.0, 2, 3), np.array([[2, 0], [1, 0]])), ("a", "b"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["accuracy"], found["texts"]) == (2 / 3, 3)
    assert found["classes"]["b"] == {"precision": None, "recall": 0.0, "f1": 0.0, "texts": 1}
    assert found["confusion"] == [[2, 0], [1, 0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    prepared = run.prepare(DATA, PRESET)
    with run.run_folder(tmp_path_factory.mktemp("report") / "first", prepared) as folder:
        list(run.train(prepared, folder, every=2))
        report.write(folder, result.finish(folder, prepared, preset="tiny"))
    return folder


def test_the_page_of_a_run_says_what_was_measured(folder):
    page, metrics = (folder.path / "report.md").read_text(), metrics_of(folder.path)
    assert metrics is not None
    assert page.startswith("# first\n")
    assert f"{100 * metrics['valid_accuracy']:.2f} %" in page
    assert metrics["parameter_digest"] in page
    assert page.count("\n| 1 | 4 |") == 1
    assert (folder.path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_hostile_names_are_text_in_the_report(folder, tmp_path):
    named = type(folder)(tmp_path / "# <svg onload=alert(1)>", folder.settings)
    metrics = {**metrics_of(folder.path), "data": "<img src=x>\n# more"}
    page = report._page(named, metrics, [])
    assert not re.search(r"(?<!\\)<(svg|img)", page)
    assert "\n# more" not in page


def test_a_file_of_the_run_is_not_written_over(folder):
    for name in ("config.json", "metrics.json", "../first/report.md"):
        with pytest.raises(ValueError, match="is a file of the run itself: name another one"):
            report.exported(folder, folder.path / name, "int8")
        with pytest.raises(ValueError, match="is a file of the run itself: name another one"):
            report.explanation(folder, "up", folder.path / name, None, "leave_one_out")


def test_texts_in_memory_cannot_be_found_again(folder):
    with pytest.raises(run.CheckpointError, match="trained on texts in memory: name a folder"):
        report.evaluation(folder)


def test_each_split_is_evaluated_under_its_own_name(tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.csv").write_text(f"label,text\n0,up {part}\n1,down {part}\n")
    origin = datasets.origin_of(str(tmp_path))
    settings = run.prepare(datasets.load(**origin), PRESET, origin=origin).settings
    for test, names in ((False, ["valid"]), (True, ["valid", "test"])):
        _, splits = report._splits(settings, test, None, FIND)
        assert {name: split.texts[0] for name, split in splits.items()} == {x: f"up {x}" for x in names}


def test_shares_that_are_known():
    assert report._known(0.5) == 0.5
    assert report._known(math.nan) is None
