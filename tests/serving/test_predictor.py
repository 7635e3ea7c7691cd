"""Answers from a file without JAX: against the oracle, on odd texts; and files that are refused."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import paper
import pytest
from conftest import unchecked
from tiny import TINY, build

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.tokens import Tokens
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, predictor

TOKENIZER = Tokenizer.train(["the cat sat on the mat. 北京 élan", "dogs, cats and mats!"] * 2, v=60)
CLASSES = ["cats", "dogs", "北京"]
N = 8
TEXTS = ["the cat", "", "   ", "\x00", "\ud800", "☃", "[PAD] [CLS]", "dogs and " * 9, "a" * 300, "北京 élan!"]


def saved(path, **settings):
    network = build(replace(TINY, **settings), v=TOKENIZER.v)
    export.save(path, Trained(network, TOKENIZER, CLASSES, N))
    return network


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A good file."""
    path = tmp_path_factory.mktemp("files") / "good.wave"
    saved(path)
    return path


@pytest.fixture(scope="module")
def answers(file):
    return predictor.load(file)


# --- formula ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"combine": "interfere", "positions": "learned"},
        {"read_out": "magnitude", "pool": "mean"},
        {"combine": "interfere", "read_out": "real", "pool": "mean", "positions": "sinusoidal"},
    ],
    ids=str,
)
def test_logits_against_the_oracle(settings, tmp_path):
    network = saved(tmp_path / "file", **settings)
    ids, offsets, _ = TOKENIZER.encode(TEXTS, N)
    want = [paper.wave_network(network, ids[a:b]) for a, b in pairwise(offsets)]
    got = predictor.load(tmp_path / "file").logits(TEXTS)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4)


def test_the_others_of_a_dominating_token_are_not_lost():
    w = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    w[0, 1], w[1, :, 2], w[2, 1:] = 1e6, 0, 0
    w2 = np.float64(w) ** 2
    want = np.stack([np.delete(w2, j, axis=1).sum(axis=1) for j in range(5)], axis=1)
    np.testing.assert_allclose(predictor._others(w * w), want, rtol=1e-5)


def test_labels_and_probabilities_follow_the_logits(answers):
    logits = answers.logits(TEXTS).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers.predict_proba(TEXTS), shares, rtol=1e-5)
    assert answers.predict_proba(TEXTS).dtype == np.float32
    assert answers.predict(TEXTS) == [CLASSES[k] for k in shares.argmax(axis=1)]


# --- edge ---------------------------------------------------------------------------------------------------


def test_a_text_has_the_same_answer_alone_and_among_others(answers, monkeypatch):
    alone = np.concatenate([answers.logits([text]) for text in TEXTS])
    np.testing.assert_allclose(answers.logits(TEXTS), alone, rtol=1e-5)
    monkeypatch.setattr(predictor, "_BLOCK", 1)
    np.testing.assert_allclose(answers.logits(TEXTS), alone, rtol=1e-5)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_answers_of_one(threads, file, answers, monkeypatch):
    monkeypatch.setattr(predictor, "_TEXTS", 2)
    several, many = predictor.load(file, threads), [f"{text} {i}" for i in range(20) for text in TEXTS]
    np.testing.assert_allclose(several.logits(many), answers.logits(many), rtol=1e-5, atol=1e-6)
    assert several.predict(many) == answers.predict(many)
    assert several.predict([]) == []


def test_no_texts(answers):
    assert answers.predict([]) == []
    assert answers.logits([]).shape == (0, 3)
    assert answers.predict_proba([]).shape == (0, 3)


def test_texts_that_are_none(answers):
    with pytest.raises(TypeError, match="put it in a list"):
        answers.predict("the cat")
    with unchecked(), pytest.raises(TypeError, match=r"texts\[1\] must be str, got int"):
        answers.logits(["the cat", 5])


def test_tokens_of_another_tokenizer(answers):
    with pytest.raises(ValueError, match="use the file's tokenizer"):
        answers.answer(Tokens(np.array([2, TOKENIZER.v]), np.array([0, 2])))


def test_tokens_beyond_the_places(tmp_path):
    saved(tmp_path / "file", positions="learned")
    with pytest.raises(ValueError, match="A text has 9 tokens, where 8 are read"):
        predictor.load(tmp_path / "file").answer(TOKENIZER.encode(TEXTS, N + 1))


def test_what_it_is_made_of(answers):
    assert answers.classes == tuple(CLASSES)
    assert (answers.max_length, answers.tokenizer) == (N, TOKENIZER)
    assert answers.formula == ("modulate", "real_imag", "cls", "none", 1)
    assert repr(answers).startswith("Predictor(classes=['cats', 'dogs', '北京']")


def test_no_jax_is_loaded(file):
    script = (
        "import sys; from wave_jax import predictor; answers = predictor.load(sys.argv[1]);"
        "print(answers.predict(['the cat', '']), *sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", script, file]
    found = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    assert found.startswith(str(predictor.load(file).predict(["the cat", ""])))
    modules = {name.split(".")[0] for name in found.split()}
    assert {"numpy", "tokenizers"} < modules
    assert not modules & {"jax", "jaxlib", "flax", "optax", "orbax", "tensorflow_datasets"}


# --- bad input ----------------------------------------------------------------------------------------------


def test_no_threads(file):
    with pytest.raises(ValueError, match="threads must be at least 1"):
        predictor.load(file, threads=0)


# --- several labels a text ----------------------------------------------------------------------------------


def test_several_labels_are_those_above_the_threshold_of_the_file(tmp_path):
    network = build(TINY, v=TOKENIZER.v)
    one = predictor.load(saved_with(tmp_path / "one", network, None))
    several = predictor.load(saved_with(tmp_path / "several", network, 0.3))
    assert (one.threshold, several.threshold) == (None, 0.3)
    assert "threshold=0.3" in repr(several)
    shares = several.predict_proba(TEXTS)
    np.testing.assert_allclose(shares, 1 / (1 + np.exp(-several.logits(TEXTS).astype(float))), rtol=1e-5)
    assert several.predict(TEXTS) == [{CLASSES[k] for k in range(3) if row[k] >= 0.3} for row in shares]
    huge = several.logits(TEXTS)
    several.logits = lambda texts: huge * np.float32(1e30)
    assert set(np.unique(several.predict_proba(TEXTS))) <= {0, 0.5, 1}


def test_only_files_of_several_labels_are_of_the_second_format(tmp_path):
    network = build(TINY, v=TOKENIZER.v)
    raw = {name: saved_with(tmp_path / str(name), network, name).read_bytes() for name in (None, 0.25)}
    assert [raw[name][8] for name in (None, 0.25)] == [1, 2]
    assert b"threshold" not in raw[None]


def saved_with(path, network, threshold):
    export.save(path, Trained(network, TOKENIZER, CLASSES, N, threshold))
    return path
