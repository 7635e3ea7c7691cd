"""Targets: texts and labels as a caller has them, as texts and numbers of classes."""

import pytest

from wave_jax.data import targets


def test_columns_are_of_one_length_and_texts_are_strings():
    assert targets.columns(("a", "b"), (1, 2)) == (["a", "b"], [1, 2])
    with pytest.raises(ValueError, match="There are 2 texts but 1 labels"):
        targets.columns(["a", "b"], [1])
    with pytest.raises(TypeError, match=r"texts\[1\] must be str, got int: 7"):
        targets.columns(["a", 7], [1, 2])


def test_validation_labels_get_the_numbers_of_the_training_labels():
    assert targets.numbered((["x", "y"], ["b", "a"]), {"a": 0, "b": 1}) == (["x", "y"], [1, 0])
    with pytest.raises(ValueError, match="valid has the label 'c', which no training text has"):
        targets.numbered((["x"], ["c"]), {"a": 0})


def test_weights_of_labels_become_weights_of_numbers():
    assert targets.rule_of({"b": 2, "a": 0.5}, {"a": 0, "b": 1}) == "1=2.0,0=0.5"
    assert targets.rule_of({}, {"a": 0}) is None
    with pytest.raises(ValueError, match="class_weight has 'c', which is none of the labels"):
        targets.rule_of({"c": 2}, {"a": 0})
