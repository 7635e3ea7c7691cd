"""The baselines: their formulas in plain NumPy, the laws of the common call, learning, and bad input."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from wave_jax.networks.bag import BagConfig
from wave_jax.networks.layers import count_parameters, sinusoidal
from wave_jax.networks.transformer import TransformerConfig

V, C, N = 20, 3, 6
TINY = TransformerConfig(d=8, heads=2, width=12, max_length=10)
CONFIGS = {
    "cls": TINY,
    "mean": dataclasses.replace(TINY, pool="mean", positions="sinusoidal"),
    "two layers": dataclasses.replace(TINY, layers=2, positions="none"),
    "bag": BagConfig(d=8),
}


def build(config):
    """A network of any numbers: no bias is 0 and no scale 1."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: config.build(v=V, c=C, rngs=nnx.Rngs(0)))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0.1, 0.4, leaf.shape), leaf.dtype), shapes)


def batch(*lead):
    """Full texts, in which id 0 does not occur."""
    ids = np.random.default_rng(1).integers(1, V, (*lead, N))
    return jnp.asarray(ids), jnp.ones(ids.shape, bool)


@jax.jit
def logits_of(model, ids, mask, key=None):
    return model(ids, mask, key=key)


def padded(ids, mask, by=3):
    wider = [(0, 0)] * (ids.ndim - 1) + [(0, by)]
    return jnp.pad(ids, wider), jnp.pad(mask, wider)


def close(a, b, tolerance=2e-6):
    """Equal up to rounding of the largest number: some gradients, as that of a key's bias, are 0."""
    scale = max(np.abs(y).max() for y in jax.tree.leaves(b))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * scale), a, b)


def plain_transformer(model, ids, mask):
    """The logits of one text, in loops over heads and tokens."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model)
    config = model.config

    def norm(at, x):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-6) * at.scale[...] + at.bias[...]

    def linear(at, x):
        return x @ at.kernel[...] + at.bias[...]

    def gelu(x):
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    tokens = [j for j in range(len(ids)) if mask[j]]
    x = {j: p.embedding[...][ids[j]] for j in tokens}
    if config.positions != "none":
        places = sinusoidal(len(ids), config.d) if config.positions == "sinusoidal" else p.positions[...]
        x = {j: x[j] + places[j] for j in tokens}
    size = config.d // config.heads
    for layer in p.layers:
        normed = {j: norm(layer.attention_norm, x[j]) for j in tokens}
        met = {j: np.zeros(config.d) for j in tokens}
        for head in range(config.heads):
            part = slice(head * size, (head + 1) * size)
            q, k, v = (
                {j: linear(at, normed[j])[part] for j in tokens}
                for at in (layer.attention.query, layer.attention.key, layer.attention.value)
            )
            for j in tokens:
                share = np.exp([q[j] @ k[m] / np.sqrt(size) for m in tokens])
                met[j][part] = sum(s * v[m] for s, m in zip(share / share.sum(), tokens, strict=True))
        x = {j: x[j] + linear(layer.attention.output, met[j]) for j in tokens}
        x = {j: x[j] + linear(layer.down, gelu(linear(layer.up, norm(layer.norm, x[j])))) for j in tokens}
    x = {j: norm(p.norm, x[j]) for j in tokens}
    return linear(p.classifier, x[0] if config.pool == "cls" else np.mean(list(x.values()), axis=0))


@pytest.mark.parametrize("name", ["cls", "mean", "two layers"])
def test_transformer_is_its_formula(name):
    model = build(CONFIGS[name])
    ids, mask = padded(*batch(2))
    mask = mask.at[1, 3:].set(False)
    with jax.enable_x64(True):
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model)
        logits = logits_of(model, ids, mask)
    for i in range(2):
        np.testing.assert_allclose(logits[i], plain_transformer(model, ids[i], mask[i]), rtol=1e-12)


def test_bag_is_its_formula():
    model = build(CONFIGS["bag"])
    ids, mask = padded(*batch())
    mean = np.mean(np.asarray(model.embedding[...], np.float64)[ids[:N]], axis=0)
    expected = mean @ np.asarray(model.classifier.kernel[...]) + np.asarray(model.classifier.bias[...])
    close(logits_of(model, ids, mask), expected)


@pytest.mark.parametrize("name", ["cls", "bag"])
def test_dropout_needs_a_key_and_follows_it(name):
    ids, mask = batch(4)
    model = build(dataclasses.replace(CONFIGS[name], dropout=0.5))
    first, again, other = (logits_of(model, ids, mask, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    close(logits_of(model, ids, mask), logits_of(build(CONFIGS[name]), ids, mask))


def test_transformer_trains_without_diverging():
    """Eight texts by heart, by Adam at the papers' rate."""
    ids = jnp.asarray(np.random.default_rng(2).integers(0, V, (8, N)))
    mask, labels = jnp.ones_like(ids, bool), jnp.arange(8) % 2
    config = TransformerConfig(d=32, heads=4, width=64)
    model = jax.jit(lambda: config.build(v=V, c=2, rngs=nnx.Rngs(0)))()
    adam = optax.adam(1e-3)

    def cross_entropy(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(ids, mask), labels).mean()

    @jax.jit
    def step(model, state):
        value, gradient = jax.value_and_grad(cross_entropy)(model)
        updates, state = adam.update(gradient, state)
        return optax.apply_updates(model, updates), state, value

    state, losses = adam.init(model), []
    for _ in range(100):
        model, state, value = step(model, state)
        losses.append(float(value))
    assert losses[-1] < 0.02
    assert max(losses[10:]) < losses[0]


def test_transformer_starts_from_given_words():
    words = np.random.default_rng(0).normal(size=(V, TINY.d))
    model = TINY.build(v=V, c=C, rngs=nnx.Rngs(0), words=words)
    np.testing.assert_array_equal(model.embedding[...], words.astype(np.float32))
    with pytest.raises(ValueError, match=r"words must be of shape \(v, d\) = \(21, 8\), got \(20, 8\)"):
        TINY.build(v=V + 1, c=C, rngs=nnx.Rngs(0), words=words)


def test_parameter_counts():
    attention, feed_forward, norms = 4 * (8 * 8 + 8), 2 * 8 * 12 + 12 + 8, 3 * 2 * 8
    outside = attention + feed_forward + norms + 8 * C + C
    assert count_parameters(build(TINY)) == (outside + (V + 10) * 8, outside)
    assert count_parameters(build(BagConfig(d=8))) == (V * 8 + 8 * C + C, 8 * C + C)


@pytest.mark.parametrize(
    "setting",
    [
        {"d": 0},
        {"heads": 5},
        {"heads": 0},
        {"layers": 0},
        {"width": 0},
        {"positions": "relative"},
        {"pool": "max"},
        {"dropout": 1.0},
        {"max_length": 1},
    ],
    ids=str,
)
def test_a_setting_outside_its_range_is_named(setting):
    ((name, value),) = setting.items()
    for config in (TransformerConfig(), BagConfig()):
        if hasattr(config, name):
            object.__setattr__(config, name, value)  # past the types that the tests check as well
            with pytest.raises(ValueError, match=rf"{name} must be .*, got {value!r}"):
                config.__post_init__()


@pytest.mark.parametrize("config", [TINY, BagConfig()])
def test_sizes_outside_their_range_are_named(config):
    with pytest.raises(ValueError, match="v must be at least 1, got 0"):
        config.build(v=0, c=C, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="c must be at least 2 classes, got 1"):
        config.build(v=V, c=1, rngs=nnx.Rngs(0))


def test_a_text_longer_than_the_learned_positions_is_refused():
    ids, mask = padded(*batch(2), by=5)
    with pytest.raises(ValueError, match="a text of 11 tokens is longer than the 10 learned positions"):
        build(TINY)(ids, mask)
    assert logits_of(build(CONFIGS["mean"]), ids, mask).shape == (2, C)
