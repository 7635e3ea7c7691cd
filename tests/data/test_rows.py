"""Rows of several files become one, and names of classes are checked."""

import pytest

from wave_jax.data.rows import Rows, class_names, is_number, joined_rows
from wave_jax.errors import DataError


def test_joined_rows_know_where_each_was():
    parts = [Rows([name], [name.upper()], f"{name}.csv, line {{}}".format, f"{name}.csv") for name in "abc"]
    rows = joined_rows(parts)
    assert (rows.texts, rows.values) == (["a", "b", "c"], ["A", "B", "C"])
    assert [rows.where(i) for i in range(3)] == ["a.csv, line 0", "b.csv, line 0", "c.csv, line 0"]
    assert joined_rows(parts[:1]) is parts[0]


def test_integers_are_told_from_names():
    assert [is_number(value) for value in ("0", "-7", "10", "01", "-0", "1.0", "", "x")] == [True] * 3 + [
        False
    ] * 5


def test_names_of_classes_are_stripped_and_differ():
    assert class_names([" a", "b\n"], "labels.txt") == ("a", "b")
    with pytest.raises(DataError, match=r"labels\.txt, line 2: class 'a' is empty or a duplicate"):
        class_names(["a", "a "], "labels.txt")
