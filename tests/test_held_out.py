"""The experiments score the split that they say, and no network of theirs has learnt from it."""

import ast
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import APART, APART_PRESET, learnt, own_words

from experiments import (
    ablation,
    accuracy,
    attribution,
    convergence,
    gradient_study,
    independence,
    learning_curve,
    robustness,
    small,
    what_is_left,
)
from experiments.frame import grid, loops, peer, scores
from wave_jax.runs import run
from wave_jax.training.evaluate import evaluate, predict

ROOT = Path(__file__).parent.parent
KEY = {
    "data": "apart",
    "model": "m",
    "base": "b",
    "change": "c",
    "without": "magnitude",
    "seed": 0,
    "draw": 0,
}
KEY |= {"preset": APART_PRESET, "settings": APART_PRESET, "shuffled": False, "texts": 99}
KEY |= {"rates": (0.1,), "at": 0.1, "most": 1, "every": 1, "until": 1, "corpus": 99}


@pytest.fixture
def prepared(monkeypatch, tmp_path):
    """What an experiment prepares; its networks stay as they are before the first step."""
    monkeypatch.setenv("WAVE_JAX_DATA", str(tmp_path))
    found, prepare = [], run.prepare

    def kept(*arguments, **settings):
        found.append(prepare(*arguments, **settings))
        return found[-1]

    monkeypatch.setattr(run, "prepare", kept)
    monkeypatch.setattr(loops, "trained", lambda prepared, about: ([], prepared.network))
    record = SimpleNamespace(step=1)
    monkeypatch.setattr(loops, "turns", lambda prepared, *_: [SimpleNamespace(state=prepared, record=record)])
    return found


def trains_a_tokenizer(node):
    """Whether this is a call of `Tokenizer.train`, or of what gives a tokenizer more words and pairs."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    own = node.func.attr == "train" and ast.unparse(node.func.value).endswith("Tokenizer")
    return own or node.func.attr in ("with_pairs", "with_words", "train_tokenizer", "grow_tokenizer")


def test_what_learns_from_texts_is_called_by_one_function_alone():
    """The guards are around `run.prepare`: there is no other way for an experiment to a tokenizer."""
    paths = [path for name in ("wave_jax", "experiments") for path in (ROOT / name).rglob("*.py")]
    trees = {path: ast.walk(ast.parse(path.read_text())) for path in paths}
    found = {path.relative_to(ROOT).as_posix() for path in paths if any(map(trains_a_tokenizer, trees[path]))}
    assert found == {"wave_jax/data/batches.py", "wave_jax/runs/run.py"}


def scored(prepared):
    """The accuracies of what was prepared on test texts and on validation texts."""
    trained = prepared.start
    return [evaluate(trained.network, trained.tokens(split)).accuracy for split in (APART.test, APART.valid)]


JUDGES = {
    "accuracy": lambda: accuracy.judge(APART, KEY)["test_accuracy"],
    "small": lambda: small.judge(APART, KEY)["test_accuracy"],
    "ablation": lambda: ablation.judge(APART, KEY, cache=None)["test_accuracy"],
    "robustness": lambda: robustness.judge(APART, KEY)["accuracy"]["typos"][0],
    "what_is_left": lambda: what_is_left.judge(APART, KEY)["accuracy"],
}


@pytest.mark.parametrize("name", JUDGES)
def test_test_texts_are_scored_and_nothing_is_learnt_from_them(name, prepared):
    found = JUDGES[name]()
    (of_test, of_valid) = scored(prepared[0])
    assert of_test == pytest.approx(1 - of_valid)
    assert found == pytest.approx(of_test)
    assert learnt(prepared[0].tokenizer) == own_words(APART.train)


def test_what_is_compared_text_by_text_are_answers_to_test_texts(prepared):
    packed = [accuracy.judge(APART, KEY)["right"], ablation.judge(APART, KEY, cache=None)["right"]]
    start = prepared[0].start
    right = predict(start.network, start.tokens(APART.test)).argmax(axis=-1) == APART.test.labels
    assert packed == [grid.packed(right)] * 2


def test_the_curves_of_convergence_are_of_test_texts_and_of_validation_texts(prepared):
    found = convergence.follow(APART, KEY | {"preset": convergence.with_seed(APART_PRESET, 0, steps=1)})
    assert len(found["test"]) == 1
    assert found["test"][0] == pytest.approx(1 - found["valid"][0])
    assert learnt(prepared[0].tokenizer) == own_words(APART.train)


def test_the_learning_curve_draws_its_texts_from_all_but_the_test_split(prepared):
    every = own_words(APART.train) | own_words(APART.valid)
    key = KEY | {"model": "SMALL", "texts": 31, "settings": replace(APART_PRESET, valid=0.2)}
    assert own_words(learning_curve.drawn(APART, 31, draw=0)) == every
    found = learning_curve.judge(APART, key, {})
    (start,) = [each.start for each in prepared]
    known = {*start.tokenizer.tokens}
    assert known.isdisjoint({*own_words(APART.test), "dusk##", "dus##"})
    assert known & every
    assert found["test_accuracy"] == pytest.approx(scored(prepared[0])[0])
    assert found["test_accuracy"] != pytest.approx(scored(prepared[0])[1])


def test_answers_to_test_texts_are_explained(prepared, monkeypatch):
    for module in (attribution, scores):
        monkeypatch.setattr(module, "METHODS", {"nothing": lambda network, batch: jnp.zeros(batch.ids.shape)})
    found = attribution.judge(APART, KEY)["nothing"]
    assert (found["explained"], found["accuracy"]) == (7, pytest.approx(scored(prepared[0])[0]))
    assert learnt(prepared[0].tokenizer) == own_words(APART.train)


def ids_of(tokens):
    """The tokens of each text."""
    return {tuple(ids.tolist()) for ids in np.split(tokens.ids, tokens.offsets[1:-1])}


def test_gradients_are_studied_on_validation_texts(prepared, monkeypatch):
    batches = []

    def look(network, batch, *_):
        batches.append(batch)
        return {"step": 0, "study": None, "row": {}}

    monkeypatch.setattr(gradient_study, "look", look)
    monkeypatch.setattr(gradient_study, "distributed", look)
    monkeypatch.setattr(gradient_study, "sign_agreement", lambda studies: {})
    gradient_study.along_training(APART, KEY | {"texts": 5})
    valid = ids_of(run.prepare(APART, APART_PRESET).valid)
    assert len(batches) == 5
    for batch in batches:
        rows = [tuple(ids[mask].tolist()) for ids, mask in zip(batch.ids, batch.mask, strict=True)]
        assert len(rows) == 5
        assert {*rows} <= valid
    assert valid.isdisjoint(ids_of(prepared[0].train))
    assert learnt(prepared[0].tokenizer) == own_words(APART.train)


def test_independence_is_measured_on_validation_texts(prepared, monkeypatch):
    seen = []
    monkeypatch.setattr(independence, "independence", lambda network, tokens, texts: seen.append(tokens))
    independence.before_and_after(APART, KEY)
    valid = ids_of(run.prepare(APART, APART_PRESET).valid)
    assert [ids_of(tokens) for tokens in seen] == [valid] * 2


def test_fasttext_learns_from_training_texts_and_is_scored_on_test_texts(monkeypatch):
    model = SimpleNamespace(
        get_input_matrix=lambda: np.zeros((3, 2)), labels=["a", "b"], get_dimension=lambda: 2
    )
    learnt_from, parts = [], {"train": APART.train, "valid": APART.valid, "test": APART.test}
    monkeypatch.setattr(peer, "trained", lambda split, *_: (learnt_from.append(split) or model, 1.0))
    monkeypatch.setattr(peer, "accuracy", lambda model, split: [n for n, x in parts.items() if x is split])
    found = small.judge(APART, KEY | {"model": "fastText", "settings": {}})
    assert (found["valid_accuracy"], found["test_accuracy"]) == (["valid"], ["test"])
    found = learning_curve.judge(APART, KEY | {"model": "fastText", "texts": 31}, {})
    assert found["test_accuracy"] == ["test"]
    assert learnt_from[0] is APART.train
    assert own_words(learnt_from[1]) == own_words(APART.train) | own_words(APART.valid)
