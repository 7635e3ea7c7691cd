"""Labels of any kind come back as they were."""

import numpy as np

from wave_jax.data.labels import as_array, distinct


def test_the_order_of_classes_hangs_on_the_labels_alone_where_they_can_be_sorted():
    assert distinct([3, 1.5, True, 3]) == [True, 1.5, 3]
    assert distinct([(2, "b"), (2, "a"), (1, "z")]) == [(1, "z"), (2, "a"), (2, "b")]
    sets = [frozenset({2}), frozenset({1}), frozenset({1, 2})]  # `<` of sets is no order
    assert distinct(sets) == sets
    assert as_array([(1, 2), (3, 4)]).tolist() == [(1, 2), (3, 4)]
    assert as_array([1, 2]).dtype == np.int64
