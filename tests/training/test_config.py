"""The settings of a run: their ranges, the rate, what weight decay spares, and the tokens left out."""

import pytest
from conftest import unchecked

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


def test_who_waits_for_a_better_epoch_keeps_the_best():
    with pytest.raises(ValueError, match=r"^keep must be best, with patience, got 'last'\.$"):
        TrainConfig(patience=2, keep="last")
    assert TrainConfig(patience=2).keep == "best"
