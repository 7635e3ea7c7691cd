"""scikit-learn's own checks of an estimator, as far as they apply to texts.

Its generator leaves an estimator of texts out. So the checks of settings are called one by one, and those
that fit numbers meet `OfNumbers`, which writes them as words. Two do not apply: what `fit` makes has names
without an underscore at their end, and its arguments are called texts and labels.
"""

import numpy as np
import pytest
from conftest import unchecked
from sklearn.utils import estimator_checks

from wave_jax.classifier import WaveClassifier

SETTINGS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
]
FITS = [
    "check_dict_unchanged",
    "check_estimators_overwrite_params",
    "check_estimators_fit_returns_self",
    "check_fit_idempotent",
    "check_estimators_pickle",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
]


class OfNumbers(WaveClassifier):
    """A classifier of rows of numbers, each written as a word of its column and its tenths."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(texts_of(X), y, sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(texts_of(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        return tags


def texts_of(X):
    return [" ".join(f"c{k}n{round(10 * x)}" for k, x in enumerate(row)) for row in np.asarray(X)]


@pytest.fixture(autouse=True)
def as_users_have_it():
    with unchecked():
        yield


@pytest.mark.parametrize("check", SETTINGS)
def test_settings(check):
    getattr(estimator_checks, check)("WaveClassifier", WaveClassifier())


@pytest.mark.parametrize("check", FITS)
def test_fits(check):
    tiny = {"d": 4, "epochs": 1, "batch": 32, "v": 300, "stems": 0, "pairs": 0, "max_length": 8, "lengths": 1}
    getattr(estimator_checks, check)("OfNumbers", OfNumbers(**tiny, valid=0, parameters=None))
