"""Targets: labels, sets of them and matrices become one thing, or are refused in a sentence."""

import numpy as np
import pytest

from wave_jax.data import targets
from wave_jax.errors import DataError

SHARES = np.array([[0.9, 0.1], [0.25, 0.75]])


def test_columns_are_of_one_length_and_texts_are_strings():
    plain, found = targets.columns(("a", "b"), (1, 2))
    assert (plain, found.classes, found.given, found.numbered) == (["a", "b"], [1, 2], [1, 2], [0, 1])
    with pytest.raises(ValueError, match="There are 2 texts but 1 labels"):
        targets.columns(["a", "b"], [1])
    with pytest.raises(ValueError, match="There are 1 texts but 2 labels"):
        targets.columns(["a"], SHARES)
    with pytest.raises(TypeError, match=r"texts\[1\] must be str, got int: 7"):
        targets.columns(["a", 7], [1, 2])


def test_sets_and_lists_are_several_labels_and_other_collections_are_one():
    for given in (
        [{"b", "a"}, {"b"}, set()],
        [["a", "b", "a"], ["b"], []],
        [{"a", "b"}, ("b",), frozenset()],
    ):
        found = targets.read(given)
        assert (found.classes, found.several, found.matrix) == (["a", "b"], True, False)
        np.testing.assert_array_equal(found.given, [[True, True], [False, True], [False, False]])
        assert found.each == [{"a", "b"}, {"b"}, set()]
    assert targets.read([("a", "b"), ("b",)]).given == [("a", "b"), ("b",)]
    assert not targets.read([frozenset("ab"), frozenset("b")]).several


def test_bars_part_labels_only_where_that_is_said():
    assert targets.read(["a|b", "b"]).classes == ["a|b", "b"]
    found = targets.read(["a| b", "b", " "], several=True)
    assert (found.classes, found.each) == (["a", "b"], [{"a", "b"}, {"b"}, set()])


def test_a_matrix_says_by_its_type_what_it_is():
    for kind in (int, bool, np.uint8):
        found = targets.read(np.array([[1, 0], [1, 1]], kind))
        assert (found.several, found.matrix, found.classes) == (True, True, [0, 1])
    found = targets.read(SHARES, classes=["x", "y"])
    assert (found.several, found.classes, found.given.dtype) == (False, ["x", "y"], np.float32)
    assert found.each == ["x", "y"]
    half = targets.read(np.float16([[0.3333, 0.3333, 0.3333]]))  # adds up to one up to its own rounding
    np.testing.assert_allclose(half.given.sum(axis=1), 1, rtol=1e-6)


def test_tables_and_sparse_matrices_are_matrices():
    pandas, sparse = pytest.importorskip("pandas"), pytest.importorskip("scipy.sparse")
    found = targets.read(pandas.DataFrame({"x": [1, 0], "y": [1, 1]}))
    assert (found.classes, found.each) == (["x", "y"], [{"x", "y"}, {"y"}])
    assert targets.read(sparse.csr_matrix(np.array([[1, 0], [0, 1]]))).each == [{0}, {1}]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([[0.5, 0.7]]), r"labels\[0\] adds up to 1\.2: .* for several labels a text, give integers"),
        (np.array([[0.5, 0.5], [1.5, -0.5]]), r"labels\[1\], column 1, is -0\.5, no probability"),
        (np.array([[0.5, np.nan]]), r"labels\[0\], column 1, is nan, no probability"),
        (np.array([[0, 2]]), r"labels\[0\], column 1, is 2, neither 0 nor 1"),
        (np.array([[1], [0]]), r"labels have the shape \(2, 1\): give a matrix .* 2 columns or more"),
        (np.array([["a", "b"]]), "A matrix of labels holds no numbers"),
    ],
)
def test_bad_matrices(labels, sentence):
    with pytest.raises(DataError, match=sentence):
        targets.read(labels)


def test_labels_of_two_kinds_and_names_that_do_not_fit():
    with pytest.raises(TypeError, match=r"labels\[1\] is 'b', where others are sets or lists"):
        targets.read([{"a"}, "b"])
    with pytest.raises(DataError, match="There are 2 columns of labels but 1 different classes"):
        targets.read(SHARES, classes=["x", "x"])
    with pytest.raises(ValueError, match="classes= names the columns of a matrix"):
        targets.read(["x"], classes=["x"])


def test_validation_labels_get_the_classes_of_the_training_labels():
    known = targets.read(["a", "b"])
    assert targets.columns(["x", "y"], ["b", "a"], known=known)[1].numbered == [1, 0]
    sets = targets.read([{"a", "b"}, {"c"}])
    found = targets.columns(["x"], [{"c"}], known=sets)[1]
    np.testing.assert_array_equal(found.numbered, [[False, False, True]])
    with pytest.raises(ValueError, match="valid has the label 'c', which no training text has"):
        targets.columns(["x"], ["c"], known=known)
    with pytest.raises(ValueError, match="valid has 3 columns of labels, and the training texts have 2"):
        targets.columns(["x"], np.eye(3)[:1], known=targets.read(SHARES))
    with pytest.raises(ValueError, match="valid has labels of another kind"):
        targets.columns(["x"], ["a"], known=sets)


def test_one_class_stands_for_a_text():
    assert targets.standing(np.float32(SHARES)).tolist() == [0, 1]
    several = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0]], bool)
    assert targets.standing(several).tolist() == [1, 0, 2, 0]  # the rarest


def test_weights_of_labels_become_weights_of_numbers():
    assert targets.rule_of({"b": 2, "a": 0.5}, {"a": 0, "b": 1}) == "1=2.0,0=0.5"
    assert targets.rule_of({}, {"a": 0}) is None
    with pytest.raises(ValueError, match="class_weight has 'c', which is none of the labels"):
        targets.rule_of({"c": 2}, {"a": 0})
