"""Answers in files: of every form, with the columns and types that were given, whole or absent."""

import gzip
import json

import numpy as np
import pytest

from wave_jax.cli import answer_files, predict
from wave_jax.data import table_files
from wave_jax.errors import DataError

SHARES = np.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]], np.float32)
ROWS = [("x\ty", (7, "x\ty")), ('z, "q"', (8, 'z, "q"'))]
CLASSES = ("a", "b", "c")


def table_of(path, *, names=("id", "text"), rows=ROWS, schema=None, **settings):
    """Write two answers and read the table back."""
    form = predict.Form(CLASSES, names, **settings)
    with answer_files.opened(path, form, schema) as write:
        write(rows, SHARES)
    with table_files.opened(path) as table:
        return table.names, [list(fields) for _, fields in table.rows]


def test_without_a_file_answers_go_to_standard_output(capsys):
    with answer_files.opened(None, predict.Form(CLASSES)) as write:
        write([("x", ()), ("y", ())], SHARES)
        assert capsys.readouterr().out == "b\t0.7000\tx\na\t0.5000\ty\n"


@pytest.mark.parametrize("name", ["x.csv", "x.CSV.gz"])
def test_csv_quotes_what_needs_it(tmp_path, name):
    names, rows = table_of(tmp_path / name)
    assert names == ("prediction", "probability", "id", "text")
    assert rows == [["b", "0.7000", "7", "x\ty"], ["a", "0.5000", "8", 'z, "q"']]


def test_tsv_has_a_header_and_no_tabs_in_texts(tmp_path):
    names, rows = table_of(tmp_path / "x.tsv", names=(), rows=[("x\ty", ()), ("z", ())])
    assert names == ("prediction", "probability", "text")
    assert rows == [["b", "0.7000", "x y"], ["a", "0.5000", "z"]]


def test_json_lines_gzipped_are_the_same_bytes_each_time(tmp_path):
    for name in ("x.jsonl.gz", "y.jsonl.gz"):
        names, rows = table_of(tmp_path / name, top=2)
    assert names == ("id", "text", "predictions")
    assert rows[0][2][0] == {"label": "b", "probability": pytest.approx(0.7)}
    assert (tmp_path / "x.jsonl.gz").read_bytes() == (tmp_path / "y.jsonl.gz").read_bytes()
    packed = (tmp_path / "x.jsonl.gz").read_bytes()
    assert json.loads(gzip.decompress(packed).splitlines()[0])["id"] == 7


def test_lists_are_json_in_csv(tmp_path):
    _, rows = table_of(tmp_path / "x.csv", rows=[("x", (["é"], "x")), ("y", (None, "y"))])
    assert [row[2] for row in rows] == ['["é"]', ""]


def test_parquet_keeps_the_types_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    schema = pyarrow.schema([("id", pyarrow.int16()), ("text", pyarrow.large_string())])
    names, rows = table_of(tmp_path / "x.parquet", schema=schema, top=2, threshold=0.4, every=True)
    answers = ("prediction", "probability", "prediction_2", "probability_2", "p(a)", "p(b)", "p(c)")
    assert names == (*answers, "id", "text")
    expected = [["b", 0.7, None, None, 0.2, 0.7, 0.1], ["a", 0.5, None, None, 0.5, 0.3, 0.2]]
    for row, answer, (_, given) in zip(rows, expected, ROWS, strict=True):
        assert row[7:] == list(given)
        assert row[::2][:2] == answer[::2][:2]
        assert row[1] == pytest.approx(answer[1])
        assert row[3] is None
        assert row[4:7] == pytest.approx(answer[4:7])
    with table_files.opened(tmp_path / "x.parquet") as table:
        assert [str(kind) for kind in table.schema.types[-2:]] == ["int16", "large_string"]
        assert {str(kind) for kind in table.schema.types[1:7:2]} == {"float"}


def test_parquet_finds_the_types_of_other_tables_many_rows_at_a_time(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(answer_files, "_TOGETHER", 2)
    form = predict.Form(CLASSES, ("n", "empty"))
    with answer_files.opened(tmp_path / "x.parquet", form) as write:
        write([("x", (1, None)), ("y", (None, None))], SHARES)
        write([("z", (2, "now"))], SHARES[:1])
    file = pyarrow.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups == 2
    assert file.read().to_pydict()["n"] == [1, None, 2]
    assert file.read().to_pydict()["empty"] == [None, None, "now"]


def test_no_rows_make_an_empty_table(tmp_path):
    pytest.importorskip("pyarrow")
    for name in ("x.parquet", "x.csv"):
        with answer_files.opened(tmp_path / name, predict.Form(CLASSES)):
            pass
        with table_files.opened(tmp_path / name) as table:
            assert (table.names, list(table.rows)) == (("prediction", "probability", "text"), [])


def test_columns_of_several_types_are_refused_and_nothing_is_left(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(
        DataError, match=r"x\.parquet: a column holds values of several types .* write \.jsonl"
    ):
        table_of(tmp_path / "x.parquet", rows=[("x", (1, "x")), ("y", ("one", "y"))])
    assert list(tmp_path.iterdir()) == []


def test_an_end_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"out must be a file that ends in \.csv, \.tsv, \.jsonl or \.parquet"
    ):
        table_of(tmp_path / "x.txt")


def test_a_failure_leaves_the_file_that_was_there(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(b"old")
    with pytest.raises(RuntimeError), answer_files.opened(tmp_path / "x.csv.gz", predict.Form(CLASSES)):
        raise RuntimeError
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
