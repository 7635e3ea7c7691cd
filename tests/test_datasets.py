"""Data sets from folders and memory: what goes in comes out, and every fault is named with its place."""

import csv
import gzip
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax import datasets
from wave_jax.datasets import DataError, Dataset, Split

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


# Folders


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


def test_dev_is_the_validation_split_and_test_waits(tmp_path):
    path = folder(
        tmp_path / "corpus", train=GOOD, dev="label,text\n1,x\n0,y\n", test="label,text\n0,z\n7,w\n"
    )
    data = datasets.load(path)
    assert (data.name, data.valid.texts, len(data.train)) == ("corpus", ("x", "y"), 4)
    assert data.has_test
    with pytest.raises(DataError, match=r"test\.csv, line 3: label '7' is outside the 2 classes"):
        _ = data.test


def test_the_test_split_touches_no_digest(tmp_path):
    without = datasets.load(folder(tmp_path / "a", train=GOOD))
    data = datasets.load(folder(tmp_path / "a", test="label,text\n0,z\n1,w\n"))
    assert data.digest == without.digest
    assert data.test is data.test
    assert not without.has_test
    with pytest.raises(DataError, match=r"a has no test split: put test\.csv into its folder, or give test="):
        _ = without.test


def test_digests_are_of_the_content(tmp_path):
    split = Split(("a", "b"), np.array([0, 1], np.int32))
    assert split.digest == Split(("a", "b"), np.array([0, 1], np.int32)).digest
    others = [(("a", "b"), [1, 0]), (("ab", ""), [0, 1]), (("b", "a"), [0, 1])]
    digests = {Split(texts, np.array(labels, np.int32)).digest for texts, labels in others}
    assert len(digests | {split.digest}) == 4


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
            r"line 6: label '2' is outside the 2 classes \(0, 1, n",
        ),
        ({"train": GOOD + "-1,e\n", "labels_txt": "n\ny\n"}, r"line 6: label '-1' is outside .*correct it"),
        ({"train": "0,a,b\n1,c,d\n", "labels_txt": "n\ny\n"}, r"line 1: label '0' is outside .*\(1, 2\)"),
        (
            {"train": "label,text\n1,a\n2,b\n"},
            r"train\.csv: no row has label 0 but one has 2: .* count from 0",
        ),
        ({"train": GOOD, "labels_txt": "n\ny\nz\n"}, r"train\.csv: no row of class 'z': add rows"),
        (
            {"train": GOOD, "dev": "label,text\n1,a\n"},
            r"dev\.csv: no row of class '0': add rows of it, or make",
        ),
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
            {"train": "class,title\n0,a\n"},
            r"train\.csv, line 1: columns 'class, title': begin with the header",
        ),
        (
            {"train": 'label,text\n0,"a\n1,b\n'},
            r"line 2: not comma-separated values \(unexpected end of data\)",
        ),
        ({"train": 'label,text\n0,"a"b\n'}, r"line 2: not comma-separated values \(.* expected after"),
        ({"train": "label,text\r0,a\r"}, r"train\.csv, line 1: not comma-separated values \(new-line"),
        (
            {"train": GOOD, "labels_txt": "n\n\ny\n"},
            r"labels\.txt, line 2: class '' is empty or stands twice",
        ),
        ({"train": GOOD, "labels_txt": "n\nn\n"}, r"labels\.txt, line 2: class 'n' is empty or stands twice"),
        ({"train": GOOD, "labels_txt": ""}, r"labels\.txt is empty: list the names of the classes"),
        (
            {"train": GOOD, "train_csv_gz": b""},
            r"holds both train\.csv and train\.csv\.gz: remove one of them",
        ),
        (
            {"train_csv_gz": gzip.compress(b"label,text\n0,a\n" * 99)[:-9]},
            r"line \d+: the file is damaged or cut",
        ),
        ({"train_csv_gz": GOOD.encode()}, r"train\.csv\.gz, line 1: the file is damaged or cut short"),
        ({"test": GOOD}, r"holds neither train\.csv nor train\.csv\.gz: put the training texts there"),
        ({"train": "label,text\n0,a\n1,b\n"}, r"No class has two texts, so none can go to validation"),
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


@pytest.mark.parametrize("name", ["agnews", "no/such/folder", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(
        DataError, match="neither a folder of CSV files nor one of ag_news, imdb, dbpedia, planted"
    ):
        datasets.load(name)


def test_a_file_is_no_folder(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv' is neither a folder"):
        datasets.load(folder(tmp_path / "x", train=GOOD) / "train.csv")


# Memory


def test_labels_in_memory_are_integers_or_names():
    texts = ["a", "b", "c", "d"]
    by_number = Dataset.from_texts(texts, np.array([1, 0, 1, 0]), classes=["n", "y"])
    by_name = Dataset.from_texts(texts, ["y", "n", "y", "n"], test=(["e"], ["y"]), classes=["n", "y"])
    assert everything(by_number) == everything(by_name) == [("a", 1), ("b", 0), ("c", 1), ("d", 0)]
    assert by_name.test.labels.tolist() == [1]
    assert by_number.train.labels.dtype == np.int32
    assert Dataset.from_texts(texts, [0, 1, 1, 0]).classes == ("0", "1")


@pytest.mark.parametrize(
    ("texts", "labels", "more", "message"),
    [
        (["a"], [0, 1], {}, "train: 1 texts and 2 labels; give lists of equal length"),
        ("ab", [0, 1], {}, "give lists of equal length"),
        ([], [], {}, "train: 0 texts and 0 labels; give lists"),
        (["a", b"b"], [0, 0], {}, "train, text 1 is no text that UTF-8 can hold"),
        (["a", "\ud800"], [0, 0], {}, "train, text 1 is no text that UTF-8 can hold: give decoded strings"),
        (["a", "b"], [0.0, 1.0], {}, r"train, label 0 is 0\.0: give integers from 0 or names of classes"),
        (["a", "b"], [True, False], {}, "train, label 0 is True"),
        (["a", "b"], [0, 2], {}, r"train split: no row has label 1 but one has 2"),
        (["a", "b"], [0, "x"], {}, "train, row 1: label 'x' beside '0'"),
        (["a", "b"], [0, -1], {}, "train, row 1: label '-1' beside '0'"),
        (["a", "b"], [0, 3], {"classes": ["n", "y"]}, "train, row 1: label '3' is outside the 2 classes"),
        (["a", "b"], [0, 1], {"classes": ["n", "n"]}, "classes, line 2: class 'n' is empty or stands twice"),
        (["a", "b"], [0, 1], {"valid": (["c"], [0])}, "valid split: no row of class '1'"),
        (
            ["a", "b"],
            [0, 0],
            {"share": 1.0},
            r"share of validation texts must lie between 0 and 1, not be 1\.0",
        ),
    ],
)
def test_a_fault_in_memory_is_named(texts, labels, more, message):
    with pytest.raises(DataError, match=message):
        Dataset.from_texts(texts, labels, **more)


# The cut


@settings(max_examples=100, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_the_cut_is_a_stratified_partition(labels, share, seed, data):
    labels = [0, *labels, 0]
    split = Split(tuple(f"text {i}" for i in range(len(labels))), np.array(labels, np.int32))
    train, valid = datasets.cut(split, share, seed)
    rows = [*zip(train.texts, train.labels, strict=True), *zip(valid.texts, valid.labels, strict=True)]
    assert sorted(rows) == sorted(zip(split.texts, labels, strict=True))
    held = Counter(valid.labels.tolist())
    for label, n in Counter(labels).items():
        assert held[label] < n
        assert abs(held[label] - share * n) <= 0.5 or held[label] in (0 if n == 1 else 1, n - 1)
    order = data.draw(st.permutations(range(len(labels))))
    assert set(datasets.cut(split.take(order), share, seed)[1].texts) == set(valid.texts)


def test_the_cut_is_80_to_20_and_hangs_on_the_seed():
    texts, labels = [f"text {i}" for i in range(1000)], [i % 4 for i in range(1000)]
    first, again, other = (Dataset.from_texts(texts, labels, seed=seed) for seed in (0, 0, 1))
    assert (len(first.train), len(first.valid)) == (800, 200)
    assert np.bincount(first.valid.labels).tolist() == [50] * 4
    assert first.digest == again.digest != other.digest
    assert 20 < len(set(first.valid.texts) & set(other.valid.texts)) < 70


def test_the_cut_is_the_same_in_another_process(tmp_path):
    path = folder(tmp_path / "x", train="label,text\n" + "".join(f"{i % 3},text {i}\n" for i in range(60)))
    command = [
        sys.executable,
        "-c",
        f"from wave_jax import datasets; print(datasets.load({str(path)!r}).digest)",
    ]
    runs = [
        subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in "12"
    ]
    assert {run.stdout.decode().strip() for run in runs} == {datasets.load(path).digest}
