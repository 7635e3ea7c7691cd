"""The files of a folder: one for each split, or numbered parts of it, in any form."""

import pytest

from wave_jax.data import datasets
from wave_jax.data.folders import split_files
from wave_jax.errors import DataError


def test_parts_of_a_split_are_read_in_their_order(tmp_path):
    for name in ("train-00001-of-00002.tsv", "train-00000-of-00002.tsv", "trains.csv", "my-train.csv"):
        (tmp_path / name).write_text(f"label\ttext\na\t{name}\nb\tx\n")
    found = split_files(tmp_path, "train")
    assert [path.name for path in found] == ["train-00000-of-00002.tsv", "train-00001-of-00002.tsv"]
    data = datasets.load(tmp_path, valid=0.0)
    assert data.train.texts == ("train-00000-of-00002.tsv", "x", "train-00001-of-00002.tsv", "x")


def test_splits_may_be_of_different_forms(tmp_path):
    (tmp_path / "train.txt").write_text("__label__a x\n__label__b y\n")
    (tmp_path / "validation.jsonl").write_text('{"text": "v", "label": "b"}\n')
    (tmp_path / "test.csv").write_text("label,text\na,t\n")
    data = datasets.load(tmp_path)
    assert (data.train.texts, data.valid.texts, data.test.texts) == (("x", "y"), ("v",), ("t",))
    assert (data.classes, data.valid.labels.tolist()) == (("a", "b"), [1])


def test_two_files_of_one_split_are_refused(tmp_path):
    for name in ("train.csv", "train.jsonl"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=r"holds both train\.csv and train\.jsonl: remove one of them"):
        split_files(tmp_path, "train")
