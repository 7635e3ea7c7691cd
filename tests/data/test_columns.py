"""Columns are found by name or by their usual names, and mistakes in their rows are named."""

import logging

import pytest

from wave_jax.data.columns import read, text_column
from wave_jax.data.rows import Columns
from wave_jax.data.table_files import Table
from wave_jax.errors import DataError


def csv(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        "Label,Text\ny,x\n",
        "category,sentence\ny,x\n",
        "Text,title,label\nx,t,y\n",
        "wording,class\nx,y\n",
        "review,stars\nx,y\n",
    ],
)
def test_usual_names_are_found_and_other_columns_left(tmp_path, content, caplog):
    with caplog.at_level(logging.INFO, "wave_jax.data.columns"):
        rows = read(csv(tmp_path, content))
    assert (rows.texts, rows.values) == (["x"], ["y"])
    assert (
        f"texts are in column {rows.columns.text!r}, labels in column {rows.columns.label!r}" in caplog.text
    )
    assert rows.where(0).endswith("x.csv, line 2")


def test_named_columns_are_read_and_nothing_is_said(tmp_path, caplog):
    path = csv(tmp_path, "text,label,Headline,kind\na,b,x,y\n")
    with caplog.at_level(logging.INFO, "wave_jax.data.columns"):
        rows = read(path, Columns("headline", "kind"))
    assert (rows.texts, rows.values, rows.columns) == (["x"], ["y"], Columns("Headline", "kind"))
    for content in ("label,text\ny,x\n", "id,label,text\n7,y,x\n", ",text,label\n0,x,y\n"):
        rows = read(csv(tmp_path, content))
        assert (rows.texts, rows.values, rows.columns) == (["x"], ["y"], Columns("text", "label"))
    assert caplog.text == ""


def test_a_row_of_zhang_is_a_class_and_its_texts(tmp_path):
    path = csv(tmp_path, '"2","a","b"\n"1","c","d"\n')
    rows = read(path)
    assert (rows.texts, rows.values, rows.first) == (["a b", "c d"], ["2", "1"], 1)
    with pytest.raises(DataError, match="has no header, and no column has a name"):
        read(path, Columns("text"))


def test_empty_texts_are_counted_in_a_warning(tmp_path, caplog):
    rows = read(csv(tmp_path, "label,text\na,\nb, \nc,x\n"))
    assert rows.texts == ["", " ", "x"]
    assert "x.csv: 2 of 3 texts are empty." in caplog.text


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("label,text\na,x\n,y\n", {}, r"line 3: the label is empty: give the row a label, or remove it"),
        (
            "label,text\na,x\n",
            {"text": "body"},
            r"there is no column 'body': name one of label, text \(--text-col",
        ),
        (
            "label,text\na,x\n",
            {"label": "y"},
            r"there is no column 'y': .* \(--label-column or label_column=\)",
        ),
        ("a,b,text\na,x,y\n", {}, r"line 1: none of the columns a, b, text is known to hold labels"),
        ("a,b,label\na,x,y\n", {}, r"line 1: none of the columns a, b, label is known to hold texts"),
        ("label,x\na,x\n", {"text": "label"}, r"column 'label' cannot hold both texts and labels"),
        ("label,text,text\na,x,y\n", {}, r"Two columns are named 'text': rename one of label, text, text"),
        ("label,text\n", {}, r"there is a header but no row"),
    ],
)
def test_a_fault_is_named(tmp_path, content, columns, message):
    with pytest.raises(DataError, match=message):
        read(csv(tmp_path, content), Columns(**columns))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"text": 3, "label": "a"}',
            r"line 1: the text is 3, no text that UTF-8 can hold: name another column",
        ),
        ('{"text": "\\ud800", "label": "a"}', r"line 1: the text is .*, no text that UTF-8 can hold"),
        ('{"text": "a", "label": null}', r"line 1: the label is empty"),
        ('{"text": "a", "label": ["a", "b"]}', r"line 1: 2 labels, where one belongs"),
    ],
)
def test_a_field_that_is_no_text_or_label_is_named(tmp_path, line, message):
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "x.jsonl")


def test_numbers_and_lists_of_one_are_labels_and_null_is_an_empty_text(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "a", "label": 3}\n{"text": null, "label": ["b"]}\n')
    rows = read(tmp_path / "x.jsonl")
    assert (rows.texts, rows.values) == (["a", ""], ["3", "b"])


def test_a_table_to_be_answered_needs_no_labels(tmp_path):
    table = lambda *names: Table(names, iter(()))
    assert text_column(table("id", "Sentence"), None, tmp_path) == 1
    assert text_column(table("anything"), None, tmp_path) == 0
    assert text_column(table("a", "b"), "b", tmp_path) == 1
    with pytest.raises(DataError, match="none of the columns a, b is known to hold texts: name it"):
        text_column(table("a", "b"), None, tmp_path)


def test_several_labels_stand_between_bars_or_in_a_list(tmp_path, caplog):
    several = Columns(several=True)
    file = tmp_path / "train.csv"
    file.write_text("label,text\na | b,x\n,y\nb,z\n")
    assert read(file, several).values == [("a", "b"), (), ("b",)]
    lines = tmp_path / "train.jsonl"
    lines.write_text('{"label": ["a|b", "c"], "text": "x"}\n{"label": null, "text": "y"}\n')
    assert read(lines, several).values == [("a|b", "c"), ()]
    marked = tmp_path / "train.txt"
    marked.write_text("__label__a __label__b x\n__label__c y\n")
    assert read(marked, several).values == [("a", "b"), ("c",)]
    with pytest.raises(DataError, match=r"2 labels, where one belongs: .* \(--labels several\)"):
        read(marked)
    with pytest.raises(DataError, match="line 3: the label is empty"):
        read(file)


def test_without_being_told_a_bar_is_part_of_a_name_and_that_is_said(tmp_path, caplog):
    file = tmp_path / "train.csv"
    file.write_text("label,text\na|b,x\nc,y\n")
    with caplog.at_level("INFO", "wave_jax"):
        assert read(file).values == ["a|b", "c"]
    assert "'a|b' is the name of one class; --labels several reads it as several" in caplog.text
