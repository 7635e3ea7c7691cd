"""Folders of CSV files: what was written is read, and every fault is named with file, line and cure."""

import csv
import gzip
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data import columns, csv_files, datasets
from wave_jax.data.datasets import Dataset
from wave_jax.data.rows import class_names
from wave_jax.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ODD = 'quote " and ""\nline feed\r\nboth, comma\rreturn\u2028é \U0001f40b \u202e'


def folder(path: Path, **files: str | bytes) -> Path:
    """A folder of files; train="..." is written to train.csv, labels_txt="..." to labels.txt."""
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        file = path / (name.replace("_", ".") if "_" in name else f"{name}.csv")
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def csv_text(rows) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


GOOD = "label,text\n0,a\n1,b\n0,c\n1,d\n"


def everything(data: Dataset) -> list[tuple[str, int]]:
    parts = (data.train, data.valid)
    return sorted((t, int(y)) for part in parts for t, y in zip(part.texts, part.labels, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 1), TEXT), max_size=8), swap=st.booleans(), packed=st.booleans()
)
def test_a_csv_folder_gives_back_what_was_written(tmp_path_factory, rows, swap, packed):
    rows = [(0, "a"), (0, "b"), (1, ODD), *rows]
    path = tmp_path_factory.mktemp("corpus")
    turn = slice(None, None, -1 if swap else 1)
    raw = csv_text([row[turn] for row in [("label", "text"), *rows]]).encode()
    (path / ("train.csv.gz" if packed else "train.csv")).write_bytes(gzip.compress(raw) if packed else raw)
    assert everything(datasets.load(path)) == sorted((text, label) for label, text in rows)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_the_form_of_zhang_gives_back_titles_and_texts(tmp_path_factory, rows):
    rows = [(i % 2 + 1, *row) for i, row in enumerate([("a", "b"), ("c", ODD), ("", ""), *rows])]
    path = tmp_path_factory.mktemp("corpus")
    (path / "train.csv").write_text(csv_text(rows), newline="", encoding="utf-8")
    data = datasets.load(path)
    assert everything(data) == sorted((f"{title} {text}", label - 1) for label, title, text in rows)
    assert data.classes == ("1", "2")


def test_a_byte_order_mark_and_very_long_fields_are_read(tmp_path):
    path = folder(tmp_path / "x", train=b"\xef\xbb\xbf" + f"label,text\n0,{'x' * 300_000}\n0,b\n".encode())
    limit = csv.field_size_limit()
    assert max(map(len, datasets.load(path).train.texts + datasets.load(path).valid.texts)) == 300_000
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    "rows", ["0," + "a" * 2000, '0,"' + "a\n" * 900, '0,"' + '\n","' * 900, "0," + "\0" * 2**24]
)
def test_a_row_without_an_end_is_refused_before_it_is_held(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(csv_files, "_LONGEST", 1000)
    packed = gzip.compress(("label,text\n" + "0,ab\n" * 900 + rows).encode())
    with pytest.raises(DataError, match=r"train\.csv\.gz, line \d+: a row of more than 1,000 bytes: close"):
        datasets.load(folder(tmp_path / "corpus", train_csv_gz=packed))


def test_threads_read_long_fields_side_by_side(tmp_path):
    path = folder(tmp_path / "x", train="label,text\n" + f"0,{'x' * 200_000}\n" * 20)
    limit = csv.field_size_limit()
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(columns.read, [path / "train.csv"] * 8):
            assert len(rows.texts) == 20
    assert csv.field_size_limit() == limit


def test_many_names_of_classes_are_read_at_once():
    names = [str(i) for i in range(200_000)]  # quadratic, this takes minutes
    assert class_names(names, "labels.txt")[-1] == "199999"


def test_class_names_come_from_labels_txt_or_from_the_rows(tmp_path):
    named = folder(tmp_path / "a", train="text,label\na,no\nb,yes\n" * 1 + "c,no\nd,yes\n")
    assert datasets.load(named).classes == ("no", "yes")
    assert datasets.load(folder(named, labels_txt="yes\nno\n")).classes == ("yes", "no")
    assert (
        datasets.load(folder(tmp_path / "b", train=GOOD, labels_txt="World\r\nSports\r\n")).classes[1]
        == "Sports"
    )
    zhang = folder(tmp_path / "c", train='"2","a","b"\n"1","c","d"\n"1","e","f"\n', classes_txt="x\ny\n")
    assert datasets.load(zhang).classes == ("x", "y")
    stars = folder(tmp_path / "d", train="label,text\n1,bad\n5,good\n1,poor\n5,fine\n", labels_txt="1\n5\n")
    assert everything(datasets.load(stars)) == [("bad", 0), ("fine", 1), ("good", 1), ("poor", 0)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train": "label,text\n0,a\n1\n"}, r"train\.csv, line 3: 1 fields where 2 belong: .*double quotes"),
        ({"train": "label,text\n0,a\n1,b,c\n"}, r"train\.csv, line 3: 3 fields where 2 belong"),
        ({"train": "label,text\n0,a\n\n1,c\n"}, r"train\.csv, line 3: 0 fields where 2 belong.*blank lines"),
        ({"train": '1,"a\nb",c\n2,d\n'}, r"train\.csv, line 3: 2 fields where 3 belong"),
        (
            {"train": 'label,text\n0,"a\nb"\nx,c\n'},
            r"train\.csv, line 4: label 'x' beside '0': use integers or",
        ),
        (
            {"train": GOOD + "2,e\n", "labels_txt": "n\ny\n"},
            r"line 6: label '2' is outside the 2 classes \(n, y\)",
        ),
        ({"train": GOOD + "-1,e\n", "labels_txt": "n\ny\n"}, r"line 6: label '-1' is outside .*correct it"),
        ({"train": "0,a,b\n1,c,d\n", "labels_txt": "n\ny\n"}, r"line 1: label '0' is outside .*\(1, 2\)"),
        ({"train": "1,a,b\n3,c,d\n"}, r"train\.csv: no row has label 2 but one has 3: .* count from 1"),
        ({"train": GOOD, "labels_txt": "n\ny\nz\n"}, r"train\.csv: no row of class 'z': add rows"),
        (
            {"train": GOOD, "dev": "label,text\n2,a\n"},
            r"dev\.csv, line 2: label '2' is outside the 2 classes",
        ),
        (
            {"train": b"label,text\n0,a\n1,caf\xe9\n"},
            r"train\.csv, line 3: byte 6 is not UTF-8: save the file",
        ),
        (
            {"train": GOOD.encode("utf-16")},
            r"train\.csv, line 1: byte 1 is not UTF-8: save the file as UTF-8",
        ),
        ({"train": "label,text\n0,a\0\n"}, r"train\.csv, line 2: there is a NUL byte: remove it"),
        ({"train": ""}, r"train\.csv, line 1: the file is empty: give a header `label,text` and rows"),
        ({"train": "label,text\n"}, r"train\.csv, line 2: there is a header but no row: add rows below it"),
        (
            {"train": "kind,name,id\n0,a,1\n"},
            r"train\.csv, line 1: none of the columns kind, name, id is known to hold texts: name it",
        ),
        ({"train": GOOD + ",e\n"}, r"train\.csv, line 6: the label is empty: give the row a label, or"),
        ({"train": "label,text,Text\n0,a,b\n"}, r"Two columns are named 'text': rename one of label, text"),
        (
            {"train": 'label,text\n0,"a\n1,b\n'},
            r"line 2: not comma-separated values \(unexpected end of data\)",
        ),
        ({"train": 'label,text\n0,"a"b\n'}, r"line 2: not comma-separated values \(.* expected after"),
        ({"train": "label,text\r0,a\r"}, r"train\.csv, line 1: not comma-separated values \(new-line"),
        (
            {"train": GOOD, "labels_txt": "n\n\ny\n"},
            r"labels\.txt, line 2: class '' is empty or a duplicate",
        ),
        ({"train": GOOD, "labels_txt": "n\nn\n"}, r"labels\.txt, line 2: class 'n' is empty or a duplicate"),
        ({"train": GOOD, "labels_txt": ""}, r"labels\.txt is empty: list the names of the classes"),
        (
            {"train": GOOD, "train_csv_gz": b""},
            r"holds both train\.csv and train\.csv\.gz: remove one of them",
        ),
        (
            {"train_csv_gz": gzip.compress(b"label,text\n" + b"0,a\n" * 99)[:-9]},
            r"line \d+: the file is damaged or cut",
        ),
        ({"train_csv_gz": GOOD.encode()}, r"train\.csv\.gz, line 1: the file is damaged or cut short"),
        ({"test": GOOD}, r"holds no training texts: put them there as train\.csv \(or"),
        ({"train": "label,text\n0,a\n1,b\n"}, r"No class has two texts, so none can go to validation"),
        ({"train": "label,text\na,x\n,y\na,z\nb,x\nb,y\n"}, r"train\.csv, line 3: the label is empty: give"),
        ({"train": GOOD + GOOD}, r"train\.csv, line 6: the header is repeated: remove this line"),
        ({"train": GOOD + "9" * 5000 + ",a\n"}, r"line 6: label '99999999999[9]+ beside '0': use"),
    ],
)
def test_a_fault_in_a_folder_is_named_with_file_line_and_cure(tmp_path, files, message):
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(folder(tmp_path / "corpus", **files))
    assert "\n" not in str(caught.value)


def test_damage_in_the_middle_of_a_packed_file_is_named(tmp_path):
    rng = np.random.default_rng(0)
    rows = "".join(f"{i % 2},{rng.integers(1 << 60)}\n" for i in range(20_000))
    raw = bytearray(gzip.compress(f"label,text\n{rows}".encode()))
    raw[len(raw) // 2] ^= 255
    with pytest.raises(DataError, match=r"train\.csv\.gz, line \d+: "):
        datasets.load(folder(tmp_path / "corpus", train_csv_gz=bytes(raw)))
