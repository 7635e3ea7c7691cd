"""Answers to texts: what evaluation gives, in any number and order of texts, with few compiled programs."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import DATA, PRESET

from wave_jax.runs import run
from wave_jax.serving import live
from wave_jax.serving.live import Answers
from wave_jax.training import evaluate


@pytest.mark.parametrize("levels", ["input", "sentence"])
def test_answers_are_those_of_evaluation(levels):
    preset = replace(PRESET, network=replace(PRESET.network, levels=levels))
    prepared = run.prepare(DATA, preset)
    found = Answers(prepared.start).predict_proba(DATA.valid.texts)
    logits = evaluate.predict(prepared.network, prepared.valid).astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(found, shares, rtol=1e-5)


def test_each_text_has_its_own_answer_in_any_company():
    answering = Answers(run.prepare(DATA, PRESET).start._replace(max_length=40))
    texts = ["up", "fall loss a up rise gain", "fall " * 30, "loss", "down " * 5, ""] * 15  # of two lengths
    alone = {text: answering.predict_proba([text])[0] for text in dict.fromkeys(texts)}
    assert len({tuple(found) for found in alone.values()}) == 6
    np.testing.assert_allclose(answering.predict_proba(texts), [alone[text] for text in texts], rtol=1e-5)


def test_a_stream_of_texts_compiles_one_program_per_power_of_two():
    prepared = run.prepare(DATA, PRESET)
    answering = Answers(prepared.start._replace(max_length=40))
    assert answering.classes == ("+", "-")
    text = "up rise gain loss"
    live._shares.jitted.clear_cache()
    alone = answering.predict_proba([text])
    for size in (0, 1, 3, 70):
        found = answering.predict_proba([text, "fall " * 50, ""][:size] + [text] * (size - 3))
        assert found.shape == (size, 2)
        np.testing.assert_allclose(found[:1], alone[: len(found)], rtol=1e-5)
    assert live._shares.jitted._cache_size() == 2  # of 16 tokens and of 40


def test_a_single_text_is_no_list_of_letters():
    with pytest.raises(TypeError, match="got a single one: put it in a list"):
        Answers(run.prepare(DATA, PRESET).start).predict_proba("fall")
