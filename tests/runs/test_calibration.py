"""A run's temperature: chosen where it is asked for and texts suffice; run, file and classifier have it."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import PRESET

from wave_jax.classifier import WaveClassifier
from wave_jax.data.datasets import Dataset
from wave_jax.runs import calibration, result, run, trained
from wave_jax.runs.presets import PRESETS, SMALL
from wave_jax.serving import export, predictor
from wave_jax.serving.live import Answers
from wave_jax.training import evaluate as evaluation
from wave_jax.training.evaluate import evaluate, outputs

WORDS = ["up rise gain", "down fall loss"]
LABELS = [int(i % 2 != (i % 7 == 0)) for i in range(240)]  # one in seven is wrong
TEXTS = [f"{WORDS[i % 2]} {'abc'[i % 3]} {'xyz'[i // 3 % 3]}" for i in range(240)]
DATA = Dataset.from_texts(
    TEXTS[:120], LABELS[:120], valid=(TEXTS[120:], LABELS[120:]), test=(TEXTS, LABELS), classes=["+", "-"]
)
CALIBRATED = replace(PRESET, calibrate=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run with a temperature, its folder, and what it was prepared from."""
    prepared = run.prepare(DATA, CALIBRATED)
    with run.run_folder(tmp_path_factory.mktemp("run") / "run", prepared) as folder:
        for _ in run.train(prepared, folder):
            pass
        result.finish(folder, prepared, test=DATA.test)
    return folder, prepared


def test_metrics_tell_before_and_after(finished):
    folder, prepared = finished
    metrics = folder.metrics()
    assert metrics["temperature"] != pytest.approx(1, abs=1e-3)
    assert metrics["valid_calibrated_loss"] < metrics["valid_loss"]
    assert {"valid_calibration_error", "valid_calibrated_calibration_error"} < metrics.keys()
    assert {"test_calibration_error", "test_calibrated_loss", "test_loss"} < metrics.keys()
    raw = evaluate(folder.network(), prepared.valid)
    answering = evaluate(folder.trained().network, prepared.valid)
    np.testing.assert_array_equal(answering.confusion, raw.confusion)
    assert raw.score.correct / raw.score.count == metrics["valid_accuracy"]
    assert float(answering.score.mean_loss) == pytest.approx(metrics["valid_calibrated_loss"], rel=1e-4)
    assert float(raw.score.mean_loss) == pytest.approx(metrics["valid_loss"], rel=1e-6)


def test_run_file_and_classifier_give_the_same_probabilities(finished, tmp_path):
    folder, _ = finished
    texts = [*DATA.valid.texts[:9], "up loss", ""]
    shares = Answers(folder.trained()).predict_proba(texts)
    raw = Answers(folder.trained(folder.kept)).predict_proba(texts)
    T = folder.metrics()["temperature"]
    np.testing.assert_allclose(
        np.log(shares[:, 0] / shares[:, 1]), np.log(raw[:, 0] / raw[:, 1]) / T, rtol=1e-3
    )
    export.save(tmp_path / "file.wave", folder.trained())
    np.testing.assert_allclose(predictor.load(tmp_path / "file.wave").predict_proba(texts), shares, rtol=1e-4)
    classifier = WaveClassifier.load(folder.path)
    np.testing.assert_allclose(classifier.predict_proba(texts), shares, rtol=1e-6)
    classifier.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        WaveClassifier.load(tmp_path / "saved").predict_proba(texts), classifier.predict_proba(texts)
    )


def test_there_is_none_unless_asked_for_with_texts_enough(finished):
    folder, prepared = finished
    network = folder.network()
    assert "temperature" not in result.measure(prepared._replace(calibrate=False), network, [])
    few = prepared.start.tokens(DATA.valid.take(range(calibration.LEAST - 1)))
    assert calibration.numbers({"valid": outputs(network, few)}) == {}
    enough = outputs(network, prepared.start.tokens(DATA.valid.take(range(calibration.LEAST))))
    assert "temperature" in calibration.numbers({"valid": enough})
    shares = np.full((calibration.LEAST, 2), 0.5, np.float32)
    assert calibration.numbers({"valid": enough._replace(targets=shares)}) == {}


def test_all_numbers_come_from_one_answer_to_each_text(finished, monkeypatch):
    folder, prepared = finished
    tokenized, answered = [], 0
    tokenize, of_batch = trained.tokenize, evaluation._of_batch

    def counting_texts(texts, *given):
        tokenized.append(len(texts))
        return tokenize(texts, *given)

    def counting_answers(network, batch, mesh):
        nonlocal answered
        answered += int((batch.labels >= 0).sum())
        return of_batch(network, batch, mesh)

    monkeypatch.setattr(trained, "tokenize", counting_texts)
    monkeypatch.setattr(evaluation, "_of_batch", counting_answers)
    found = result.measure(prepared, folder.network(), folder.records(), test=DATA.test, preset=None)
    assert found == folder.metrics()
    assert {"temperature", "valid_loss", "test_loss", "test_calibrated_loss"} < found.keys()
    assert (tokenized, answered) == ([240], 120 + 240)


def test_it_is_on_where_labels_are_smoothed_and_off_in_the_papers_presets():
    assert SMALL.calibrates
    assert not any(preset.calibrates for name, preset in PRESETS.items() if name.startswith("paper"))
    assert not replace(SMALL, calibrate=False).calibrates
    assert run.prepare(DATA, CALIBRATED).calibrate
    assert not run.prepare(DATA, PRESET).calibrate


def test_a_fitted_classifier_answers_with_its_temperature():
    tiny = {"d": 4, "epochs": 2, "batch": 8, "v": 60, "pairs": 0, "stems": 0, "max_length": 8, "dropout": 0.0}
    classifier = WaveClassifier(**tiny, calibrate=True).fit(
        DATA.train.texts, LABELS[:120], valid=(TEXTS, LABELS)
    )
    T = classifier.metrics["temperature"]
    raw = classifier.predict_log_proba(["up", "fall"])
    classifier.metrics = {}
    np.testing.assert_allclose(
        np.diff(raw), np.diff(classifier.predict_log_proba(["up", "fall"])) / T, rtol=1e-3, atol=1e-5
    )
