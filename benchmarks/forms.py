"""What `step` and `memory` measure: the Wave Network at the papers' size, its formulas as printed, and what
it is compared with, each as a function of (network, batch) whose gradient is taken."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wave_jax.data.batches import Batch
from wave_jax.networks.bert import BERT_BASE
from wave_jax.networks.layers import sinusoidal
from wave_jax.networks.transformer import TransformerConfig
from wave_jax.networks.wave_network import PAPER_MODULATION
from wave_jax.training.adam import narrow, with_table
from wave_jax.training.loss import loss, score_of_logits

V, C, B, N = 30_522, 4, 64, 128  # BERT's vocabulary, AG News' classes, the papers' batch and length


class Form(NamedTuple):
    network: Any
    gradient: Callable  # of (network, batch)


def polar_loss(network: Any, batch: Batch) -> jax.Array:
    """Compute the loss as P1 prints it: G and α for every token, Z = G·exp(iα).

    Feed forward and norm are computed for every token too.
    """
    w = network.embedding[...][batch.ids] + sinusoidal(batch.ids.shape[1], network.config.d)
    layer = network.layers[0]

    def wave(w):
        w = jnp.where(batch.mask[..., None], w, 0)
        G = jnp.sqrt(jnp.sum(w**2, axis=1, keepdims=True))
        alpha = jnp.arctan2(jnp.sqrt(1 - (w / G) ** 2), w / G)
        return G * jnp.exp(1j * alpha)

    Z = wave(layer.variant1(w)) * wave(layer.variant2(w))
    h = layer.output(jnp.concatenate([Z.real, Z.imag], axis=-1))[:, 0]
    return score_of_logits(network.classifier(h), batch.labels).mean_loss


def rows_gradient(network: Any, batch: Batch) -> Any:
    """Take the gradient as in training: the table's at the rows that the batch reads."""
    table = network.embedding[...]
    ids, rows = narrow(batch.ids, len(table), most=batch.ids.size)
    small = with_table(network, table.at[rows].get(mode="fill", fill_value=0))
    return jax.grad(loss)(small, batch._replace(ids=ids))


def forms(n: int = N) -> dict[str, Form]:
    wave = PAPER_MODULATION.build(v=V, c=C, rngs=nnx.Rngs(0))
    transformer = TransformerConfig(max_length=n).build(v=V, c=C, rngs=nnx.Rngs(0))
    return {
        "Wave": Form(wave, jax.grad(loss)),
        "Wave, the table's rows as in training": Form(wave, rows_gradient),
        "Wave as printed (polar, every token)": Form(wave, jax.grad(polar_loss)),
        "Transformer, one layer": Form(transformer, jax.grad(loss)),
    }


def bert() -> Form:
    """Build BERT base at random start."""
    return Form(BERT_BASE.build(c=C, rngs=nnx.Rngs(0)), jax.grad(loss))


def batch(b: int = B, n: int = N) -> Batch:
    rng = np.random.default_rng(0)
    ids = jnp.asarray(rng.integers(0, V, (b, n)), jnp.int32)
    return Batch(ids, jnp.ones((b, n), bool), jnp.asarray(rng.integers(0, C, b), jnp.int32))


def compiled(form: Form, batch: Batch) -> Any:
    return jax.jit(form.gradient).lower(form.network, batch).compile()
