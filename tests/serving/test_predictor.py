"""Answers from a file without JAX: against the oracle, on odd texts; and files that are refused."""

import json
import struct
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import paper
import pytest
from conftest import unchecked
from tiny import TINY, build

from wave_jax.data.tokenizer import Tokenizer, Tokens
from wave_jax.errors import PredictorError
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, predictor
from wave_jax.serving import file as format

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


def refused(path, raw):
    path.write_bytes(raw)
    with pytest.raises(PredictorError) as error:
        predictor.load(path)
    assert str(error.value).startswith(f"{path} ")
    return str(error.value)


def test_a_byte_that_was_changed_is_noticed_wherever_it_is(file):
    raw = bytearray(file.read_bytes())
    for i in range(len(raw)):
        raw[i] ^= 1
        with pytest.raises(ValueError, match=r"it is damaged|it has|it is of format|no export"):
            format.unpack(bytes(raw))
        raw[i] ^= 1
    format.unpack(bytes(raw))


def test_a_file_cut_short_at_any_place_is_refused(file):
    raw = file.read_bytes()
    for size in range(len(raw)):
        with pytest.raises(ValueError, match="copy or export it again"):
            format.unpack(raw[:size])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "bytes, not"),
        (lambda raw: raw + b"\n", "bytes, not"),
        (lambda raw: b"", "ends after 0 bytes"),
        (lambda raw: b"PK\x03\x04" + raw, "no export of wave_jax wrote it"),
        (
            lambda raw: raw[:8] + struct.pack("<I", 2) + raw[12:],
            "format 2, not 1: take the wave_jax that wrote",
        ),
        (lambda raw: raw[:-9] + b"\x00" + raw[-8:], "damaged, as its SHA-256 shows"),
    ],
    ids=["shorter", "longer", "empty", "foreign", "newer", "changed"],
)
def test_what_is_not_whole_is_refused_with_a_sentence(file, tmp_path, change, message):
    assert message in refused(tmp_path / "file", change(file.read_bytes()))


def test_what_is_missing(tmp_path):
    with pytest.raises(PredictorError, match=r"none\.wave cannot be read: No such file"):
        predictor.load(tmp_path / "none.wave")
    with pytest.raises(PredictorError, match="cannot be read: Is a directory"):
        predictor.load(tmp_path)


def without(content, name):
    return content._replace(arrays={key: x for key, x in content.arrays.items() if key != name})


def cut(content, name):
    return content._replace(arrays={**content.arrays, name: content.arrays[name][:-1]})


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content._replace(formula=content.formula._replace(read_out="product")),
        lambda content: content._replace(tokenizer="{}"),
        lambda content: content._replace(max_length=1),
        lambda content: content._replace(classes=CLASSES[:2]),
        lambda content: without(content, "classifier"),
        lambda content: cut(content, "feed_forward"),
        lambda content: cut(content, "embedding"),
        lambda content: content._replace(arrays={**content.arrays, "embedding": np.zeros((60, 6), complex)}),
    ],
    ids=["formula", "tokenizer", "length", "classes", "missing", "shape", "rows", "dtype"],
)
def test_whole_but_not_as_written_here(file, tmp_path, change):
    refused(tmp_path / "file", format.pack(change(format.unpack(file.read_bytes()))))


def test_a_header_that_says_more_than_is_known(file, tmp_path):
    content = format.unpack(file.read_bytes())
    raw = format.pack(content)
    _, _, header, _, _ = format._START.unpack_from(raw)
    start = format._START.size
    body = raw[start + header :]
    head = json.dumps({**json.loads(raw[start : start + header]), "power": 9}).encode()
    checksum = format._checksum(head, body)
    raw = format._START.pack(b"WaveJAX\n", 1, len(head), len(body), checksum) + head + body
    assert "take the wave_jax that wrote it" in refused(tmp_path / "file", raw)
