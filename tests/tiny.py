"""Every kind of network, tiny and with random parameters, and a tiny corpus with a preset to train on it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wave_jax.data.batches import Batch, TokenArrays
from wave_jax.data.datasets import Dataset
from wave_jax.networks.bag import BagConfig
from wave_jax.networks.bert import BertConfig
from wave_jax.networks.transformer import TransformerConfig
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs.presets import Preset
from wave_jax.training.config import TrainConfig

TINY = WaveConfig(d=6, max_length=16)
CONFIGS = {
    "modulation": TINY,
    "interference": replace(
        TINY, combine="interfere", read_out="magnitude", pool="mean", positions="sinusoidal"
    ),
    "voices": replace(TINY, voice_width=3),
    "two layers": replace(TINY, layers=2, levels="sentence", positions="learned", activation="gelu"),
    "Transformer": TransformerConfig(d=6, heads=2, width=8, max_length=16),
    "bag": BagConfig(d=6),
    "BERT": BertConfig(
        vocab_size=11,
        hidden_size=6,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    ),
}

BATCH = Batch(
    ids=jnp.array([[2, 5, 7, 5, 3, 1], [2, 9, 4, 0, 0, 0]]),
    mask=jnp.array([[True] * 6, [True] * 3 + [False] * 3]),
    labels=jnp.array([1, 2]),
    segments=jnp.array([[0, 0, 0, 1, 1, 1], [0, 1, 1, 0, 0, 0]]),
)


def build(config, v=11, c=3, seed=0):
    """A network whose every parameter is random: zero biases and unit scales would hide mistakes."""
    network = jax.eval_shape(lambda: config.build(v=v, c=c, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jax.device_put(rng.normal(size=x.shape).astype(x.dtype)), network)


def in_float64(tree):
    wide = lambda x: jax.device_put(np.float64(x)) if jnp.issubdtype(x.dtype, jnp.floating) else x
    return jax.tree.map(wide, tree)


PRESET = Preset(WaveConfig(d=4, max_length=16), TrainConfig(epochs=3, batch=4, rate=0.01), v=60)
_WORDS = ["up rise gain", "down fall loss"]
TEXTS = [f"{_WORDS[i % 2]} {'abc'[i % 3]} {'xyz'[i // 3 % 3]}" for i in range(20)]
DATA = Dataset.from_texts(
    TEXTS, [i % 2 for i in range(20)], test=(["rise", "fall a"], [0, 1]), classes=["+", "-"]
)


# Texts of three splits, each with a word of its own, twice. Held-out texts also share beginnings of words and
# pairs of neighbours that no training text has. A test text is the twin of a validation text: its known words
# are the same, its label is the other. So their accuracies add up to 1, and neither is ever a half.
_OWN_WORDS = [f"{a}{b}own" for a in "abcde" for b in "fghijklm"]


def _held_out(words, beginning, first):
    texts = [
        f"{['gain rise', 'loss fall'][i % 2]} {word} {word} {beginning}{word[0]}{word[1]}"
        for i, word in enumerate(words)
    ]
    return texts, [(first + i) % 2 for i in range(len(words))]


APART = Dataset.from_texts(
    [f"{['rise gain', 'fall loss'][i % 2]} {word} {word}" for i, word in enumerate(_OWN_WORDS[:24])],
    [i % 2 for i in range(24)],
    valid=_held_out(_OWN_WORDS[24:31], "veil", 0),
    test=_held_out(_OWN_WORDS[31:38], "dusk", 1),
    classes=["+", "-"],
)
APART_PRESET = replace(
    PRESET, training=replace(PRESET.training, keep="last"), v=100, whole_words=True, stems=20, pairs=20
)


def learnt(tokenizer):
    """The own words of `APART` that a tokenizer knows; all other words must be of training texts."""
    known = {word for token in tokenizer.tokens for word in token.split()}
    assert not [word for word in known if word.startswith(("veil", "vei##", "dusk", "dus##"))]
    assert not {"gain rise", "loss fall"} & {*tokenizer.tokens}
    return known & {*_OWN_WORDS}


def own_words(split):
    """The own words of the texts of a split."""
    return {word for text in split.texts for word in text.split()} & {*_OWN_WORDS}


def split_of(lengths, segments=False):
    """A split of texts of these lengths; token j of text i is 100·i + j + 1."""
    rows = [100 * i + np.arange(length) + 1 for i, length in enumerate(lengths)]
    return TokenArrays(
        ids=np.concatenate([np.zeros(0, int), *rows]).astype(np.uint16),
        offsets=np.cumsum([0, *lengths]),
        labels=np.arange(len(lengths), dtype=np.int32) % 3,
        segments=np.concatenate([row % 100 // 4 for row in rows]).astype(np.uint16) if segments else None,
    )


def news_lengths(count, seed=0):
    """Lengths as those of AG News: median 50, a long tail, cut at 128."""
    draw = np.random.default_rng(seed)
    return np.clip(draw.lognormal(np.log(50), 0.3, count), 3, 128).astype(int)


def same(a, b):
    return all(
        np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True) if x is not None
    )
