"""The numbers that a run leaves: those of the network kept, and of its training."""

import jax
import numpy as np
import pytest
from tiny import APART, APART_PRESET, DATA, PRESET

from wave_jax.errors import CheckpointError
from wave_jax.runs import result, run
from wave_jax.runs.condition import metrics_of
from wave_jax.training import evaluate


@pytest.fixture(scope="module")
def prepared():
    return run.prepare(DATA, PRESET)


def test_the_numbers_of_a_run(prepared, tmp_path):
    with run.run_folder(tmp_path / "run", prepared) as folder:
        list(run.train(prepared, folder, every=2))
        assert metrics_of(folder.path) is None
        metrics = result.finish(folder, prepared, preset="tiny")
        network = folder.network()
    assert metrics_of(tmp_path / "run") == metrics
    assert "test_accuracy" not in metrics
    count = sum(leaf.size for leaf in jax.tree.leaves(network))
    assert metrics["parameters"] == count
    assert metrics["parameters_without_embeddings"] == count - prepared.settings.v * 4
    assert (metrics["model"], metrics["preset"], metrics["seed"], metrics["steps"]) == ("wave", "tiny", 0, 12)
    assert (metrics["data"], metrics["data_digest"]) == ("texts", DATA.digest)
    assert metrics["texts_per_second"] == pytest.approx(48 / metrics["seconds"])
    answers = evaluate.predict(network, prepared.valid).argmax(-1)
    assert metrics["valid_accuracy"] == np.mean(answers == prepared.valid.labels)
    assert metrics["versions"]["jax"] == jax.__version__

    read = result.measure(prepared, network, folder.records(), test=DATA.test)
    tokens = prepared.start.tokens(DATA.test)
    assert read["test_accuracy"] == np.mean(evaluate.predict(network, tokens).argmax(-1) == [0, 1])


def test_a_run_without_its_records_is_not_finished(prepared, tmp_path):
    with run.run_folder(tmp_path, prepared) as folder:
        list(run.train(prepared, folder))
        (tmp_path / "records.jsonl").unlink()
        with pytest.raises(CheckpointError, match=r"records\.jsonl ends with step 0, not 12: put back"):
            result.finish(folder, prepared)
    assert metrics_of(tmp_path) is None


def test_validation_and_test_are_measured_each_on_its_own_texts():
    prepared = run.prepare(APART, APART_PRESET)
    assert prepared.train.labels.tolist() == APART.train.labels.tolist()
    assert prepared.valid.labels.tolist() == APART.valid.labels.tolist()
    found = result.measure(prepared, prepared.network, [], test=APART.test)
    answers = evaluate.predict(prepared.network, prepared.valid).argmax(-1)
    assert found["valid_accuracy"] == np.mean(answers == APART.valid.labels)
    assert found["test_accuracy"] == pytest.approx(1 - found["valid_accuracy"])
