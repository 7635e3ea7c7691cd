"""The bag of embeddings against its formula in NumPy."""

import jax
import numpy as np
import pytest
from tiny import BATCH, build

from wave_jax.networks.bag import BagConfig


def test_a_bag_is_the_classified_mean_of_its_tokens():
    bag = build(BagConfig(d=5))
    table, kernel, bias = (
        np.asarray(x[...], float) for x in (bag.embedding, bag.classifier.kernel, bag.classifier.bias)
    )
    for ids, mask, logits in zip(BATCH.ids, BATCH.mask, bag(BATCH.ids, BATCH.mask), strict=True):
        h = table[np.asarray(ids)[np.asarray(mask)]].mean(0)
        np.testing.assert_allclose(logits, h @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_dropout_is_of_h_and_needs_a_key():
    bag = build(BagConfig(d=64, dropout=0.5))
    trace = bag.trace(BATCH.ids, BATCH.mask, key=jax.random.key(0))
    assert 0.3 < float((trace.h == 0).mean()) < 0.7
    assert float((bag.trace(BATCH.ids, BATCH.mask).h == 0).mean()) == 0


def test_settings_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"d must be at least 1, got 0"):
        BagConfig(d=0)
