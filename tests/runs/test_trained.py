"""A trained network with its tokenizer: tokens, evaluation and explanation of texts."""

import pytest
from tiny import DATA, PRESET

from wave_jax.data.batches import tokenize
from wave_jax.runs import run
from wave_jax.training.evaluate import evaluate


@pytest.fixture(scope="module")
def trained():
    prepared = run.prepare(DATA, PRESET)
    *_, last = run.train(prepared)
    return prepared.trained(last.kept)


def test_tokens_are_those_of_its_tokenizer_up_to_its_length(trained):
    tokens = trained.tokens(DATA.valid)
    plain = tokenize(DATA.valid.texts, DATA.valid.labels, trained.tokenizer, PRESET.network.max_length)
    assert tokens.ids.tolist() == plain.ids.tolist()
    assert tokens.labels.tolist() == DATA.valid.labels.tolist()


def test_it_evaluates_a_split(trained):
    assert trained.evaluate(DATA.test).score == evaluate(trained.network, trained.tokens(DATA.test)).score


def test_it_explains_a_text_by_the_names_of_its_classes(trained):
    explanation = trained.explain("rise a", "-")
    assert explanation.classes[explanation.label] == "-"
    assert trained.explain("rise a").label == explanation.answer
    with pytest.raises(ValueError, match=r"label must be one of \+, -, got 'up'"):
        trained.explain("rise a", "up")
