"""Every preset for every model is a whole that can be built; what does not fit together is refused."""

from dataclasses import replace

import jax
import pytest
from conftest import unchecked
from flax import nnx

import wave_jax
from wave_jax.networks.bert import BertConfig
from wave_jax.networks.kinds import KINDS
from wave_jax.networks.layers import count_parameters
from wave_jax.runs.presets import PRESETS, SMALL, max_length, preset, within
from wave_jax.training.config import PAPER_BERT


def parameters(network, v, c):
    return count_parameters(jax.eval_shape(lambda: network.build(v=v, c=c, rngs=nnx.Rngs(0))))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bert"])
def test_baselines_are_of_the_wave_networks_size_reading_and_training(name, kind):
    wave, other = preset(name), preset(name, kind)
    assert (other.training, other.v + other.pairs) == (wave.training, wave.v + wave.pairs)
    assert (other.network.d, max_length(other.network)) == (wave.network.d, max_length(wave.network))
    assert parameters(other.network, 99, 4).total > 99 * wave.network.d


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"pairs": -1}, "pairs must be at least 0"), ({"v": 1.5}, "v must be a whole number, got 1.5")],
)
def test_settings_of_rows_are_checked(setting, message):
    with unchecked(), pytest.raises(ValueError, match=message):
        replace(SMALL, **setting)


def test_the_presets_are_those_of_the_papers_and_of_the_modules():
    assert preset("small") == preset() == PRESETS["small"]
    assert wave_jax.SMALL is SMALL is PRESETS["small"]
    assert parameters(preset("paper-modulation").network, 30_522, 4).without_embeddings == 2_366_212
    interference = preset("paper-interference")
    assert replace(interference.network, combine="modulate") == preset("paper-modulation").network
    assert preset("paper-modulation", "transformer").network.heads == 12


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bert"])
@pytest.mark.parametrize(("v", "d"), [(60, 96), (24_000, 96), (25_000, 88), (49_000, 48), (200_000, 8)])
def test_small_is_as_wide_as_its_parameters_allow(kind, v, d):
    settings = preset("small", kind)
    found, most = within(settings, v, 14), settings.parameters
    assert abs(found.d - d) <= (8 if kind == "transformer" else 0)  # its layer is the largest
    assert parameters(found, v, 14).total <= most
    wider = replace(found, d=found.d + 8, **({"width": 4 * found.d + 32} if kind == "transformer" else {}))
    assert found == settings.network or parameters(wider, v, 14).total > most
    if kind == "wave":
        assert found.voices == d // 8
    if kind == "transformer":
        assert (found.width, found.heads) == (4 * found.d, 4)


def test_a_network_is_narrowed_where_it_is_told_to_alone():
    settings = preset("small")
    assert within(settings, 49_000, 4) == replace(settings.network, d=48)
    assert within(replace(settings, parameters=None), 49_000, 4) == settings.network
    narrow = replace(settings, network=replace(settings.network, d=20, voice_width=None))
    assert within(narrow, 49_000, 4) == narrow.network
    with pytest.raises(ValueError, match=r"^300,001 rows are too many for 2,400,000 parameters: ask"):
        within(settings, 300_001, 4)


def test_a_bert_is_what_its_folder_says(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 8, "num_attention_heads": 2}')
    found = preset("small", "bert", tmp_path)
    assert found.network == BertConfig(hidden_size=8, num_attention_heads=2)
    assert (found.training, found.weights) == (PAPER_BERT, tmp_path)
    assert max_length(found.network) == 512


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny",), "preset must be one of small, paper-modulation, paper-interference, got 'tiny'."),
        (("small", "lstm"), "model must be one of wave, transformer, bag, bert, got 'lstm'."),
        (("small", "bert"), "weights must be the folder of a BERT where the model is bert, got None."),
    ],
)
def test_what_is_no_preset_is_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        preset(*arguments)
