"""The planted corpus: what its construction promises, counted; and what classifiers reach on it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wave_jax.data import batches, datasets, planted
from wave_jax.data.plan import Plan

LEANING = {word: topic for topic, words in enumerate(planted.LEANING) for word in words.split()}
COLOURS = {word: cold for cold, words in enumerate(planted.COLOURS) for word in words.split()}
MATERIALS = {word: stone for stone, words in enumerate(planted.MATERIALS) for word in words.split()}
DIGEST = "a607d2f0dc5dae3fa3da158967a8618641e70b0b23c8b4dea8cd7b91d775bfd0"


@pytest.fixture(scope="module")
def corpus():
    return planted.generate(seed=1)


def words_of(text):
    return re.findall("[a-z]+", text.lower())


def decide(text):
    """The likeliest topic, and whether the text is paired, by the rules of the module's docstring."""
    words = words_of(text)
    counts = np.bincount([LEANING[word] for word in words if word in LEANING], minlength=4)
    assert counts.sum() == 5
    colours = [COLOURS[word] for word in words if word in COLOURS]
    materials = [MATERIALS[word] for word in words if word in MATERIALS]
    assert sorted([len(colours), len(materials)]) in ([0, 1], [1, 1])
    if len(colours) == len(materials):
        half = int(counts[2:].sum() > counts[:2].sum())
        return 2 * half + (colours[0] ^ materials[0]), True
    return int(np.argmax(counts)), False


def sigmas(hits, n, share):
    return abs(hits - n * share) / np.sqrt(n * share * (1 - share))


def test_the_seed_fixes_every_character():
    assert datasets.load("planted", size=200).digest == DIGEST


def test_another_process_draws_the_same():
    code = "from wave_jax import datasets; print(datasets.load('planted', size=200).test.digest)"
    command = [sys.executable, "-c", code]
    outputs = {
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": s}, capture_output=True).stdout
        for s in "12"
    }
    assert outputs == {f"{datasets.load('planted', size=200).test.digest}\n".encode()}


def test_parts_and_seeds_differ_and_share_no_text():
    corpora = [planted.generate(s, part, 2000).texts for s in (0, 1) for part in ("train", "valid", "test")]
    assert len(set().union(*corpora)) == 6 * 2000


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_training_knows_nothing_of_how_the_texts_were_made(seed):
    """Were corpus and order drawn from one stream, the first epoch would come sorted by topic."""
    topics = planted.generate(seed, size=2000).topics
    tokens = batches.TokenArrays(np.zeros(2000), np.arange(2001), topics)
    for epoch in range(3):
        first = np.concatenate([run.rows.ravel() for run in Plan.of_epoch(tokens, 50, seed, epoch)])[:400]
        assert sigmas(np.bincount(topics[first], minlength=4), 400, 0.25).max() < 4


def test_splits_carry_topics_and_evidence():
    data = datasets.load("planted", seed=3, size=50)
    assert (len(data.train), len(data.valid), len(data.test)) == (50, 10, 10)
    for split in (data.train, data.valid, data.test):
        assert len(split.evidence) == len(split.topics) == len(split)
    assert data.train.take([7]).evidence == (data.train.evidence[7],)
    assert data.classes == planted.CLASSES


def test_texts_look_like_texts(corpus):
    for text in corpus.texts[:2000]:
        assert re.fullmatch(r"([A-Z][a-z]*(,? (Friday|[a-z]+))*\.( |$)){3}", text), text
    lengths = [len(text.split()) for text in corpus.texts]
    assert 40 < np.mean(lengths) < 55
    assert 2_000 < len({word for text in corpus.texts for word in words_of(text)}) < 2_500


def test_no_word_has_two_meanings():
    plain = {w for t in (*planted.HEADLINES, *planted.SENTENCES, *planted.ENDINGS) for w in words_of(t)}
    meaning = [*LEANING, *COLOURS, *MATERIALS]
    assert len(set(meaning)) == len(meaning) == 4 * 24 + 16
    assert not plain & set(meaning)
    assert not set(planted._everyday()[0]) & (plain | set(meaning))


def test_every_template_has_the_places_it_is_said_to_have():
    assert {t.count("_") for t in planted.HEADLINES} == {planted.HEAD}
    assert {t.count("_") for t in planted.SENTENCES} == {planted.LAST - planted.HEAD}
    assert {t.count("_") for t in planted.ENDINGS} == {planted.PLACES - planted.LAST}
    assert len(planted.HEADLINES) == len(planted.SENTENCES) == len(planted.ENDINGS) == 8


def test_evidence_is_where_it_is_said_to_be(corpus):
    rows = zip(corpus.texts, corpus.topics, corpus.evidence, corpus.words, strict=True)
    for text, topic, spans, indices in rows:
        words = [text[start:end].lower() for start, end in spans]
        assert words == [text.split()[i].strip(".,").lower() for i in indices]
        paired = decide(text)[1]
        expected = {
            w for w in words_of(text) if w in LEANING and LEANING[w] // (1 + paired) == topic // (1 + paired)
        }
        if paired:
            expected |= {w for w in words_of(text) if w in COLOURS or w in MATERIALS}
            first, second = (i for i, w in zip(indices, words, strict=True) if w in COLOURS or w in MATERIALS)
            assert second - first > 8
        assert set(words) == expected


def test_shares_are_those_of_the_construction(corpus):
    n = len(corpus.texts)
    assert sigmas((corpus.labels != corpus.topics).sum(), n, planted.NOISE) < 4
    assert sigmas(sum(decide(text)[1] for text in corpus.texts), n, planted.PAIRED) < 4
    for topic in range(4):
        assert sigmas((corpus.topics == topic).sum(), n, 0.25) < 4


def test_a_colour_or_a_material_alone_says_nothing(corpus):
    for word in (*COLOURS, *MATERIALS):
        topics = corpus.topics[[word in text.lower() for text in corpus.texts]]
        for topic in range(4):
            assert sigmas((topics == topic).sum(), len(topics), 0.25) < 4


def test_exact_inference_reaches_the_bayes_accuracy(corpus):
    hits = np.equal([decide(text)[0] for text in corpus.texts], corpus.labels).sum()
    assert sigmas(hits, len(corpus.texts), planted.accuracies().bayes) < 3


def test_a_bag_of_words_stays_where_the_construction_holds_it(corpus):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    bag = make_pipeline(CountVectorizer(), LogisticRegression(C=0.1, tol=1e-2))
    bag.fit(corpus.texts, corpus.labels)
    fresh = planted.generate(seed=1, part="test")
    accuracy, reach = bag.score(fresh.texts, fresh.labels), planted.accuracies()
    assert reach.bag_of_words - 0.02 < accuracy < reach.bag_of_words + 0.01
    assert accuracy < reach.additive - 0.04 < reach.bayes - 0.08


def test_the_additive_bound_holds_for_every_score_of_one_pair():
    """100,000 random scores f(colour) + g(material) of four topics, the half being known with certainty p."""
    f, g = np.random.default_rng(0).normal(size=(2, 100_000, 2, 4))
    choice = np.argmax(f[:, :, None] + g[:, None], -1)
    bit_right = choice % 2 == np.array([[0, 1], [1, 0]])
    for p in (0.5, 0.8, 1.0):
        reached = np.mean(bit_right * np.where(choice < 2, p, 1 - p), (1, 2)).max()
        assert reached <= (3 * p + (1 - p)) / 4 + 1e-9


def test_size_is_for_the_planted_corpus_only(tmp_path):
    with pytest.raises(datasets.DataError, match="size=5 is for the planted corpus only"):
        datasets.load(tmp_path, size=5)
    with pytest.raises(datasets.DataError, match="at least 1 training text, not size=0"):
        datasets.load("planted", size=0)


def test_the_document_states_what_is_derived():
    document = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    for accuracy in planted.accuracies():
        assert f"{accuracy:.2%}".replace("%", " %") in document


def test_pairs_join_two_texts_and_have_the_labels_of_both():
    joined, drawn = planted.pairs(3, "valid", 50), planted.generate(3, "valid", 100)
    for i, text in enumerate(joined.texts):
        assert text == f"{drawn.texts[i]} {drawn.texts[50 + i]}"
        assert set(np.flatnonzero(joined.labels[i])) == {drawn.labels[i], drawn.labels[50 + i]}
