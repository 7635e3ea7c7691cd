"""Labels in batches of every engine: on plain stand-ins always, in the engines where they are installed."""

import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny import DATA, PRESET

from wave_jax.data import targets
from wave_jax.data.datasets import Dataset
from wave_jax.runs import run
from wave_jax.serving import export, predictor
from wave_jax.serving.engines import Labelling

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
ENGINES = {"ray": 1, "pyspark": 2, "datasets": 3}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The exported file of a network that knows up from down."""
    training = replace(PRESET.training, epochs=20, rate=0.03)
    prepared = run.prepare(DATA, replace(PRESET, training=training))
    for turn in run.train(prepared):
        kept = turn.kept
    path = tmp_path_factory.mktemp("engines") / "news.wave"
    export.save(path, prepared.trained(kept)._replace(classes=("up", "down")))
    return path


def test_a_mapping_of_columns_gets_two_more(file):
    texts = ["gain rise up", "fall loss down", ""]
    labelled = Labelling(file)({"text": np.array(texts), "id": [7, 8, 9]})
    shares = predictor.load(file).predict_proba(texts)
    assert [*labelled] == ["text", "id", "prediction", "probability"]
    assert labelled["prediction"][:2] == ["up", "down"]
    np.testing.assert_array_equal(labelled["probability"], shares.max(axis=-1))
    assert labelled["probability"].dtype == np.float32
    assert Labelling(file)({"text": []})["prediction"] == []


def test_of_several_labels_those_above_the_threshold_are_joined_the_likeliest_first(tmp_path):
    texts = ["gain rise up", "fall loss down", "gain loss", "noon"] * 10
    asked = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 10, bool)
    dataset = Dataset.from_texts(texts, asked, classes=["up", "down"])
    training = replace(PRESET.training, epochs=20, rate=0.03, labels="several")
    prepared = run.prepare(dataset, replace(PRESET, training=training))
    for turn in run.train(prepared):
        kept = turn.kept
    export.save(tmp_path / "several.wave", prepared.trained(kept))
    labelled = Labelling(tmp_path / "several.wave")({"text": texts[:4]})
    shares = predictor.load(tmp_path / "several.wave").predict_proba(texts[:4])
    both = "up|down" if shares[2, 0] >= shares[2, 1] else "down|up"
    assert labelled["prediction"] == ["up", "down", both, ""]
    np.testing.assert_array_equal(labelled["probability"], shares.max(axis=-1))
    assert set(targets.read(labelled["prediction"], several=True).each[2]) == {"up", "down"}


def test_frames_keep_their_columns_and_index(file):
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame({"words": ["gain rise up"], "id": [k]}, index=[40 + k]) for k in range(2)]
    labelled = list(Labelling(file, text="words").frames(iter(frames)))
    assert [frame.index.tolist() for frame in labelled] == [[40], [41]]
    assert labelled[0].to_dict("list") | {"probability": 0} == {
        "words": ["gain rise up"],
        "id": [0],
        "prediction": ["up"],
        "probability": 0,
    }


def test_a_worker_gets_the_name_of_the_file_and_loads_it_once(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    labelling, loaded = Labelling("news.wave"), []
    load = predictor.load
    monkeypatch.setattr(predictor, "load", lambda *given: loaded.append(given) or load(*given))
    for _ in range(2):
        labelling({"text": ["up"]})
    assert loaded == [(str(file), 1)]
    sent = pickle.dumps(labelling)
    assert len(sent) < 500
    monkeypatch.chdir("/")  # a worker is elsewhere
    assert pickle.loads(sent)({"text": ["gain rise up"]})["prediction"] == ["up"]


def test_it_needs_no_jax(file):
    code = (
        "import sys; from wave_jax.serving.engines import Labelling;"
        "Labelling(sys.argv[1])({'text': ['up']}); print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_first_block_of_the_page_runs(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    exec(BLOCKS[0], {})


@pytest.mark.parametrize("engine", ENGINES)
def test_the_block_of_an_engine_runs_where_it_is_installed(engine, file):
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    code = BLOCKS[0] + BLOCKS[ENGINES[engine]]
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "HF_HOME": str(file.parent / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=file.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
