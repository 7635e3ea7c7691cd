"""Every form of file gives the same table back, plain and gzipped, and faults are named by line."""

import gzip
import json
import os
from pathlib import Path

import pytest

from wave_jax.data import table_files
from wave_jax.data.table_files import kind_of, opened
from wave_jax.errors import DataError

ROWS = [("up", 'a "quoted", text'), ("down", "second\ttab"), ("up", "é 🐋 ;"), ("down", "")]


def csv_of(rows, delimiter):
    quoted = lambda cell: '"' + cell.replace('"', '""') + '"'
    return "".join(delimiter.join(map(quoted, row)) + "\n" for row in [("label", "text"), *rows])


def write(path: Path, rows=ROWS) -> Path:
    """Write rows in the form that the name of the file says."""
    kind = path.name.removesuffix(".gz").partition(".")[2]
    if kind == "parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        columns = {name: [row[i] for row in rows] for i, name in enumerate(("label", "text"))}
        parquet.write_table(pyarrow.table(columns), path.with_suffix(".raw"))
        raw = path.with_suffix(".raw").read_bytes()
    elif kind in ("jsonl", "ndjson", "json"):
        raw = "".join(json.dumps({"label": y, "text": x}) + "\n" for y, x in rows).encode()
    else:
        raw = csv_of(rows, {"tsv": "\t", "csv": ",", "semicolons.csv": ";", "tabs.csv": "\t"}[kind]).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


NAMES = ["x.csv", "x.tsv", "x.semicolons.csv", "x.tabs.csv", "x.jsonl", "x.ndjson", "x.json", "x.parquet"]


@pytest.mark.parametrize("name", [*NAMES, *(f"{name}.gz" for name in NAMES)])
def test_every_form_gives_back_what_was_written(tmp_path, name):
    with opened(write(tmp_path / name)) as table:
        assert table.names == ("label", "text")
        rows = list(table.rows)
    assert [tuple(fields) for _, fields in rows] == ROWS
    first = 0 if "parquet" in name else 1 if "json" in name or "nd" in name else 2
    assert [place for place, _ in rows] == [first + i for i in range(4)]


def test_rows_of_parquet_are_counted_over_its_groups(tmp_path):
    with opened(write(tmp_path / "x.parquet", ROWS * 3000)) as table:
        rows = list(table.rows)
    assert [place for place, _ in rows] == list(range(12_000))
    assert [tuple(fields) for _, fields in rows] == ROWS * 3000


def test_lines_of_fasttext_have_one_label_or_more(tmp_path):
    path = tmp_path / "cooking.train"
    path.write_text("__label__a __label__b how  to cook\n__label__c rice, please \n__label__c\n")
    with opened(path) as table:
        assert table.names == ("label", "text")
        assert list(table.rows) == [
            (1, (["a", "b"], "how  to cook")),
            (2, (["c"], "rice, please")),
            (3, (["c"], "")),
        ]
    assert kind_of(path) == "fasttext"
    (tmp_path / "notes.txt").write_text("a label is missing")
    assert kind_of(tmp_path / "notes.txt") is None
    path.write_text("__label__a b\nc\n")
    with pytest.raises(DataError, match=r"cooking\.train, line 2: no label: begin"), opened(path) as table:
        list(table.rows)


def test_columns_of_json_are_those_of_the_first_line(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a", "n": [1, 2]}\n{"n": 3, "more": 4}\n')
    with opened(path) as table:
        assert table.names == ("text", "n")
        assert list(table.rows) == [(1, ["a", [1, 2]]), (2, [None, 3])]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.md", b"a", r"x\.md is no table: its name must end in \.csv, \.tsv"),
        ("x.jsonl", b"", r"x\.jsonl, line 1: the file is empty: give one JSON object a line"),
        ("x.jsonl", b'{"text": "a"}\n{"text": \n', r"x\.jsonl, line 2: no JSON object \(.*\): write one"),
        ("x.json", b'[\n{"text": "a"}]', r"x\.json, line 1: no JSON object .*: write one object a line"),
        ("x.jsonl", b"1\n", r"x\.jsonl, line 1: no JSON object: write one object a line"),
        ("x.jsonl", b"[" * 10**5, r"x\.jsonl, line 1: no JSON object \(it is nested too deep\): write one"),
        ("x.jsonl", b'{"text": "caf\xe9"}\n', r"x\.jsonl, line 1: byte 14 is not UTF-8: save the file"),
        ("x.parquet", b"PAR1 no", r"x\.parquet cannot be read as Parquet \(.*\): write the file again"),
        ("x.tsv", b'a\tb\n"c"d\te\n', r"x\.tsv, line 2: not tab-separated values"),
    ],
)
def test_a_fault_is_named_with_file_line_and_cure(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught, opened(tmp_path / name) as table:
        list(table.rows)
    assert "\n" not in str(caught.value)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    message = r"x\.parquet needs pyarrow: pip install 'wave_jax\[parquet\]'"
    with pytest.raises(DataError, match=message), opened(tmp_path / "x.parquet"):
        pass


@pytest.mark.parametrize(("name", "bound"), [("x.parquet.gz", "_UNPACKED"), ("x.parquet", "_AT_ONCE")])
def test_parquet_that_unpacks_to_more_than_is_read_is_refused(tmp_path, name, bound, monkeypatch):
    path = write(tmp_path / name)
    monkeypatch.setattr(table_files, bound, 20)
    message = r"cannot be read as Parquet \(.* bytes.*\): write the file again"
    with pytest.raises(DataError, match=message), opened(path) as table:
        list(table.rows)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl.gz", "x.parquet"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match="it is no file"), opened(tmp_path / name):
        pass


def test_every_end_of_a_name_is_a_form():
    assert {kind_of(Path(f"x{end}")) for end in table_files.FORMATS if end != ".txt"} == {
        "csv",
        "json",
        "parquet",
    }
