"""Texts of `predict`: lines of any file, and tables whose columns all come back with their answers."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wave_jax.cli import predict
from wave_jax.errors import DataError


def rows_of(path: Path, column: str | None = None):
    with predict.opened(path, column) as (names, blocks, _):
        return names, [(text, tuple(fields)) for block in blocks for text, fields in block]


def test_lines_are_texts_and_a_table_has_columns(tmp_path):
    (tmp_path / "x.log").write_bytes(b"label,text\na,b\r\n\xff end")
    assert rows_of(tmp_path / "x.log") == ((), [("label,text", ()), ("a,b", ()), ("\ufffd end", ())])
    (tmp_path / "x.csv").write_text('id,text\n7,"a, b"\n8,c\n')
    assert rows_of(tmp_path / "x.csv") == (("id", "text"), [("a, b", ("7", "a, b")), ("c", ("8", "c"))])
    assert rows_of(tmp_path / "x.csv", "ID")[1][0] == ("7", ("7", "a, b"))
    (tmp_path / "x.csv").write_text('"3","title","text"\n')
    assert rows_of(tmp_path / "x.csv") == ((), [("title text", ())])


def test_labels_of_fasttext_are_no_part_of_the_text(tmp_path):
    (tmp_path / "x.txt").write_text("__label__a b c\n")
    assert rows_of(tmp_path / "x.txt") == (("label", "text"), [("b c", (["a"], "b c"))])


def test_long_tables_come_in_blocks(tmp_path):
    (tmp_path / "x.tsv").write_text("text\n" + "".join(f"text {i}\n" for i in range(3000)))
    with predict.opened(tmp_path / "x.tsv") as (_, blocks, _):
        assert [len(block) for block in blocks] == [1024, 1024, 952]


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("x.log", "a", "text", r"x\.log is read line by line and has no column 'text'"),
        ("x.csv", "text,probability\n", None, r"x\.csv has a column 'probability', as the answers are"),
        ("x.csv", "id,name\n1,a\n", None, r"none of the columns id, name is known to hold texts: name it"),
        ("x.csv", "id,text\n1,a\n", "body", r"there is no column 'body': name one of id, text"),
    ],
)
def test_a_fault_is_named(tmp_path, name, content, column, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        rows_of(tmp_path / name, column)


SHARES = np.array([[0.2, 0.7, 0.1]])
CLASSES = ("a", "b", "c")


def written(fields=(), text="x y", **settings):
    form = predict.Form(CLASSES, **settings)
    return form.header() + "".join(form.lines([(text, fields)], SHARES))


def test_an_answer_is_a_line_of_label_probability_and_text():
    assert written() == "b\t0.7000\tx y\n"
    assert written(text="x\ty\u2028z") == "b\t0.7000\tx y z\n"
    assert json.loads(written(json=True)) == {"label": "b", "probability": 0.7, "text": "x y"}


def test_a_table_keeps_its_columns():
    settings = {"names": ("id", "text"), "fields": (None, "x\ty")}
    assert written(**settings) == "prediction\tprobability\tid\ttext\nb\t0.7000\t\tx y\n"
    found = json.loads(written(**settings, json=True))
    assert found == {"id": None, "text": "x\ty", "prediction": "b", "probability": 0.7}


def test_the_likeliest_labels_above_a_threshold():
    assert written(top=2) == "b\t0.7000\ta\t0.2000\tx y\n"
    assert written(top=9, threshold=0.15) == "b\t0.7000\ta\t0.2000\t\t\tx y\n"
    assert written(threshold=0.8) == "\t\tx y\n"
    assert json.loads(written(threshold=0.8, json=True)) == {
        "label": None,
        "probability": None,
        "text": "x y",
    }
    found = json.loads(written(top=2, threshold=0.5, json=True))
    assert found == {"labels": [{"label": "b", "probability": 0.7}], "text": "x y"}


def test_the_probability_of_each_class_on_request():
    head = "prediction\tprobability\tprediction_2\tprobability_2\tp(a)\tp(b)\tp(c)\ttext\n"
    assert written(top=2, every=True) == head + "b\t0.7000\ta\t0.2000\t0.2000\t0.7000\t0.1000\tx y\n"
    assert json.loads(written(every=True, json=True))["probabilities"] == {"a": 0.2, "b": 0.7, "c": 0.1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top": 0}, "top must be at least 1, got 0"),
        ({"threshold": 1.5}, r"threshold must be in 0\.\.1, got 1\.5"),
    ],
)
def test_a_form_that_says_nothing_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        written(**settings)


def test_lines_come_as_they_are_however_long():
    read, write = os.pipe()
    os.write(write, b"one\ntwo\r\n\n" + b"x" * 5000 + b"\nno end")
    os.close(write)
    lines = [line for some in predict._lines(read, most=7) for line in some]
    assert lines == ["one", "two", "", "x" * 5000, "no end"]
    os.close(read)


def test_a_line_costs_its_length_alone(tmp_path):
    (tmp_path / "long").write_bytes(b"x" * 2**26)  # quadratic, this takes a minute
    with (tmp_path / "long").open("rb") as file:
        lines = [line for some in predict._lines(file.fileno(), most=2**12) for line in some]
    assert [len(line) for line in lines] == [2**26]


def test_nothing_in_an_answer_steers_a_terminal():
    line = predict.line(["a\x1b[31m", "b\x9b\x00c\td\r\ne\u2028f\x85"])
    assert line == "a [31m\tb  c d e f \n"


def test_several_labels_of_a_text_share_a_cell():
    form = predict.Form(CLASSES, top=3, threshold=0.2, several=True)
    assert [*form.lines([("x", ())], SHARES)] == ["b|a\t0.7000|0.2000\tx\n"]
    assert [*form.lines([("x", ())], SHARES / 9)] == ["\t\tx\n"]
    table = predict.Form(CLASSES, ("text",), top=3, threshold=0.2, several=True)
    assert table.header() == "prediction\tprobability\ttext\n"
    as_json = predict.Form(CLASSES, json=True, threshold=0.2, top=3, several=True)
    (line,) = as_json.lines([("x", ())], SHARES)
    assert [answer["label"] for answer in json.loads(line)["labels"]] == ["b", "a"]


@pytest.mark.parametrize(
    ("threshold", "asked", "expected"),
    [
        (None, (None, None), (1, 0.0, False)),
        (0.3, (None, None), (3, 0.3, True)),
        (0.3, (2, 0.6), (2, 0.6, True)),
        (None, (2, 0.1), (2, 0.1, False)),
    ],
)
def test_what_is_written_follows_the_network_unless_told(threshold, asked, expected):
    answers = SimpleNamespace(classes=CLASSES, threshold=threshold)
    options = SimpleNamespace(top=asked[0], threshold=asked[1], json=False, probabilities=False)
    form = predict.form(answers, (), options)
    assert (form.top, form.threshold, form.several) == expected
