"""The bytes of an exported file are known before training, and a preset shrinks until its file fits."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import APART, APART_PRESET, DATA, PRESET

from wave_jax.classifier import WaveClassifier
from wave_jax.data import datasets
from wave_jax.data.datasets import Dataset
from wave_jax.networks.configs import BagConfig
from wave_jax.runs import run
from wave_jax.runs.presets import SMALL, within
from wave_jax.serving import export, size

SEVERAL = Dataset.from_texts(
    ["up a", "down b", "up down", "a b"] * 3, np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 3, bool)
)
PRESETS = {
    "words, stems and pairs": (APART, APART_PRESET),
    "pieces, which are folded": (DATA, replace(PRESET, network=replace(PRESET.network, d=40))),
    "positions": (DATA, replace(PRESET, network=replace(PRESET.network, positions="sinusoidal"))),
    "several labels": (SEVERAL, replace(PRESET, training=replace(PRESET.training, labels="several"))),
}


@pytest.mark.parametrize("name", PRESETS)
def test_the_bytes_of_a_file_are_known_before_its_network_is_trained(name, tmp_path):
    dataset, preset = PRESETS[name]
    prepared = run.prepare(dataset, preset)
    trained = prepared.start
    if name == "several labels":
        trained = trained._replace(threshold=0.654321)  # of as many digits as `best_threshold` rounds to
    written = export.save(tmp_path / "file", trained, dtype="int8")
    found = size.bytes_of(dataset, preset, prepared.tokenizer)
    assert found == written.size == (tmp_path / "file").stat().st_size == size.measured(trained, found)
    assert written.folded == (name == "pieces, which are folded")
    with pytest.raises(AssertionError, match=f"has {found:,} bytes, and {found - 1:,} were promised"):
        size.measured(trained, found - 1)


@pytest.fixture(scope="module")
def planted():
    return datasets.load("planted", size=200)


def shape(dataset, preset):
    """Rows of the table, and the width."""
    tokenizer = run.tokenizer_of(dataset, preset)
    return tokenizer.v, within(preset, tokenizer.v, len(dataset.classes)).d


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_what_fits_is_nearly_as_large_as_it_may_be_and_shrinks_alike_in_rows_and_width(planted, share):
    whole = size.bytes_of(planted, SMALL, run.tokenizer_of(planted, SMALL))
    most = int(share * whole)
    preset = size.fitted(planted, SMALL, most)
    found = size.bytes_of(planted, preset, run.tokenizer_of(planted, preset))
    assert 0.9 * most < found <= most
    (rows, d), (all_rows, widest) = shape(planted, preset), shape(planted, SMALL)
    assert rows / all_rows >= 0.98 * d / widest or d == 8
    assert rows / all_rows < (d + 16) / widest or d == widest
    assert preset.training == SMALL.training
    tokenizer = run.tokenizer_of(planted, SMALL)
    stems = sum(token.endswith("##") for token in tokenizer.vocabulary)
    assert abs(preset.stems / preset.v - stems / len(tokenizer.vocabulary)) < 0.02


def test_a_preset_that_fits_stays_as_it_is(planted):
    whole = size.bytes_of(planted, SMALL, run.tokenizer_of(planted, SMALL))
    assert size.fitted(planted, SMALL, whole) is SMALL
    assert size.fitted(planted, SMALL, whole - 1) != SMALL


def test_the_smallest_file_is_named_where_nothing_fits_and_it_can_be_had(planted):
    with pytest.raises(ValueError, match="the smallest, of 128 rows of 8 numbers, has ") as error:
        size.fitted(planted, SMALL, 1000)
    least = int(str(error.value).split("has ")[-1].split(" ")[0].replace(",", ""))
    preset = size.fitted(planted, SMALL, least)
    assert size.bytes_of(planted, preset, run.tokenizer_of(planted, preset)) == least
    with pytest.raises(ValueError, match="smallest"):
        size.fitted(planted, SMALL, least - 1)


def test_a_network_that_no_file_holds_has_no_size(planted):
    bag = replace(SMALL, network=BagConfig(d=8))
    with pytest.raises(ValueError, match="Only a Wave Network of one layer"):
        size.fitted(planted, bag, 10**6)
    start = run.prepare(DATA, replace(PRESET, network=BagConfig(d=4))).start
    assert size.measured(start) is None


def test_an_estimator_fits_into_its_size_with_the_names_of_its_classes(tmp_path):
    texts, labels = list(APART.train.texts), ["a name that is long" if i % 2 else "b" for i in range(24)]
    settings = {"d": 16, "epochs": 1, "batch": 8, "max_length": 16, "valid": 0.2}
    whole = WaveClassifier(**settings).fit(texts, labels).export(tmp_path / "whole")
    fitted = WaveClassifier(**settings, size=whole.size - 1).fit(texts, labels)
    assert fitted.export(tmp_path / "file").size < whole.size
    same = WaveClassifier(**settings, size=str(whole.size)).fit(texts, labels)
    assert same.export(tmp_path / "same").size == whole.size
    assert same.tokenizer.v > fitted.tokenizer.v or same.settings.network.d > fitted.settings.network.d
