"""A network as a folder of safetensors: the same bits come back, damage is named, the Hub gets it."""

import inspect
import json
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny import CONFIGS, build

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.errors import CheckpointError
from wave_jax.runs import hub, steps
from wave_jax.runs.hub import Saved
from wave_jax.runs.settings import Settings
from wave_jax.training.config import TrainConfig
from wave_jax.training.loop import Record
from wave_jax.training.loss import Score

TOKENIZER = Tokenizer.train(["cats sat on mats", "dogs ran"], v=40, min_frequency=1)
RECORDS = [Record(4, 1, 0.5, 0.25, 0.01, 1.5, 99.0), Record(8, 2, 0.4, 0.5, 0.0, 1.0, 98.0, Score(9.0, 3, 4))]


def saved_of(kind="voices"):
    config = CONFIGS[kind]
    v = 11 if kind == "BERT" else TOKENIZER.v
    data = {"name": "x", "digest": "y"}
    settings = Settings(config, TrainConfig(), v, ["a", "b", "c"], 16, TOKENIZER.digest, data)
    return Saved(settings, build(config, v=v), TOKENIZER, {"valid_accuracy": 0.5}, RECORDS)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_kind_of_network_comes_back_bit_for_bit(kind, tmp_path):
    saved = saved_of(kind)
    hub.save(tmp_path / "news", saved, license="mit")
    names = {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert {path.name for path in (tmp_path / "news").iterdir()} == names
    loaded = hub.load(tmp_path / "news")
    assert loaded._replace(network=None) == saved._replace(network=None)  # type: ignore[arg-type]
    for name, array in steps.named(saved.network).items():
        np.testing.assert_array_equal(steps.named(loaded.network)[name], array, strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["news"]


def test_other_libraries_read_the_weights(tmp_path):
    saved = saved_of()
    hub.save(tmp_path / "news", saved)
    arrays = load_file(tmp_path / "news" / "model.safetensors")
    assert arrays["embedding"].shape == (TOKENIZER.v, 6)
    page = (tmp_path / "news" / "README.md").read_text()
    assert page.startswith('---\nlibrary_name: "wave_jax"\n')
    assert 'WaveClassifier.from_pretrained("news")' in page


def test_damage_is_named(tmp_path):
    hub.save(tmp_path / "good", saved_of())
    weights = (tmp_path / "good" / "model.safetensors").read_bytes()
    flipped = bytearray(weights)
    flipped[-1] ^= 1
    other = Tokenizer.train(["quite other words"], v=40, min_frequency=1)
    faults = {
        "model.safetensors": [
            (bytes(flipped), r"safetensors is damaged or of another kind \(its numbers do not agree"),
            (weights[:-8], r"safetensors is damaged or of another kind"),
            (b"", "safetensors is damaged or of another kind"),
            (None, r"safetensors cannot be read \(No such file"),
        ],
        "config.json": [(b"{}", "config.json is damaged or was changed"), (None, "config.json is missing")],
        "tokenizer.json": [(other.to_json().encode(), "is of another network"), (None, "cannot be read")],
    }
    for name, contents in faults.items():
        for content, message in contents:
            shutil.copytree(tmp_path / "good", tmp_path / "bad")
            (tmp_path / "bad" / name).unlink()
            if content is not None:
                (tmp_path / "bad" / name).write_bytes(content)
            with pytest.raises(CheckpointError, match=message):
                hub.load(tmp_path / "bad")
            shutil.rmtree(tmp_path / "bad")


def test_weights_of_another_network_are_refused(tmp_path):
    hub.save(tmp_path / "a", saved_of())
    hub.save(tmp_path / "b", saved_of("modulation"))
    shutil.copy(tmp_path / "b" / "model.safetensors", tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"is of another network than config\.json: layers.* differ"):
        hub.load(tmp_path / "a")


def test_a_folder_that_is_there_is_left_alone_and_a_failure_leaves_none(tmp_path, monkeypatch):
    (tmp_path / "news").mkdir()
    with pytest.raises(CheckpointError, match="news exists already: name another folder"):
        hub.save(tmp_path / "news", saved_of())
    monkeypatch.setattr(hub, "card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hub.save(tmp_path / "other", saved_of())
    assert [path.name for path in tmp_path.iterdir()] == ["news"]


# --- the Hub, played by a folder ----------------------------------------------------------------------------


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A stand-in of huggingface_hub whose repositories are folders: what it was asked, and where they are."""
    asked, place = [], tmp_path / "hub"

    class HfApi:
        def create_repo(self, repo_id, *, private, exist_ok):
            asked.append(("create", repo_id, private, exist_ok))
            (place / repo_id).mkdir(parents=True, exist_ok=True)
            return f"https://hub/{repo_id}"

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            asked.append(("upload", repo_id, commit_message))
            shutil.copytree(folder_path, place / repo_id, dirs_exist_ok=True)

    def snapshot_download(repo_id):
        asked.append(("download", repo_id))
        return str(place / repo_id)

    library = types.SimpleNamespace(HfApi=HfApi, snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return asked, place


def test_the_stand_in_takes_what_the_library_takes(stand_in):
    played = sys.modules.pop("huggingface_hub")
    real = pytest.importorskip("huggingface_hub")
    names = lambda function: {*inspect.signature(function).parameters}
    for name in ("create_repo", "upload_folder"):
        assert names(getattr(played.HfApi, name)) <= names(getattr(real.HfApi, name))
    assert names(played.snapshot_download) <= names(real.snapshot_download)


def test_what_is_pushed_comes_back(stand_in, tmp_path):
    asked, place = stand_in
    saved = saved_of()
    address = hub.push("someone/news", saved, private=True)
    assert address == "https://hub/someone/news"
    assert asked == [
        ("create", "someone/news", True, True),
        ("upload", "someone/news", "A network of wave_jax"),
    ]
    assert 'from_pretrained("someone/news")' in (place / "someone" / "news" / "README.md").read_text()
    loaded = hub.load("someone/news")
    assert asked[-1] == ("download", "someone/news")
    np.testing.assert_array_equal(loaded.network.embedding[...], saved.network.embedding[...])


def test_without_the_library_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"Pushing to someone/news needs huggingface_hub: pip install"):
        hub.push("someone/news", saved_of())
    with pytest.raises(CheckpointError, match="someone/news is no folder, and reading it from the Hub needs"):
        hub.load("someone/news")
    for name in ("nowhere", "./a/b/c", "/tmp/nowhere-at-all"):
        with pytest.raises(CheckpointError, match="does not exist: name a folder, or a repository as"):
            hub.load(Path(name))


def test_notes_beside_the_weights_are_json(tmp_path):
    hub.save(tmp_path / "news", saved_of())
    raw = (tmp_path / "news" / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["metrics"]) == {"valid_accuracy": 0.5}
    assert len(header["__metadata__"]["records"].splitlines()) == 2
