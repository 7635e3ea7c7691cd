"""The settings of a run: their ranges, the rate, what weight decay spares, and the tokens left out."""

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import unchecked

from wave_jax.data.batches import TokenArrays
from wave_jax.training.config import TrainConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("steps", 0),
        ("batch", 0),
        ("rate", 0.0),
        ("rate", float("inf")),
        ("warm_up", 1.0),
        ("schedule", "step"),
        ("weight_decay", -1.0),
        ("decay_spares", "all"),
        ("clip", 0.0),
        ("smoothing", 1.0),
        ("drop_tokens", 1.0),
        ("keep_tokens", -1),
        ("lengths", 0),
        ("patience", 0),
        ("keep", "first"),
        ("seed", -1),
        ("dtype", "float16"),
    ],
)
def test_a_setting_out_of_range_is_named(name, value):
    with unchecked(), pytest.raises(ValueError, match=rf"^{name} must be .*, got {value!r}\.$"):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("texts", "classes", "batch", "epochs"),
    [
        (64_000, 4, 64, 6),  # 6,000 steps are more than 50 for every class
        (64_000, 400, 64, 20),  # 1,000 steps an epoch, 20,000 asked for
        (65, 3, 64, 75),  # two steps an epoch
        (17, 2, 1, 6),  # 6 epochs of 17 steps are 102
        (16, 2, 1, 7),  # 6 epochs of 16 steps are 96
    ],
)
def test_few_texts_and_many_classes_are_read_more_often(texts, classes, batch, epochs):
    labels = np.arange(texts) % classes
    config = TrainConfig(epochs=None, batch=batch)
    assert config.epochs_for(labels) == epochs
    assert config.steps_for(labels) == epochs * math.ceil(texts / batch)
    assert replace(config, epochs=2).epochs_for(labels) == 2  # what is given stands
    assert replace(config, steps=9).steps_for(labels) == 9


def test_of_several_labels_every_one_is_a_class():
    texts = np.eye(50, dtype=bool)[np.arange(64) % 2]  # 48 labels that no text has
    assert TrainConfig(epochs=None).epochs_for(texts) == 50 * 50
    tokens = TokenArrays(np.zeros(64), np.arange(65), np.arange(64) % 2)
    assert TrainConfig(epochs=None).steps_for(tokens.asked) == 50 * 2
    assert TrainConfig(epochs=None).steps_for(tokens._replace(targets=texts).asked) == 50 * 50


def test_who_waits_for_a_better_epoch_keeps_the_best():
    with pytest.raises(ValueError, match=r"^keep must be best, with patience, got 'last'\.$"):
        TrainConfig(patience=2, keep="last")
    assert TrainConfig(patience=2).keep == "best"
