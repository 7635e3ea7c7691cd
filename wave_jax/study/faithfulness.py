"""How good scores of tokens are: by known evidence, by what they foretell, and by what they hang on.

    scores = attribution.leave_one_out(network, batch)
    infidelity(network, batch, scores, key)                  # do they foretell what masking does?
    sensitivity(attribution.leave_one_out, network, batch, key)   # do they jump?
    rank_correlation(scores, attribution.leave_one_out(randomised(network, key), batch), batch.mask)

Scores are those of `attribution`, of the class that the batch has as label.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from wave_jax.data.batches import Batch
from wave_jax.errors import check_setting
from wave_jax.networks.trace import Network
from wave_jax.study.attribution import behind_cls, leave_out
from wave_jax.training.adam import with_table

__all__ = [
    "Deletion",
    "deletion",
    "infidelity",
    "on_spans",
    "randomised",
    "rank_correlation",
    "sensitivity",
    "share_on",
]


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
    can_go = behind_cls(batch.mask)
    order = jnp.argsort(jnp.where(can_go, -scores, jnp.inf), axis=-1)
    rank = jnp.argsort(order, axis=-1)  # 0 for the strongest

    def without(k: Array) -> Deletion:
        mask = batch.mask & ~(can_go & (rank < k))
        logits = network(batch.ids, mask, batch.segments)
        of_class = jnp.take_along_axis(jax.nn.softmax(logits), batch.labels[:, None], axis=-1)[:, 0]
        return Deletion(of_class, jnp.argmax(logits, axis=-1) == batch.labels)

    return jax.tree.map(lambda x: x.T, jax.lax.map(without, jnp.arange(steps + 1)))


def infidelity(
    network: Network,
    batch: Batch,
    scores: Float[Array, "b n"],
    key: PRNGKeyArray,
    samples: int = 32,
    share: float = 0.2,
) -> Float[Array, " b"]:
    """Compute E[(Σ_{j∈S} score_j - (logit(text) - logit(text without S)))²] over random sets S of tokens.

    It is 0 if scores foretell what masking does, whatever is masked (Yeh et al., arXiv 1901.09392). That of
    scores of 0 is the mean square of what there is to foretell. [CLS] stays.

    Args:
      network: the network.
      batch: the texts, labelled with the classes to explain.
      scores: what each token adds.
      key: key of the sets.
      samples: number of sets.
      share: of the tokens that are in a set, on average.
    """
    check_setting("share", share, 0 < share <= 1, "above 0 and at most 1")
    b, n = batch.ids.shape
    groups = jax.random.bernoulli(key, share, (b, samples, n)) & behind_cls(batch.mask)[:, None]
    foretold = jnp.sum(jnp.where(groups, scores[:, None], 0), axis=-1)
    return jnp.mean((foretold - leave_out(network, batch, groups)) ** 2, axis=-1)


def sensitivity(
    method: Callable[[Network, Batch], Array],
    network: Network,
    batch: Batch,
    key: PRNGKeyArray,
    samples: int = 8,
    radius: float = 0.1,
) -> Float[Array, " b"]:
    """Compute the largest ‖scores(E + δ) - scores(E)‖ / ‖scores(E)‖ over random small changes δ.

    E is the table of embeddings, and |δ| ≤ radius·√(mean E²) in every entry (max-sensitivity of Yeh et al.,
    arXiv 1901.09392). 0 for a text whose scores are all 0.

    Args:
      method: how to score.
      network: the network.
      batch: the texts, labelled with the classes to explain.
      key: key of the changes.
      samples: number of changes.
      radius: how large they are.
    """
    table = network.embedding[...]
    most, scores = radius * jnp.sqrt(jnp.mean(table**2)), method(network, batch)

    def moved(key: PRNGKeyArray) -> Array:
        delta = jax.random.uniform(key, table.shape, table.dtype, -most, most)
        other = method(with_table(network, table + delta), batch)
        return jnp.linalg.norm(other - scores, axis=-1)

    size = jnp.linalg.norm(scores, axis=-1)
    largest = jnp.max(jax.lax.map(moved, jax.random.split(key, samples)), axis=0)
    return jnp.where(size > 0, largest / jnp.where(size > 0, size, 1), 0)


def randomised(network: Network, key: PRNGKeyArray, parts: Sequence[str] = ("classifier",)) -> Network:
    """Return the network with the entries of every parameter array of these parts in random order.

    Scores that hang on what was learned change with it (Adebayo et al., arXiv 1810.03292); `rank_correlation`
    tells how much. From the end to the start: classifier, then layers, then embedding.

    Args:
      network: any network.
      key: key of the orders.
      parts: names of its parts.
    """
    found = jax.tree.map(lambda x: x, network)
    for i, part in enumerate(parts):
        if not jax.tree.leaves(getattr(network, part, None)):
            raise ValueError(f"parts has {part!r}, of which a {type(network).__name__} has no parameters.")
        leaves, structure = jax.tree.flatten(getattr(network, part))
        keys = jax.random.split(jax.random.fold_in(key, i), len(leaves))
        drawn = [
            jax.random.permutation(k, x.reshape(-1)).reshape(x.shape)
            for k, x in zip(keys, leaves, strict=True)
        ]
        setattr(found, part, jax.tree.unflatten(structure, drawn))
    return found


def rank_correlation(
    scores: Float[Array, "b n"], others: Float[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, " b"]:
    """Compute the correlation of the ranks of |score| (Spearman's) over the tokens of a text behind [CLS].

    1 in the same order, -1 in the opposite one, 0 for a text of less than two tokens.

    >>> mask = jnp.ones((1, 4), bool)
    >>> rank_correlation(jnp.array([[0.0, 1, 2, 3]]), jnp.array([[0.0, 3, 2, 1]]), mask)
    Array([-1.], dtype=float32)
    """
    counts = behind_cls(mask)

    def ranks(x: Array) -> Array:
        return jnp.argsort(jnp.argsort(jnp.where(counts, jnp.abs(x), jnp.inf), axis=-1), axis=-1)

    m = jnp.sum(counts, axis=-1).astype(scores.dtype)
    apart = jnp.where(counts, ranks(scores) - ranks(others), 0).astype(scores.dtype)
    worst = m * (m**2 - 1) / 6
    return jnp.where(m > 1, 1 - jnp.sum(apart**2, axis=-1) / jnp.where(m > 1, worst, 1), 0)
