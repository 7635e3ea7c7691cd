"""Explanations: the numbers of `attribution` at the right characters, and a page that shows all of a text."""

from html.parser import HTMLParser
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from tiny import CONFIGS, build

from wave_jax.data.batches import Batch
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.study import attribution
from wave_jax.study.explain import explain

CLASSES = ("sea", "<b>land</b>", "air")
TEXT = "The cat sat. The dogs ran! The cats ate"
TOKENIZER = Tokenizer.train([TEXT, "the dog eats. cats run"] * 2, v=60)


class Reader(HTMLParser):
    """What a browser would make of a page: its tags with attributes, and the text of the paragraph .text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.inside = [], "", False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = self.inside or dict(attrs).get("class") == "text"

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "p"

    def handle_data(self, data):
        self.text += data if self.inside else ""

    def spans(self, kind):
        return [attrs for tag, attrs in self.tags if tag == "span" and attrs.get("class") == kind]


# --- the numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "leave_one_out") for name in CONFIGS),
        ("Transformer", "gradient_x_input"),
        ("modulation", "integrated_gradients"),
    ],
)
def test_scores_are_those_of_attribution_at_the_places_of_the_tokens(name, method):
    network = build(CONFIGS[name], v=TOKENIZER.v)
    found = explain(network, TOKENIZER, TEXT, CLASSES, method=method, max_length=16)
    ids, _, segments = TOKENIZER.encode([TEXT], 16, segments=True)
    ids, segments = (jnp.asarray(row[None], jnp.int32) for row in (ids, segments))
    batch = Batch(ids, ids >= 0, jnp.array([found.label]), segments)
    logits = np.asarray(jax.jit(lambda n, b: n(b.ids, b.mask, b.segments))(network, batch))[0]
    np.testing.assert_allclose(found.probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)
    assert found.label == found.answer == logits.argmax()
    want = jax.jit(getattr(attribution, method))(network, batch)
    want, error = (want.scores, want.error[0]) if method == "integrated_gradients" else (want, None)
    np.testing.assert_allclose([token.score for token in found.tokens], want[0], rtol=2e-3, atol=2e-4)
    assert (found.error is None) == (error is None)
    assert [TEXT[token.start : token.end].lower() for token in found.tokens[1:4]] == ["the", "cat", "sat"]
    assert [found.tokens[i].token for i in (0, -1)] == ["[CLS]", "[SEP]"]


def test_a_word_takes_its_pairs_with_it():
    """Without positions the text without a word's tokens is the text with them deleted."""
    tokenizer = TOKENIZER.with_pairs([TEXT, "the dog eats. cats run"] * 2, [0, 1, 0, 1], most=40)
    network = build(CONFIGS["modulation"], v=tokenizer.v)
    found = explain(network, tokenizer, TEXT, CLASSES, max_length=16)
    words = explain(network, TOKENIZER, TEXT, CLASSES, max_length=16).tokens
    assert [token[:3] for token in found.tokens] == [token[:3] for token in words]
    ids = tokenizer.encode([TEXT], 16).ids.astype(int).tolist()

    def logit(ids):
        row = jnp.asarray([ids])
        return float(network(row, jnp.ones_like(row, bool))[0, found.label])

    rows = [tuple(pair) for pair in tokenizer.pairs.tolist()]
    first = [i for i, pair in enumerate(pairwise(ids[: len(words)])) if pair in rows]
    assert {0, len(words) - 2} & set(first)  # one with [CLS] or [SEP], which has no say in it
    for j in range(1, len(words)):
        gone = [len(words) + k for k, i in enumerate(first) if j in (i, i + 1) and j < len(words) - 1]
        left = [id for k, id in enumerate(ids) if k != j and k not in gone]
        assert found.tokens[j].score == pytest.approx(logit(ids) - logit(left), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("method", ["leave_one_out", "gradient_x_input"])
def test_a_word_takes_its_stems_with_it(method):
    texts = ["cats sat", "cattle sat", "the doggy sat", "the dogs ran"]
    stemmed = Tokenizer.train(texts * 2, v=60, whole_words=True, stems=9)
    tokenizer = stemmed.with_pairs(texts * 2, [0, 1, 1, 0] * 2, most=20)
    text = "Catnip ran, the doggy sat"
    pieces = tokenizer.explain(text, 16)
    words = [piece.token for piece in pieces[:9]]
    assert words == ["[CLS]", "cat##", "ran", "[UNK]", "the", "doggy", "sat", "[SEP]", "dog##"]
    assert len(pieces) > 9  # and pairs
    network = build(CONFIGS["modulation"], v=tokenizer.v)
    found = explain(network, tokenizer, text, CLASSES, method=method, max_length=16).tokens
    assert [token.token for token in found] == words[:8]
    ids = jnp.array([[piece.id for piece in pieces]])
    label = jnp.argmax(network(ids, ids >= 0), axis=-1)
    pairs = [piece for piece in pieces[9:] if "doggy" in text[piece.start : piece.end]]
    assert [piece.token for piece in pairs] == ["the doggy", "doggy sat"]
    if method == "leave_one_out":
        left = jnp.array([[piece.id for piece in pieces if piece not in (pieces[5], pieces[8], *pairs)]])
        want = (network(ids, ids >= 0) - network(left, left >= 0))[0, label[0]]
    else:
        scores = attribution.gradient_x_input(network, Batch(ids, ids >= 0, label))[0]
        half = sum(scores[pieces.index(pair)] / 2 for pair in pairs)
        want = scores[5] + scores[8] + half
    assert found[5].score == pytest.approx(float(want), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients"])
def test_half_of_a_pair_belongs_to_each_of_its_words(method):
    tokenizer = TOKENIZER.with_pairs([TEXT, "the dog eats. cats run"] * 2, [0, 1, 0, 1], most=9)
    network = build(CONFIGS["modulation"], v=tokenizer.v)
    found = explain(network, tokenizer, TEXT, CLASSES, method=method, max_length=16)
    ids = jnp.asarray(tokenizer.encode([TEXT], 16).ids[None], jnp.int32)
    batch = Batch(ids, ids >= 0, jnp.array([found.label]))
    scores = jax.jit(getattr(attribution, method))(network, batch)
    scores = np.asarray(getattr(scores, "scores", scores))[0]
    want = scores[: len(found.tokens)].copy()
    pairs = {tuple(pair): row for row, pair in enumerate(tokenizer.pairs.tolist(), tokenizer.first_pair)}
    behind = iter(scores[len(want) :])
    for j, pair in enumerate(pairwise(ids[0, : len(want)].tolist())):
        if pair in pairs:
            inner = [k for k in (j, j + 1) if 0 < k < len(want) - 1]
            want[inner] += next(behind) / len(inner)
    np.testing.assert_allclose([token.score for token in found.tokens], want, rtol=2e-3, atol=2e-4)


def test_a_class_may_be_asked_for_and_the_strongest_come_first():
    network = build(CONFIGS["bag"], v=TOKENIZER.v)
    every = [explain(network, TOKENIZER, TEXT, CLASSES, label=k, max_length=16) for k in range(3)]
    assert [e.label for e in every] == [0, 1, 2]
    assert len({e.answer for e in every}) == 1
    sizes = [abs(token.score) for token in every[0].strongest(3)]
    assert sizes == sorted((abs(token.score) for token in every[0].tokens), reverse=True)[:3]
    assert every[0].strongest(1)[0].token in repr(every[0])


def test_a_long_text_says_how_far_it_was_read():
    network = build(CONFIGS["modulation"], v=TOKENIZER.v)
    cut = explain(network, TOKENIZER, TEXT, CLASSES, max_length=6)
    assert [token.token for token in cut.tokens] == ["[CLS]", "the", "cat", "sat", ".", "[SEP]"]
    assert TEXT[: cut.read] == "The cat sat."
    assert explain(network, TOKENIZER, TEXT, CLASSES, max_length=16).read == len(TEXT)


@pytest.mark.parametrize("text", ["", " \n", "🌊"])
def test_a_text_without_known_words_has_an_explanation_too(text):
    found = explain(build(CONFIGS["bag"], v=TOKENIZER.v), TOKENIZER, text, CLASSES, max_length=16)
    assert sum(found.probabilities) == pytest.approx(1)
    assert Reader(found.page()).text == text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "guess"}, "method must be one of leave_one_out, gradient_x_input, integrated_gradients"),
        ({"classes": ("a", "b")}, "classes must be the names of the network's 3 classes, got"),
        ({"label": 3}, r"label must be None or in 0\.\.2, got 3"),
        ({"max_length": 2}, "max_length must be 3 to 65,536"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_a_sentence(settings, message):
    network = build(CONFIGS["bag"], v=TOKENIZER.v)
    settings = {"classes": CLASSES, "max_length": 16} | settings
    with unchecked(), pytest.raises(ValueError, match=message):
        explain(network, TOKENIZER, TEXT, **settings)
