"""Weights of texts and classes have mean 1, balance what they say, and are refused if they say nothing."""

import numpy as np
import pytest

from wave_jax.data.splits import Split, hold_out
from wave_jax.data.weights import checked, log_odds, of_texts
from wave_jax.errors import DataError

LABELS = np.array([0, 0, 0, 1], np.int32)
SPLIT = Split(tuple("abcd"), LABELS)
OWN = Split(tuple("abcd"), LABELS, weights=np.array([1.0, 1.0, 2.0, 4.0]))


def test_without_a_rule_and_own_weights_all_count_alike():
    assert of_texts(SPLIT, "xy", None) is None
    np.testing.assert_allclose(of_texts(OWN, "xy", None), [0.5, 0.5, 1, 2])


@pytest.mark.parametrize("split", [SPLIT, OWN])
def test_balanced_classes_weigh_alike_and_the_mean_is_1(split):
    weights = of_texts(split, "xy", "balanced")
    assert weights.mean() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(weights[3])


def test_balanced_weights_are_those_of_scikit_learn():
    expected = pytest.importorskip("sklearn.utils").compute_sample_weight("balanced", LABELS)
    np.testing.assert_allclose(of_texts(SPLIT, "xy", "balanced"), expected / expected.mean(), rtol=1e-6)


def test_classes_are_weighed_by_name_and_others_count_1():
    np.testing.assert_allclose(of_texts(SPLIT, ["x", "a=b"], " a=b=3"), np.array([1, 1, 1, 3]) / 1.5)
    np.testing.assert_allclose(of_texts(SPLIT, "xy", "y=0"), np.array([1, 1, 1, 0]) * 4 / 3, rtol=1e-6)


def test_weights_follow_their_texts():
    train, valid = hold_out(OWN, 0.5)
    own = dict(zip(OWN.texts, OWN.weights, strict=True))
    for part in (train, valid):
        assert [own[text] for text in part.texts] == part.weights.tolist()
    assert OWN.digest != SPLIT.digest


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"There are 3 texts but weights of shape \(2,\): give one for each text"),
        ([1, -1, 1], r"The weight of text 1 is -1\.0: weights are finite and not below 0"),
        ([1, 1, np.nan], r"The weight of text 2 is nan"),
        ([np.inf, 1, 1], r"The weight of text 0 is inf"),
        (["a", 1, 1], r"Weights of texts are no numbers: give one finite number for each text"),
        ([0, 0, 0], r"All weights of texts are 0: give some of them a weight above 0"),
    ],
)
def test_weights_that_say_nothing_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        checked(weights, 3)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("equal", r"class_weight has 'equal': give balanced, or class=weight of x, y"),
        ("z=1", r"class_weight has 'z=1': give balanced, or class=weight of x, y"),
        ("x=-1", r"class_weight has 'x=-1': a weight is a finite number and not below 0"),
        ("x=nan", r"class_weight has 'x=nan': a weight is a finite number"),
        ("x=much", r"class_weight has 'x=much': a weight is a finite number"),
        ("x=0,y=0", r"All weights of the training texts are 0"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(rule, message):
    with pytest.raises(DataError, match=message):
        of_texts(SPLIT, "xy", rule)


SEVERAL = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], bool)


def test_of_several_labels_those_with_and_without_a_label_weigh_alike():
    weights = of_texts(Split.of_matrix("abcd", SEVERAL, np.array([1.0, 1.0, 2.0, 4.0])), "xy", "balanced")
    assert weights.mean() == pytest.approx(1)
    for k in range(2):
        assert weights[SEVERAL[:, k], k].sum() == pytest.approx(weights[~SEVERAL[:, k], k].sum(), rel=1e-6)
    named = of_texts(Split.of_matrix("abcd", SEVERAL), "xy", "y=3")
    np.testing.assert_allclose(named / named[0, 0], np.where(SEVERAL, [1, 3], 1))
    assert of_texts(Split.of_matrix("abcd", SEVERAL), "xy", None) is None


def test_log_odds_are_those_of_having_a_label_or_not():
    np.testing.assert_allclose(log_odds(SEVERAL), np.log([3.5 / 1.5, 1.5 / 3.5]), rtol=1e-6)
    doubled = log_odds(np.concatenate([SEVERAL, SEVERAL]))
    np.testing.assert_allclose(log_odds(SEVERAL, np.full(4, 2.0)), doubled, rtol=1e-6)
    balanced = of_texts(Split.of_matrix("abcd", SEVERAL), "xy", "balanced")
    np.testing.assert_allclose(log_odds(SEVERAL, balanced), 0, atol=1e-6)
    assert np.isfinite(log_odds(np.array([[True, False]]))).all()


def test_of_probabilities_a_text_weighs_as_its_classes_do():
    shares = np.float32([[0.75, 0.25], [1, 0], [0, 1]])
    np.testing.assert_allclose(
        of_texts(Split.of_matrix("abc", shares), "xy", "y=3"), np.array([1.5, 1, 3]) / 5.5 * 3, rtol=1e-6
    )
    balanced = of_texts(Split.of_matrix("abc", shares), "xy", "balanced")
    by_class = 1 / shares.sum(axis=0)
    np.testing.assert_allclose(balanced, shares @ by_class / (shares @ by_class).mean(), rtol=1e-6)
    hard = of_texts(Split.of_matrix("abcd", np.eye(2, dtype=np.float32)[LABELS]), "xy", "balanced")
    np.testing.assert_allclose(hard, of_texts(SPLIT, "xy", "balanced"), rtol=1e-6)


def test_a_class_that_no_text_has_weighs_nothing_on_the_others():
    """A network that is trained on may know more classes than the new texts have."""
    wider = of_texts(Split.of_matrix("abcd", np.pad(SEVERAL, ((0, 0), (0, 1)))), "xyz", "balanced")
    narrow = of_texts(Split.of_matrix("abcd", SEVERAL), "xy", "balanced")
    np.testing.assert_allclose(wider[:, :2] / wider[0, 0], narrow / narrow[0, 0], rtol=1e-6)
    np.testing.assert_array_equal(of_texts(SPLIT, "xyz", "balanced"), of_texts(SPLIT, "xy", "balanced"))
