"""Attribution: how much each token adds to the logit of a class, and how good such scores are.

Every method takes a network and a batch, whose labels are the classes to explain, and gives (b, n) scores,
0 on padding. Positive speaks for the class, negative against it. `share_on` and `deletion` judge such scores:
by positions that are known to matter, and by what masking the strongest tokens does to the network.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from wave_jax import wave
from wave_jax.data.batches import Batch
from wave_jax.errors import check_setting
from wave_jax.networks.trace import Network, Trace
from wave_jax.networks.wave_network import WaveNetwork

__all__ = [
    "Deletion",
    "Integrated",
    "deletion",
    "gradient_x_input",
    "integrated_gradients",
    "leave_one_out",
    "on_spans",
    "share_on",
]


def gradient_x_input(network: Network, batch: Batch) -> Float[Array, "b n"]:
    """Compute Σ_k w_jk·∂logit/∂w_jk, w the embedding + position: the token's share of the linear logit."""
    w = network.trace(batch.ids, batch.mask, batch.segments).w
    return jnp.sum(w * _slope(network, batch, jnp.zeros_like(w)), axis=-1)


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
    return jnp.where(_left_out(batch.mask), scores, jnp.zeros_like(scores))


def _is_one_pass(network: WaveNetwork) -> bool:
    """Return whether leaving a token out changes nothing but s at [CLS]."""
    config = network.config
    return (config.layers, config.pool, config.levels) == (1, "cls", "input")


def leave_out(network: Network, batch: Batch, groups: Bool[Array, "b g n"]) -> Float[Array, "b g"]:
    """Compute logit(text) - logit(text without the tokens of a group), one pass per group; [CLS] stays.

    For tokens that go together, as a word and the pairs it is part of.
    """
    return _lost(network, batch, _by_passes(network, batch, groups & _left_out(batch.mask)[:, None]))


def _lost(network: Network, batch: Batch, without: Float[Array, "b g c"]) -> Float[Array, "b g"]:
    """Return how much of the class's logit is lost in these logits."""
    logits = network(batch.ids, batch.mask, batch.segments)[:, None]
    return jnp.take_along_axis(logits - without, batch.labels[:, None, None], axis=-1)[..., 0]


def _left_out(mask: Bool[Array, "b n"]) -> Bool[Array, "b n"]:
    """Mark the tokens behind [CLS]."""
    return mask & (jnp.arange(mask.shape[-1]) > 0)


def _without_each(
    network: WaveNetwork, ids: Int[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, "b n c"]:
    """Compute the logits without token j, for every j, in one pass.

    Only s at [CLS] changes. Without token j it is the norm of the tokens that are neither j nor [CLS], which
    is what `encode` gives row j of a text without [CLS].
    """
    w, layer, others = network.embed(ids), network.layers[0], _left_out(mask)

    def at_cls(variant: Any) -> Array:
        tokens = variant(w)
        s = wave.encode(tokens, others).imag
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


# --- how good the scores are --------------------------------------------------------------------------------


def on_spans(pieces: Sequence[Any], spans: Sequence[tuple[int, int]], n: int) -> np.ndarray:
    """Mark which of n positions hold a token inside one of these spans of characters.

    `pieces` are the tokens of a text with their `start` and `end` (`Tokenizer.explain`); what follows them is
    padding. With `Split.evidence` of the planted corpus: the tokens that carry the topic.
    """
    on = [any(piece.start < end and start < piece.end for start, end in spans) for piece in pieces]
    return np.array([*on, *[False] * (n - len(on))])


def share_on(scores: Float[Array, "b n"], places: Bool[Array | np.ndarray, "b n"]) -> Float[Array, " b"]:
    """Compute Σ_{j in positions} |score_j| / Σ_j |score_j|; 0 for a text whose scores are all 0.

    >>> share_on(jnp.array([[3.0, -1.0, 0.0]]), jnp.array([[True, False, True]]))
    Array([0.75], dtype=float32)
    """
    size = jnp.abs(scores)
    total = jnp.sum(size, axis=-1)
    return jnp.sum(jnp.where(places, size, 0), axis=-1) / jnp.where(total > 0, total, 1)


class Deletion(NamedTuple):
    probability: Array  # (b, steps + 1) of the class, entry k without the k strongest tokens
    answered: Array  # (b, steps + 1) whether the class is the answer


def deletion(network: Network, batch: Batch, scores: Float[Array, "b n"], steps: int = 8) -> Deletion:
    """Compute what remains of the class as the tokens that speak most for it are masked, one after the other.

    The better the scores, the faster it falls. Random scores are the control. [CLS] stays, and a text with
    fewer tokens than steps ends as [CLS] alone.

    Args:
      network: the network.
      batch: the texts, labelled with the classes to explain.
      scores: what each token adds.
      steps: number of tokens to mask.
    """
    check_setting("steps", steps, steps >= 1, "at least 1")
    can_go = _left_out(batch.mask)
    order = jnp.argsort(jnp.where(can_go, -scores, jnp.inf), axis=-1)
    rank = jnp.argsort(order, axis=-1)  # 0 for the strongest

    def without(k: Array) -> Deletion:
        mask = batch.mask & ~(can_go & (rank < k))
        logits = network(batch.ids, mask, batch.segments)
        of_class = jnp.take_along_axis(jax.nn.softmax(logits), batch.labels[:, None], axis=-1)[:, 0]
        return Deletion(of_class, jnp.argmax(logits, axis=-1) == batch.labels)

    return jax.tree.map(lambda x: x.T, jax.lax.map(without, jnp.arange(steps + 1)))
