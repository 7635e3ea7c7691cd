"""Settings drawn around a preset: reproducible, all different, within their space, and near the preset."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from wave_jax.networks.bert import BertConfig
from wave_jax.runs import space
from wave_jax.runs.presets import SMALL, preset

BASE = replace(SMALL, v=9_000, stems=4_000, pairs=10_000)
DRAWN = space.drawn(BASE, 6, seed=1, count=400)


def test_more_draws_begin_with_the_same_ones_and_another_seed_draws_others():
    assert DRAWN[0] == BASE
    assert space.drawn(BASE, 6, 1, 9) == DRAWN[:9]
    assert space.drawn(BASE, 6, 2, 9)[1:] != DRAWN[1:9]
    assert all(DRAWN[i] not in DRAWN[:i] for i in range(50))


def test_every_setting_lies_in_its_space_and_is_the_presets_in_half_of_the_draws():
    found = {
        "rate": [each.training.rate for each in DRAWN],
        "epochs": [each.training.epochs for each in DRAWN],
        "dropout": [each.network.dropout for each in DRAWN],
        "drop_tokens": [each.training.drop_tokens for each in DRAWN],
        "smoothing": [each.training.smoothing for each in DRAWN],
        "d": [each.network.d for each in DRAWN],
        "words": [each.v - each.stems for each in DRAWN],
        "stems": [each.stems for each in DRAWN],
        "pairs": [each.pairs for each in DRAWN],
    }
    assert found.keys() == space.SPACE.keys()
    base = {name: values[0] for name, values in found.items()}
    for name, values in found.items():
        assert 0.4 < sum(value == base[name] for value in values) / len(values) < 0.6, name
    assert 0.001 <= min(found["rate"]) < 0.0012
    assert 0.0075 < max(found["rate"]) <= 0.009
    assert {*found["epochs"]} == {None, 9, 12}
    for name, most in (("dropout", 0.5), ("drop_tokens", 0.8), ("smoothing", 0.2)):
        assert 0 <= min(found[name]) < max(found[name]) <= most
    assert {*found["d"]} == {96, 48, 24}
    assert {*found["words"]} == {5_000, 2_500, 1_250}
    assert {*found["stems"]} == {4_000, 2_000, 0}
    assert {*found["pairs"]} == {10_000, 5_000, 2_500, 0}


def test_the_documentation_lists_the_space():
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page.split("| drawn |")[1].split("\n\n")[0], re.M))
    assert rows == space.SPACE


def test_a_draw_changes_nothing_else():
    names = {name for each in DRAWN for name in space.changes(each, BASE)}
    assert names == {*space.SPACE} - {"words"} | {"v"}


@pytest.mark.parametrize("model", ["transformer", "bag"])
def test_other_networks_are_drawn_too(model):
    drawn = space.drawn(preset("paper-modulation", model), 4, seed=0, count=40)
    assert {each.network.d for each in drawn} == {768, 384, 192}
    assert {each.training.epochs for each in drawn} == {4, 6, 8}


def test_steps_that_are_given_are_drawn_instead_of_epochs():
    drawn = space.drawn(replace(BASE, training=replace(BASE.training, steps=10)), 6, seed=0, count=40)
    assert {(each.training.steps, each.training.epochs) for each in drawn} == {
        (10, None),
        (15, None),
        (20, None),
    }


def test_weights_that_are_given_keep_their_width_and_their_vocabulary(tmp_path):
    base = replace(SMALL, network=BertConfig(), weights=tmp_path, pairs=0)
    drawn = space.drawn(base, 4, seed=0, count=40)
    assert {(each.v, each.stems, each.pairs, each.network) for each in drawn} == {
        (base.v, base.stems, 0, base.network)
    }
