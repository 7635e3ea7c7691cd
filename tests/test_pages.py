"""The code of the documentation's pages runs, from top to bottom, as it stands there."""

import re
import shlex
import tempfile
from pathlib import Path

import beside_fasttext
import pytest
import tyro
from conftest import unchecked

from wave_jax.cli import __main__, train

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ["extending.md", "fasttext.md", "questions.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(block, names)


def test_the_tables_beside_fasttext_are_those_of_the_results():
    page = beside_fasttext.PAGE.read_text()
    assert page == beside_fasttext.written(page), "run `python docs/beside_fasttext.py`"
    for name in ("small", "whole", "predictor"):
        assert f"<!-- {name} -->\n<!-- /{name} -->" not in page
    report = (DOCS.parent / "experiments/results/small/report.md").read_text()
    numbers = re.findall(r"\d+\.\d+ ± \d+\.\d+", page)
    assert len(numbers) >= 10
    assert [number for number in numbers if number not in report] == []


def test_a_column_that_no_row_has_is_left_out():
    rows = beside_fasttext.table("| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| a | b |", "a")
    assert beside_fasttext.written_as(rows, ["b", "c"]) == "| b |\n| --- |\n| 2 |"


def test_every_command_beside_fasttext_is_one():
    commands = re.findall(r"`wave-jax ([^`]+)`", beside_fasttext.PAGE.read_text())
    assert {command.split()[0] for command in commands} == {"train", *__main__._LIGHT}
    for command in commands:
        name, *options = shlex.split(command)
        if "--start" in options:  # which is read to know the options
            assert options[-1] == "runs/news"
            options = options[:-2]
        with unchecked():
            parsed = (
                tyro.cli(__main__._LIGHT[name], args=options) if name != "train" else train.parse(options)
            )
        assert parsed is not None
