"""Totals over a split: exact, and the same for every batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CONFIGS, TINY, build, split_of

from wave_jax.data.batches import TokenArrays, gather
from wave_jax.training import devices
from wave_jax.training import evaluate as evaluation
from wave_jax.training.evaluate import Evaluation, counted, evaluate, predict, probabilities
from wave_jax.training.loss import Score, score_of_logits


def tokens(texts=21, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 15, texts)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = rng.integers(0, 3, texts).astype(np.int32)
    return TokenArrays(rng.integers(4, 11, offsets[-1]).astype(np.uint16), offsets, labels)


NETWORK, TOKENS = build(TINY), tokens()
LOGITS = predict(NETWORK, TOKENS, 8)


def test_logits_are_the_networks_in_the_order_of_the_split():
    batch = gather(TOKENS, np.arange(21), 16)
    want = jax.jit(lambda network, ids, mask: network(ids, mask))(NETWORK, batch.ids, batch.mask)
    np.testing.assert_allclose(LOGITS, want, rtol=1e-5, atol=1e-5)


def test_totals_are_exact_and_filler_counts_nothing():
    got = evaluate(NETWORK, TOKENS, 8)
    want = score_of_logits(jnp.asarray(LOGITS), jnp.asarray(TOKENS.labels))
    assert (got.score.correct, got.score.count) == (int(want.correct), 21)
    np.testing.assert_allclose(got.score.loss, want.loss, rtol=1e-6)
    answers = LOGITS.argmax(-1)
    for label in range(3):
        for answer in range(3):
            there = np.sum((TOKENS.labels == label) & (answers == answer))
            assert got.confusion[label, answer] == there


def test_totals_do_not_depend_on_the_batch():
    first, second = evaluate(NETWORK, TOKENS, 8), evaluate(NETWORK, TOKENS, 21)
    np.testing.assert_array_equal(first.confusion, second.confusion)
    np.testing.assert_allclose(first.score.loss, second.score.loss, rtol=1e-6)


def test_few_texts_are_not_padded_to_a_batch_of_many(monkeypatch):
    shapes, of_batch = [], evaluation._of_batch

    def spied(network, batch, mesh):
        shapes.append(batch.ids.shape[0])
        return of_batch(network, batch, mesh)

    monkeypatch.setattr(evaluation, "_of_batch", spied)
    for count, asked, rows in ((1, 256, [16]), (17, 256, [32]), (21, 8, [8, 8, 8])):
        few = TOKENS._replace(offsets=TOKENS.offsets[: count + 1], labels=TOKENS.labels[:count])
        shapes.clear()
        np.testing.assert_allclose(predict(NETWORK, few, asked), LOGITS[:count], rtol=1e-5, atol=1e-6)
        assert shapes == rows


def test_a_text_without_a_label_is_answered_but_not_counted():
    unlabelled = TOKENS._replace(labels=np.where(np.arange(21) < 5, -1, TOKENS.labels))
    got = evaluate(NETWORK, unlabelled, 8)
    assert got.score.count == got.confusion.sum() == 16
    np.testing.assert_array_equal(predict(NETWORK, unlabelled, 8), LOGITS)


def test_eight_devices_give_the_totals_of_one():
    mesh = devices.data_mesh()
    got = evaluate(devices.place(NETWORK, mesh), TOKENS, 8, mesh)
    np.testing.assert_array_equal(got.confusion, evaluate(NETWORK, TOKENS, 8).confusion)


def test_precision_and_recall():
    got = Evaluation(Score(0.0, 3, 5), np.array([[2, 0, 1], [0, 0, 1], [0, 0, 1]]))
    assert got.precision.tolist()[::2] == [1.0, 1 / 3]
    assert np.isnan(got.precision[1])
    assert got.recall.tolist() == [2 / 3, 0.0, 1.0]
    assert got.accuracy == pytest.approx(0.6)


def test_a_label_beyond_the_classes_is_named():
    wrong = TOKENS._replace(labels=np.full(21, 3, np.int32))
    with pytest.raises(ValueError, match=r"label 3, but the network knows the classes 0\.\.2"):
        evaluate(NETWORK, wrong, 8)


def test_no_texts_are_no_error():
    none = TokenArrays(np.zeros(0, np.uint16), np.zeros(1, np.int64), np.zeros(0, np.int32))
    assert evaluate(NETWORK, none).score == Score(0.0, 0, 0)


def test_f1_of_classes_and_their_mean():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    confusion = np.zeros((5, 5), np.int64)  # class 3 has no text, class 4 neither text nor answer
    np.add.at(confusion, (labels, answers), 1)
    found = Evaluation(Score(1.0, int(confusion.trace()), 50), confusion)
    np.testing.assert_allclose(found.f1[:4], metrics.f1_score(labels, answers, average=None))
    assert np.isnan(found.f1[4])
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, answers, average="macro"))


def test_several_labels_are_counted_as_scikit_learn_does():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    answers, targets = draw.random((2, 40, 5)) < 0.4
    targets[:, 4] = answers[:, 4] = False  # a class without texts and answers counts nothing
    found = counted(answers, targets)
    np.testing.assert_array_equal(found.confusion, metrics.multilabel_confusion_matrix(targets, answers))
    assert found.micro_f1 == pytest.approx(metrics.f1_score(targets, answers, average="micro"))
    of_four = metrics.f1_score(targets[:, :4], answers[:, :4], average="macro")
    assert found.macro_f1 == pytest.approx(of_four)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(targets, answers))
    np.testing.assert_allclose(
        found.precision[:4], metrics.precision_score(targets, answers, average=None, zero_division=0)[:4]
    )


def test_a_network_is_evaluated_on_several_labels_at_a_threshold():
    network, tokens = build(CONFIGS["bag"]), split_of([3, 5, 4])._replace(pad_id=0)
    tokens = tokens._replace(ids=tokens.ids % 11, targets=np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]], bool))
    shares = np.asarray(probabilities(predict(network, tokens), several=True))
    for threshold in (0.5, 0.2):
        found = evaluate(network, tokens, threshold=None if threshold == 0.5 else threshold)
        expected = counted(shares >= threshold, tokens.targets)
        np.testing.assert_array_equal(found.confusion, expected.confusion)
        assert (found.score.correct, found.score.count) == (expected.score.correct, 3)
    losses = -np.log(np.where(tokens.targets, shares, 1 - shares)).sum()
    assert found.score.loss == pytest.approx(losses, rel=1e-4)
