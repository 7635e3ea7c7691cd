"""A run from texts to metrics: the same with a folder and without, stopped and not."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import APART, APART_PRESET, DATA, PRESET, TEXTS, learnt, own_words

from wave_jax.data.datasets import Dataset
from wave_jax.data.tokens import rounded_up
from wave_jax.errors import CheckpointError, DataError
from wave_jax.runs import result, run
from wave_jax.runs.folder import RunFolder, parameter_digest
from wave_jax.training import evaluate
from wave_jax.training.loop import NonFinite, TrainConfig


@pytest.fixture(scope="module")
def prepared():
    return run.prepare(DATA, PRESET)


@pytest.fixture(scope="module")
def turns(prepared):
    """A whole run without a folder; each turn keeps its state's step alone, as the state is used up."""
    return [(turn.record, turn.kept) for turn in run.train(prepared, every=2)]


def same(a, b) -> bool:
    return parameter_digest(a) == parameter_digest(b)


def without_time(records):
    return [record._replace(texts_per_second=0.0) for record in records]


def test_all_that_a_run_needs_comes_from_texts_and_preset(prepared):
    assert prepared.settings.v == rounded_up(prepared.tokenizer.v) <= 60
    assert (prepared.settings.classes, prepared.settings.max_length) == (("+", "-"), 16)
    assert prepared.settings.data == {"name": "texts", "digest": DATA.digest}
    assert (len(prepared.train.labels), len(prepared.valid.labels), prepared.steps) == (16, 4, 12)
    again = run.prepare(DATA, PRESET)
    assert same(again.network, prepared.network)
    other = run.prepare(DATA, replace(PRESET, training=replace(PRESET.training, seed=1)))
    assert not same(other.network, prepared.network)


def sealed():
    raise AssertionError("the test split is read")


@pytest.mark.parametrize("cached", [False, True])
def test_the_tokenizer_its_stems_and_its_pairs_learn_from_training_texts_alone(cached, tmp_path):
    tokenizer = run.prepare(APART, APART_PRESET, cache=tmp_path if cached else None).tokenizer
    assert learnt(tokenizer) == own_words(APART.train)
    assert {"rise gain", "fall loss"} <= {*tokenizer.tokens}
    assert {token for text in APART.test.texts for token in text.split()} - {*tokenizer.tokens}


def test_no_bit_of_a_run_depends_on_texts_and_labels_that_are_held_out():
    other = APART.valid.take([4, 0, 1])
    others = replace(other, texts=tuple(f"{text} {text}" for text in other.texts), labels=1 - other.labels)
    ends = []
    for dataset in (replace(APART, read_test=sealed), replace(APART, valid=others, read_test=None)):
        prepared = run.prepare(dataset, APART_PRESET)
        *_, turn = run.train(prepared)
        result.measure(prepared, turn.kept, [turn.record])
        ends.append((prepared, turn.kept))
    (one, kept), (two, kept_by_two) = ends
    assert one.settings.data != two.settings.data
    assert one.tokenizer == two.tokenizer
    np.testing.assert_array_equal(one.train.ids, two.train.ids)
    assert same(one.network, two.network)
    assert same(kept, kept_by_two)
    assert not same(kept, one.network)


def test_weights_of_texts_come_along():
    weights = np.arange(1.0, 25)
    weighed = replace(APART, train=replace(APART.train, weights=weights))
    np.testing.assert_allclose(run.prepare(weighed, APART_PRESET).train.weights, weights / weights.mean())


def test_several_labels_start_from_their_log_odds():
    asked = np.arange(40).reshape(20, 2) % 5 == 0
    dataset = Dataset.from_texts(TEXTS, asked, classes=["+", "-"], share=0.0)
    preset = replace(PRESET, training=replace(PRESET.training, labels="several"))
    bias = run.prepare(dataset, preset).network.classifier.bias[...]
    having = dataset.train.targets.sum(axis=0)
    np.testing.assert_allclose(bias, np.log((having + 0.5) / (20 - having + 0.5)), rtol=1e-6)
    assert not np.any(run.prepare(DATA, PRESET).network.classifier.bias[...])


def test_sentences_are_counted_where_the_network_looks_at_them():
    by_sentence = replace(PRESET, network=replace(PRESET.network, levels="sentence"))
    assert run.prepare(DATA, by_sentence).train.segments is not None
    assert run.prepare(DATA, PRESET).train.segments is None


def test_the_best_network_is_that_of_the_highest_validation(prepared, turns):
    accuracies = [record.valid.accuracy for record, _ in turns if record.valid]
    first = next(i for i, (record, _) in enumerate(turns) if record.valid)
    assert all(best is None for _, best in turns[:first])
    kept = evaluate.evaluate(turns[-1][1], prepared.valid)
    assert kept.accuracy == max(accuracies)
    assert same(turns[-1][1], turns[2 * (1 + int(np.argmax(accuracies))) - 1][1])


def test_the_last_network_is_kept_where_that_is_asked_for(prepared, turns, tmp_path):
    last = replace(PRESET, training=replace(PRESET.training, keep="last"))
    other = run.prepare(DATA, last)
    *_, turn = run.train(other)
    assert same(turn.kept, turn.state.network)
    with run.run_folder(tmp_path, other) as folder:
        assert len(list(run.train(other, folder))) > 1
        assert folder.best is None
        assert same(folder.network(), turn.kept)
    assert not same(turns[-1][1], turn.kept), "the best epoch is the last: this test shows nothing"


def test_a_run_with_a_folder_that_is_stopped_anywhere_ends_as_one_that_is_not(prepared, turns, tmp_path):
    for record, _ in turns:  # one turn a part
        with run.run_folder(tmp_path, prepared, resume=True) as folder:
            turn = next(run.train(prepared, folder, every=2))
            assert turn.record.step == record.step
            folder.save(turn.state)
    with run.run_folder(tmp_path, prepared, resume=True) as folder:
        assert not list(run.train(prepared, folder))
        metrics = result.finish(folder, prepared, test=DATA.test, preset="tiny")
        assert without_time(folder.records()) == without_time([record for record, _ in turns])
    assert metrics["parameter_digest"] == parameter_digest(turns[-1][1])


def test_a_folder_is_of_one_run(prepared, tmp_path):
    run.run_folder(tmp_path / "run", prepared).close()
    with pytest.raises(CheckpointError, match="holds a run already: resume it, or name another folder"):
        run.run_folder(tmp_path / "run", prepared)
    other = prepared._replace(settings=replace(prepared.settings, training=TrainConfig(epochs=9)))
    with pytest.raises(CheckpointError, match=r"training\.epochs is 3, not 9"):
        run.run_folder(tmp_path / "run", other, resume=True)


def test_texts_of_one_class_are_refused_by_name():
    with pytest.raises(
        DataError, match=r"texts: all texts are of one class \(\+\): add texts of another one"
    ):
        run.prepare(Dataset.from_texts(["a", "b"] * 5, [0] * 10, classes=["+"]), PRESET)


def test_texts_that_moved_are_the_same_texts(tmp_path):
    here, there = (run.prepare(DATA, PRESET, origin={"name_or_folder": place}) for place in ("/a", "/b"))
    run.run_folder(tmp_path / "run", here).close()
    run.run_folder(tmp_path / "run", there, resume=True).close()


def test_the_state_before_a_step_that_is_not_finite_is_saved(prepared, tmp_path):
    training = replace(PRESET.training, rate=1e30)
    wild = prepared._replace(settings=replace(prepared.settings, training=training))
    with (
        run.run_folder(tmp_path, wild) as folder,
        pytest.raises(NonFinite, match="the state before it is kept") as met,
    ):
        list(run.train(wild, folder))
    assert RunFolder.open(tmp_path).steps == [met.value.step - 1]


def test_weights_are_for_networks_that_have_their_shape(tmp_path):
    (tmp_path / "config.json").write_text('{"vocab_size": 6}')
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nup\ndown\n")
    with pytest.raises(ValueError, match="are for bert and transformer: leave them out for wave"):
        run.prepare(DATA, replace(PRESET, weights=tmp_path))
