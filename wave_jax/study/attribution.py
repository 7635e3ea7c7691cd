"""Attribution: how much each token adds to the logit of a class.

Every method takes a network and a batch, whose labels are the classes to explain, and gives (b, n) scores,
0 on padding. Positive speaks for the class, negative against it. `faithfulness` judges such scores.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax import wave
from wave_jax.data.batches import Batch
from wave_jax.errors import check_setting
from wave_jax.networks.trace import Network, Trace
from wave_jax.networks.wave_network import WaveNetwork
from wave_jax.numerics import masked_mean, safe_sqrt

__all__ = [
    "Integrated",
    "Sampled",
    "behind_cls",
    "gradient_x_input",
    "integrated_gradients",
    "leave_one_out",
    "leave_out",
    "shapley",
    "smooth_grad",
]


def gradient_x_input(network: Network, batch: Batch) -> Float[Array, "b n"]:
    """Compute Σ_k w_jk·∂logit/∂w_jk, w the embedding + position: the token's share of the linear logit."""
    w = network.trace(batch.ids, batch.mask, batch.segments).w
    return jnp.sum(w * _slope(network, batch, jnp.zeros_like(w)), axis=-1)


def smooth_grad(
    network: Network,
    batch: Batch,
    key: PRNGKeyArray,
    samples: int = 32,
    noise: float | Float[Array, ""] = 0.1,
) -> Float[Array, "b n"]:
    """Compute Σ_k w_jk·E[∂logit/∂w_jk(w + ε)]: gradient x input, with the slope of the neighbourhood.

    Args:
      network: the network.
      batch: the texts, labelled with the classes to explain.
      key: key of the noise.
      samples: number of draws of ε, which is normal.
      noise: its standard deviation, in units of the root mean square of the text's w.
    """
    check_setting("samples", samples, samples >= 1, "at least 1")
    w = network.trace(batch.ids, batch.mask, batch.segments).w
    size = jnp.sqrt(masked_mean(jnp.mean(w**2, axis=-1, keepdims=True), batch.mask))[:, None]

    def add(total: Array, key: PRNGKeyArray) -> tuple[Array, None]:
        nudge = noise * size * jax.random.normal(key, w.shape, w.dtype)
        return total + _slope(network, batch, nudge), None

    slopes, _ = jax.lax.scan(add, jnp.zeros_like(w), jax.random.split(key, samples))
    return jnp.where(batch.mask, jnp.sum(w * slopes, axis=-1) / samples, 0)


class Integrated(NamedTuple):
    scores: Array  # (b, n)
    error: Array  # (b,) the sum of the scores minus what it should be, logit(w) - logit(0)


def integrated_gradients(network: Network, batch: Batch, steps: int = 64) -> Integrated:
    """Compute Σ_k w_jk·∫₀¹ ∂logit/∂w_jk(t·w) dt by the midpoint rule, one step after the other.

    The scores of a text add up to logit(w) - logit(0); `error` is how far they miss it. It falls with
    `steps`, but not if a network begins with a norm, as a Transformer does: it jumps at 0.
    """
    check_setting("steps", steps, steps >= 1, "at least 1")
    w = network.trace(batch.ids, batch.mask, batch.segments).w

    def add(total: Array, t: Array) -> tuple[Array, None]:
        return total + _slope(network, batch, (t - 1) * w), None

    slopes, _ = jax.lax.scan(add, jnp.zeros_like(w), (jnp.arange(steps, dtype=w.dtype) + 0.5) / steps)
    scores = jnp.sum(w * slopes, axis=-1) / steps
    ends = [_logit(network, batch, nudge) for nudge in (jnp.zeros_like(w), -w)]
    return Integrated(scores, jnp.sum(scores, axis=-1) - (ends[0] - ends[1]))


def _logit(network: Network, batch: Batch, nudge: Float[Array, "b n d"]) -> Float[Array, " b"]:
    """Return the logit of each text's class, with something added to its tokens."""
    logits = network.trace(batch.ids, batch.mask, batch.segments, nudge=Trace(w=nudge)).logits
    return jnp.take_along_axis(logits, batch.labels[:, None], axis=-1)[:, 0]


def _slope(network: Network, batch: Batch, nudge: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    return jax.grad(lambda nudge: jnp.sum(_logit(network, batch, nudge)))(nudge)


def leave_one_out(network: Network, batch: Batch) -> Float[Array, "b n"]:
    """Compute logit(text) - logit(text without token j), exactly; 0 for [CLS], which is not left out.

    Leaving out means masking: positions stay. One pass for a Wave Network of one layer with [CLS] pooling at
    input level; for every other network one pass per token.
    """
    if isinstance(network, WaveNetwork) and _is_one_pass(network):
        without = _without_each(network, batch.ids, batch.mask)
    else:
        without = _by_n_passes(network, batch)
    scores = _lost(network, batch, without)
    return jnp.where(behind_cls(batch.mask), scores, jnp.zeros_like(scores))


def _is_one_pass(network: WaveNetwork) -> bool:
    """Return whether leaving a token out changes nothing but s at [CLS]."""
    config = network.config
    return (config.layers, config.pool, config.levels) == (1, "cls", "input")


def leave_out(network: Network, batch: Batch, groups: Bool[Array, "b g n"]) -> Float[Array, "b g"]:
    """Compute logit(text) - logit(text without the tokens of a group), one pass per group; [CLS] stays.

    For tokens that go together, as a word and the pairs it is part of.
    """
    return _lost(network, batch, _by_passes(network, batch, groups & behind_cls(batch.mask)[:, None]))


def _lost(network: Network, batch: Batch, without: Float[Array, "b g c"]) -> Float[Array, "b g"]:
    """Return how much of the class's logit is lost in these logits."""
    logits = network(batch.ids, batch.mask, batch.segments)[:, None]
    return jnp.take_along_axis(logits - without, batch.labels[:, None, None], axis=-1)[..., 0]


def behind_cls(mask: Bool[Array, "b n"]) -> Bool[Array, "b n"]:
    """Mark the tokens behind [CLS]."""
    return mask & (jnp.arange(mask.shape[-1]) > 0)


def _without_each(
    network: WaveNetwork, ids: Int[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, "b n c"]:
    """Compute the logits without token j, for every j, in one pass.

    Only s at [CLS] changes. Without token j it is the norm of the tokens that are neither j nor [CLS], which
    is what `encode` gives row j of a text without [CLS].
    """
    others = behind_cls(mask)
    return _by_s(network, ids, lambda tokens: wave.encode(tokens, others).imag)


def _by_s(network: WaveNetwork, ids: Int[Array, "b n"], s_of: Callable) -> Float[Array, "b m c"]:
    """Compute the logits for m values of s at [CLS], which `s_of` makes of the tokens of a variant."""
    w, layer = network.embed(ids), network.layers[0]

    def at_cls(variant: Callable) -> Array:
        tokens = variant(w)
        s = s_of(tokens)
        return jax.lax.complex(jnp.broadcast_to(tokens[:, :1], s.shape), s)

    Z = wave.combine(at_cls(layer.variant1), at_cls(layer.variant2), network.config.combine)
    return network.answer(layer.output(wave.read_out(Z, network.config.read_out)))


def _by_n_passes(network: Network, batch: Batch) -> Float[Array, "b n c"]:
    """Compute the logits with token j masked, for every j: the definition."""
    b, n = batch.ids.shape
    return _by_passes(network, batch, jnp.broadcast_to(jnp.eye(n, dtype=bool), (b, n, n)))


def _by_passes(network: Network, batch: Batch, groups: Bool[Array, "b g n"]) -> Float[Array, "b g c"]:
    """Compute the logits with a group of tokens masked, one pass after the other."""

    def without(group: Array) -> Array:
        return network(batch.ids, batch.mask & ~group, batch.segments)

    return jnp.moveaxis(jax.lax.map(without, jnp.moveaxis(groups, 1, 0)), 0, 1)


class Sampled(NamedTuple):
    scores: Array  # (b, n)
    error: Array  # (b, n) the standard error of each score


def shapley(network: Network, batch: Batch, key: PRNGKeyArray, samples: int = 32) -> Sampled:
    """Estimate the Shapley values: the mean of the logit that a token adds to those before it, in any order.

    The values of a text add up to logit(text) - logit([CLS] alone), exactly, however few the orders. Tokens
    come in by being unmasked: positions stay, and so does [CLS], whose score is 0. One pass for each order,
    or one for each of its tokens, as with `leave_one_out`.

    Args:
      network: the network.
      batch: the texts, labelled with the classes to explain.
      key: key of the orders.
      samples: number of random orders.
    """
    check_setting("samples", samples, samples >= 2, "at least 2")
    can_go = behind_cls(batch.mask)

    def added(key: PRNGKeyArray) -> Array:
        order = jnp.argsort(jnp.where(can_go, jax.random.uniform(key, can_go.shape), 2.0), axis=-1)
        if isinstance(network, WaveNetwork) and _is_one_pass(network):
            logits = _growing(network, batch, order)
        else:
            logits = _growing_by_passes(network, batch, order)
        of_class = jnp.take_along_axis(logits, batch.labels[:, None, None], axis=-1)[..., 0]
        return jnp.take_along_axis(jnp.diff(of_class), jnp.argsort(order, axis=-1), axis=-1)

    found = jnp.where(can_go, jax.lax.map(added, jax.random.split(key, samples)), 0)
    return Sampled(jnp.mean(found, axis=0), jnp.std(found, axis=0, ddof=1) / samples**0.5)


def _growing(network: WaveNetwork, batch: Batch, order: Int[Array, "b n"]) -> Float[Array, "b n+1 c"]:
    """Compute the logits of the first k tokens of an order, for every k, in one pass: s is a running sum."""
    others = behind_cls(batch.mask)[..., None]

    def s_of(tokens: Array) -> Array:
        squares = jnp.where(others, tokens**2, 0)
        total = jnp.cumsum(jnp.take_along_axis(squares, order[..., None], axis=-2), axis=-2)
        return safe_sqrt(jnp.concatenate([jnp.zeros_like(total[:, :1]), total], axis=-2))

    return _by_s(network, batch.ids, s_of)


def _growing_by_passes(network: Network, batch: Batch, order: Int[Array, "b n"]) -> Float[Array, "b n+1 c"]:
    """Compute the same, one pass for every k: the definition."""
    n = order.shape[-1]
    late = jnp.argsort(order, axis=-1)[:, None] >= jnp.arange(n + 1)[:, None]
    return _by_passes(network, batch, late & behind_cls(batch.mask)[:, None])
