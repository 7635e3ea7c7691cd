"""A file agrees with its network in every configuration that folds; what rounding costs; StableHLO."""

from dataclasses import fields, replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import CONFIGS, TINY, build

from wave_jax import batches, checkpoint, export, predictor, train
from wave_jax.model import SMALL, WaveConfig
from wave_jax.text import Rules, Tokenizer

TOKENIZER = Tokenizer.train(["the cat sat on the mat. 北京 élan", "dogs, cats and mats!"] * 2, v=60)
CLASSES = ["a", "b", "c"]
N = 8
TEXTS = ["the cat", "", "   ", "\x00", "\ud800", "☃", "[PAD] [CLS]", "dogs and " * 9, "a" * 300, "北京 élan!"]
TEXTS += ["dogs", "cats, cats, cats", "mat on mat", "the " * 6, "sat and sat.", "AND", "élan élan", "!", "on"]


def save(path, network, tokenizer=TOKENIZER, **options):
    return export.save(path, network, tokenizer, CLASSES, max_length=N, **options)


def tokens(texts=TEXTS, n=N, labels=None):
    return batches.tokenize(texts, labels, TOKENIZER, n)


@jax.jit
def call(network, ids, mask):
    return network(ids, mask)


def of_network(network, texts, n=N):
    """Its logits; the number of texts is filled up, so that there is one program per kind of network."""
    split = tokens(texts, n)
    rows = np.append(np.arange(len(texts)), np.full(-len(texts) % 20, -1))
    batch = batches.gather(split, rows, n)
    return np.asarray(call(network, batch.ids, batch.mask))[: len(texts)]


def agrees(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()


# --- law: the file agrees with the network -------------------------------------------------------------------

WAYS = [
    WaveConfig(d=6, max_length=16, combine=c, read_out=r, pool=p, positions=places, activation=a)
    for (c, r, p, places), a in zip(
        product(
            ("interfere", "modulate"),
            ("real", "magnitude", "real_imag"),
            ("cls", "mean"),
            ("none", "sinusoidal", "learned"),
        ),
        ("none", "relu", "gelu", "tanh", "gelu", "none", "tanh", "relu", "none") * 4,
        strict=True,
    )
]


@pytest.mark.parametrize(
    "config", WAYS, ids=lambda c: f"{c.combine}-{c.read_out}-{c.pool}-{c.positions}-{c.activation}"
)
def test_logits_of_every_configuration(config, tmp_path):
    network = build(config, v=TOKENIZER.v + 3)
    save(tmp_path / "file", network)
    agrees(predictor.load(tmp_path / "file").logits(TEXTS), of_network(network, TEXTS))


def test_every_setting_of_a_network_is_thought_of():
    """A new one changes answers, or it does not: say which in `export` and `predictor`, then here."""
    in_the_file = {*predictor.Formula._fields, "d", "positions", "max_length"}
    without_effect = {"dropout"}
    refused = {"levels", "layers"}
    assert {field.name for field in fields(WaveConfig)} == in_the_file | without_effect | refused


def test_rows_beyond_the_tokenizer_are_left_out(tmp_path):
    sizes = [save(tmp_path / "file", build(TINY, v=TOKENIZER.v + more)).size for more in (0, 500)]
    assert abs(sizes[0] - sizes[1]) < 100
