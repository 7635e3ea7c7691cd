"""config.json: what is written comes back, and what was damaged, changed or written by others is refused."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny import CONFIGS, TINY, build

from wave_jax.disk import sealed, unsealed
from wave_jax.errors import CheckpointError
from wave_jax.networks.bert import BertConfig
from wave_jax.runs.folder import abstract_state
from wave_jax.runs.presets import SMALL
from wave_jax.runs.settings import Settings
from wave_jax.training.loop import TrainConfig
from wave_jax.training.step import init

SETTINGS = Settings(
    TINY, SMALL.training, 11, ["α", "b", "c"], 16, "digest", {"name": "planted", "size": None}
)


def error_of(file):
    with pytest.raises(CheckpointError) as caught:
        Settings.read(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_written_comes_back(tmp_path, kind):
    settings = replace(SETTINGS, network=CONFIGS[kind])
    settings.save(tmp_path / "config.json")
    found = Settings.read(tmp_path / "config.json")
    assert found == settings
    assert found.digest == settings.digest
    state = init(build(CONFIGS[kind]))
    assert jax.tree.structure(abstract_state(found)) == jax.tree.structure(state)
    for shape, array in zip(jax.tree.leaves(abstract_state(found)), jax.tree.leaves(state), strict=True):
        assert (shape.shape, shape.dtype) == (array.shape, array.dtype)


def test_nothing_is_computed_for_shapes():
    wide = replace(SETTINGS, network=replace(TINY, d=2**15), v=2**24)
    assert abstract_state(wide).parameters.embedding.shape == (2**24, 2**15)


def test_kinds():
    assert {replace(SETTINGS, network=config).kind for config in CONFIGS.values()} == {
        "wave",
        "transformer",
        "bag",
        "bert",
    }


def test_differences_are_named():
    other = replace(SETTINGS, training=TrainConfig(), classes=("x", "y"))
    found = SETTINGS.differences(other)
    assert "training.rate is 0.003, not 0.001" in found
    assert "classes is ['α', 'b', 'c'], not ['x', 'y']" in found
    assert not [line for line in found if line.startswith("network")]
    assert SETTINGS.differences(SETTINGS) == []
    assert "network.kind is 'wave', not 'bert'" in SETTINGS.differences(
        replace(SETTINGS, network=BertConfig())
    )


def test_digests_tell_settings_apart():
    others = [replace(SETTINGS, network=config, v=v) for config in CONFIGS.values() for v in (11, 12)]
    assert len({settings.digest for settings in others}) == len(others)


def test_any_flipped_byte_is_noticed(tmp_path):
    file = tmp_path / "config.json"
    SETTINGS.save(file)
    content = file.read_bytes()
    for at in range(0, len(content), 3):
        for bit in (0, 6):
            damaged = bytearray(content)
            damaged[at] ^= 1 << bit
            file.write_bytes(damaged)
            try:  # white space, and the case of a hexadecimal escape, carry no meaning
                assert Settings.read(file) == SETTINGS
            except CheckpointError:
                continue


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", sealed({})])
def test_other_files(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    assert "damaged" in (found := error_of(tmp_path / "config.json")) or "of format None" in found


def test_a_changed_file(tmp_path):
    file = tmp_path / "config.json"
    SETTINGS.save(file)
    file.write_text(file.read_text("utf-8").replace('"d": 6', '"d": 8'), "utf-8")
    assert "does not agree with its SHA-256" in error_of(file)


def test_a_missing_file(tmp_path):
    assert "is missing: name the folder of a run" in error_of(tmp_path / "config.json")
    assert "cannot be read" in error_of(tmp_path)
    (tmp_path / "news.wave").touch()
    with pytest.raises(CheckpointError, match=r"news\.wave is a file: name the folder of a run; an exported"):
        Settings.read(tmp_path / "news.wave" / "config.json")


def test_a_newer_format(tmp_path):
    file = tmp_path / "config.json"
    SETTINGS.save(file)
    file.write_bytes(sealed({**unsealed(file.read_bytes()), "format": 3}))
    assert "is of format 3, not 2: take the wave_jax that wrote it" in error_of(file)


@pytest.mark.parametrize("change", [{"network": {"kind": "other"}}, {"training": {"speed": 3}}, {"new": 1}])
def test_settings_that_are_not_known(tmp_path, change):
    file = tmp_path / "config.json"
    SETTINGS.save(file)
    file.write_bytes(sealed({**unsealed(file.read_bytes()), **change}))
    assert "holds settings unknown here" in error_of(file)


def test_a_function_is_in_no_file(tmp_path):
    own = replace(SETTINGS, network=replace(TINY, combine=np.add))
    with pytest.raises(ValueError, match=r"network.combine must be a name, as config.json holds no function"):
        own.save(tmp_path / "config.json")
    assert not (tmp_path / "config.json").exists()


def test_bad_settings():
    with pytest.raises(ValueError, match="classes must be at least 2 names"):
        replace(SETTINGS, classes=["a"])
    for data in ({"key": 1j}, {"x": np.float32(1)}, {"x": (1, 2)}):
        with pytest.raises(ValueError, match="data must be what JSON can hold"):
            replace(SETTINGS, data=data)
