"""Explanations: the numbers of `attribution` at the right characters, and a page that shows all of a text."""

import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from hypothesis import given
from hypothesis import strategies as st
from tiny import CONFIGS, build

from wave_jax.data.batches import Batch
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.study import attribution
from wave_jax.study.explain import explain
from wave_jax.study.explanation import Explanation, TokenScore

CLASSES = ("sea", "<b>land</b>", "air")
TEXT = "The cat sat. The dogs ran! The cats ate"
NASTY = "A <script>alert(\"1\")</script> & 'b'\r\n<!-- é 🌊\u202e 각\x1b &amp; </p>\n\n  end"
TOKENIZER = Tokenizer.train([TEXT, "the dog eats. cats run"] * 2, v=60)


def made(text, spans, *, read=None, label=1, scale=1.0):
    """An explanation of a text whose tokens have these places and scores."""
    tokens = [TokenScore(text[a:b], a, b, scale * score) for a, b, score in spans]
    ends = TokenScore("[CLS]", 0, 0, 0.25 * scale), TokenScore("[SEP]", len(text), len(text), 0.0)
    tokens = (ends[0], *tokens, ends[1])
    probabilities = (0.5, 0.25, 0.25)
    read = len(text) if read is None else read
    return Explanation(text, CLASSES, probabilities, label, tokens, "leave_one_out", read)


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


# --- the page -----------------------------------------------------------------------------------------------

texts = st.text(
    st.sampled_from(list("<>&\"'; \t\n\r\\ab/é각🌊-!")) | st.characters(exclude_characters="\0"), max_size=30
)


@given(
    texts, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.floats(-2, 2)), max_size=6), st.data()
)
def test_a_page_shows_every_character_of_its_text_and_nothing_else(text, spans, data):
    spans = [(min(a, len(text)), min(a + n, len(text)), score) for a, n, score in sorted(spans)]
    read = data.draw(st.integers(max((b for _, b, _ in spans), default=0), len(text)))
    page = made(text, spans, read=read).page()
    page.encode()
    assert Reader(page).text == text
    assert {tag for tag, _ in Reader(page).tags} <= {
        *("html", "head", "meta", "title", "style", "body", "div", "p", "strong", "span"),
        *("table", "caption", "tr", "td"),
    }


def test_what_no_page_can_hold_is_replaced():
    page = made("a\0b\ud800c", [(0, 1, 1.0)]).page()
    page.encode()
    assert Reader(page).text == "a\ufffdb\ufffdc"


def test_for_and_against_differ_without_colour_and_the_strongest_is_darkest():
    page = Reader(made("good bad so", [(0, 4, 2.0), (5, 8, -1.0), (9, 11, 0.001)]).page())
    (_, good), (_, bad) = ((kind, page.spans(kind)) for kind in ("for", "against"))
    assert [len(good), len(bad)] == [2, 2]  # one in the text, one in the legend; "so" says too little
    assert good[0] == {"class": "for", "style": "--s:0.500", "title": "+2.00"}
    assert bad[0] == {"class": "against", "style": "--s:0.250", "title": "−1.00"}
    assert "dashed" in made("", []).page().split("\n.wj .against {")[1].split("}")[0]


def test_tokens_of_one_character_are_shaded_together():
    page = Reader(made("x각y", [(0, 1, 1.0), (1, 2, 0.5), (1, 2, 0.25), (2, 3, -1.0)]).page())
    assert [span["title"] for span in page.spans("for")[:2]] == ["+1.00", "+0.75"]


def test_names_of_classes_are_escaped_and_only_some_of_many_are_shown():
    page = made("a", [(0, 1, 1.0)]).page()
    assert "<b>land" not in page
    assert "&lt;b&gt;land&lt;/b&gt;" in page
    many = Explanation("a", tuple(map(str, range(9))), (0.2, *[0.1] * 8), 8, (), "leave_one_out", 1).page()
    assert "and 3 more" in many
    assert "<strong>8</strong></td>" in many


def test_nothing_is_fetched_and_nothing_runs():
    page = made(NASTY, [(0, 1, 1.0)]).page()
    assert not {
        name for _, attrs in Reader(page).tags for name in attrs if name.startswith(("on", "src", "href"))
    }
    assert "://" not in page
    assert "default-src 'none'" in page


def test_a_notebook_shows_what_the_page_shows():
    explanation = made(NASTY, [(0, 1, 1.0), (2, 10, -0.5)])
    assert Reader(explanation._repr_html_()).text == Reader(explanation.page()).text == NASTY
    assert "<html" not in explanation._repr_html_()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_chromium_shows_the_text_as_it_is_and_runs_nothing(tmp_path):
    text = NASTY.replace("\x1b", "")  # Chromium drops what cannot be shown
    path = tmp_path / "page.html"
    path.write_bytes(made(text, [(2, 10, 1.0), (12, 17, -0.5)], read=60).page().encode())
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    dom = Reader(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode())
    assert dom.text.replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert not {tag for tag, _ in dom.tags} & {"script", "b", "object", "iframe"}
    assert len(dom.spans("for")) == len(dom.spans("against")) == 2
    assert len(dom.spans("unread")) == 1
