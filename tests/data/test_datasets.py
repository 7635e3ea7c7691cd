"""Data sets by name, from folders and memory: splits, digests, classes and the cut."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data import datasets
from wave_jax.data.datasets import Dataset
from wave_jax.data.rows import Columns
from wave_jax.data.splits import Split, hold_out
from wave_jax.errors import DataError

GOOD = "label,text\n0,a\n1,b\n0,c\n1,d\n"


def folder(path: Path, **files: str) -> Path:
    """A folder of CSV files; train="..." is written to train.csv."""
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / f"{name}.csv").write_text(content)
    return path


def everything(data: Dataset) -> list[tuple[str, int]]:
    """Texts and labels of train and validation, sorted."""
    parts = (data.train, data.valid)
    return sorted((t, int(y)) for part in parts for t, y in zip(part.texts, part.labels, strict=True))


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


@pytest.mark.parametrize("name", ["agnews", "no/such/folder", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(
        DataError, match="neither a file or a folder of texts nor one of ag_news, imdb, dbpedia, planted"
    ):
        datasets.load(name)


def test_one_file_is_split_by_the_rule_and_has_no_test(tmp_path):
    path = folder(tmp_path / "x", train=GOOD)
    data, whole = datasets.load(path / "train.csv"), datasets.load(path)
    assert (data.name, data.digest, data.has_test) == ("train.csv", whole.digest, False)
    with pytest.raises(DataError, match=r"train\.csv has no test split"):
        _ = data.test


def test_validation_texts_come_from_a_file_or_are_left_out(tmp_path):
    path = folder(tmp_path / "x", train=GOOD, dev="label,text\n0,unused\n", other="label,text\n1,v\n")
    data = datasets.load(path, valid=path / "other.csv")
    assert (data.valid.texts, data.valid.labels.tolist(), len(data.train)) == (("v",), [1], 4)
    data = datasets.load(path / "train.csv", valid=0.0)
    assert (len(data.valid), len(data.train)) == (0, 4)


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_other_names_of_the_validation_file_are_read(tmp_path, name):
    path = folder(tmp_path / "x", train=GOOD, **{name: "label,text\n1,v\n"})
    assert datasets.load(path).valid.texts == ("v",)
    with pytest.raises(DataError, match=rf"holds both dev\.csv and {name}\.csv: remove one of them"):
        datasets.load(folder(path, dev=GOOD))


def test_a_split_may_lack_a_class_but_train_may_not(tmp_path):
    path = folder(tmp_path / "x", train=GOOD, dev="label,text\n1,v\n", test="label,text\n0,t\n")
    data = datasets.load(path)
    assert (data.valid.labels.tolist(), data.test.labels.tolist()) == ([1], [0])
    (path / "labels.txt").write_text("0\n1\n2\n")
    with pytest.raises(DataError, match=r"train\.csv: no row of class '2': add rows of it"):
        datasets.load(path)


def test_new_labelled_texts_are_read_with_the_classes_of_a_run(tmp_path):
    path = folder(tmp_path / "x", new="id,Class,Sentence\n7,b,x\n8,b,y\n") / "new.csv"
    split = datasets.labelled(path, ["a", "b"])
    assert (split.texts, split.labels.tolist()) == (("x", "y"), [1, 1])
    with pytest.raises(DataError, match=r"new\.csv, line 2: label 'b' is outside the 2 classes \(a, c\)"):
        datasets.labelled(path, ["a", "c"])


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
        (["a", "b"], [0, ""], {}, r"train, label 1 is ''"),
        (["a", "b"], [0, "x"], {}, "train, row 1: label 'x' beside '0'"),
        (["a", "b"], [0, 3], {"classes": ["n", "y"]}, "train, row 1: label '3' is outside the 2 classes"),
        (["a", "b"], [0, 1], {"classes": ["n", "n"]}, "classes, line 2: class 'n' is empty or a duplicate"),
        (["a", "b"], [0, 1], {"valid": (["c"], [2])}, "valid, row 0: label '2' is outside the 2 classes"),
        (
            ["a", "b"],
            [0, 0],
            {"share": 1.0},
            r"share of validation texts must be 0 or lie between 0 and 1, not be 1\.0",
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
    train, valid = hold_out(split, share, seed)
    rows = [*zip(train.texts, train.labels, strict=True), *zip(valid.texts, valid.labels, strict=True)]
    assert sorted(rows) == sorted(zip(split.texts, labels, strict=True))
    held = Counter(valid.labels.tolist())
    for label, n in Counter(labels).items():
        assert held[label] < n
        assert abs(held[label] - share * n) <= 0.5 or held[label] in (0 if n == 1 else 1, n - 1)
    order = data.draw(st.permutations(range(len(labels))))
    assert set(hold_out(split.take(order), share, seed)[1].texts) == set(valid.texts)


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


def test_several_labels_of_a_file_are_a_matrix(tmp_path):
    file = tmp_path / "news.csv"
    rows = [f"{'a|b' if i % 2 else 'b'},text {i}" for i in range(10)] + [",text 10"]
    file.write_text("\n".join(["label,text", *rows]) + "\n")
    dataset = datasets.load(file, labels="several", valid=0.2)
    assert dataset.classes == ("a", "b")
    found = dict(zip(dataset.train.texts, dataset.train.targets.tolist(), strict=True))
    found |= dict(zip(dataset.valid.texts, dataset.valid.targets.tolist(), strict=True))
    assert len(found) == 11
    assert (found["text 1"], found["text 2"], found["text 10"]) == (
        [True, True],
        [False, True],
        [False, False],
    )
    other = tmp_path / "new.csv"
    other.write_text("label,text\nb|a,x\n")
    labelled = datasets.labelled(other, dataset.classes, columns=Columns(several=True))
    assert labelled.targets.tolist() == [[True, True]]
    other.write_text("label,text\na,x\nb|d,y\n")
    with pytest.raises(DataError, match=r"line 3: label 'd' is outside the 2 classes"):
        datasets.labelled(other, dataset.classes, columns=Columns(several=True))


def test_a_matrix_in_memory_is_the_targets_and_each_class_has_texts():
    matrix = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)
    dataset = Dataset.from_texts(list("abcd"), matrix, valid=(["e"], matrix[:1]), test=(["f"], matrix[2:3]))
    np.testing.assert_array_equal(dataset.train.targets, matrix)
    assert dataset.valid.targets.tolist() == [[True, False]]
    assert dataset.test.targets.tolist() == [[True, True]]
    assert dataset.digest != Dataset.from_texts(list("abcd"), ~matrix, valid=(["e"], matrix[:1])).digest
    with pytest.raises(DataError, match="No training text has class '1'"):
        Dataset.from_texts(list("ab"), matrix[[0, 0]])


def test_the_planted_corpus_has_two_topics_a_text_and_published_ones_have_one():
    several = datasets.load("planted", size=20, labels="several")
    assert set(several.train.targets.sum(axis=1)) == {1, 2}
    with pytest.raises(DataError, match="Texts of ag_news have one label each"):
        datasets.load("ag_news", labels="several")


def test_known_classes_come_first_and_need_no_text(tmp_path):
    path = folder(tmp_path / "more", train="label,text\nnew,a\nb,c\nb,d\n", valid="label,text\na,x\nnew,y\n")
    data = datasets.load(path, known=["c", "b", "a"])
    assert data.classes == ("c", "b", "a", "new")
    assert everything(data) == [("a", 3), ("c", 1), ("d", 1), ("x", 2), ("y", 3)]
    with pytest.raises(DataError, match="label 'a' is outside the 2 classes"):
        datasets.load(path)
    (path / "labels.txt").write_text("new\nb\nempty\na")
    with pytest.raises(DataError, match="no row of class 'empty'"):
        datasets.load(path, known=["a"])
    assert datasets.load(path, known=["empty", "a"]).classes == ("empty", "a", "new", "b")


def test_known_classes_renumber_labels_of_every_kind():
    planted = datasets.load("planted", size=20)
    turned = datasets.load("planted", size=20, known=planted.classes[::-1])
    assert turned.classes == planted.classes[::-1]
    for one, two in ((planted.train, turned.train), (planted.test, turned.test)):
        np.testing.assert_array_equal(two.labels, 3 - one.labels)
        np.testing.assert_array_equal(two.topics, 3 - one.topics)
    matrix = np.array([[True, False], [True, True]])
    several = Dataset.from_texts(["a", "b"], matrix, classes=["x", "y"], known=["y", "z"], share=0.0)
    assert several.classes == ("y", "z", "x")
    assert several.train.targets.tolist() == [[False, False, True], [True, False, True]]
    alone = Dataset.from_texts(["a"], matrix[:1], classes=["x", "y"], known=["y"], share=0.0)
    assert alone.train.labels.tolist() == [1]
    with pytest.raises(DataError, match="No training text has class 'y'"):
        Dataset.from_texts(["a"], matrix[:1], classes=["x", "y"], known=["x"], share=0.0)
