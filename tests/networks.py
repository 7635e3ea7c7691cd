"""Every network of the house, tiny and with every parameter random, for laws that all of them keep."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wave_jax.baselines import BagConfig, TransformerConfig
from wave_jax.batches import Batch
from wave_jax.bert import BertConfig
from wave_jax.model import WaveConfig

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
    mask=jnp.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]) == 1,
    labels=jnp.array([1, 2]),
    segments=jnp.array([[0, 0, 0, 1, 1, 1], [0, 1, 1, 0, 0, 0]]),
)


def build(config, v=11, c=3, seed=0):
    """A network whose every parameter is random: zero biases and unit scales would hide mistakes."""
    network = jax.eval_shape(lambda: config.build(v=v, c=c, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), network)


def in_float64(tree):
    return jax.tree.map(lambda x: x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)
