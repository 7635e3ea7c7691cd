"""How scores of tokens are made, and what is found of them, text by text: for `attribution`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from wave_jax.study import attribution, faithfulness

__all__ = ["CHECKS", "METHODS", "answered", "judged", "shuffled"]

KEY = jax.random.key(0)
METHODS = {
    "leave one out": attribution.leave_one_out,
    "Shapley, 32 orders": lambda network, batch: attribution.shapley(network, batch, KEY),
    "integrated gradients": lambda network, batch: attribution.integrated_gradients(network, batch).scores,
    "gradient x input": attribution.gradient_x_input,
    "SmoothGrad": lambda network, batch: attribution.smooth_grad(network, batch, KEY),
    "random": lambda network, batch: jax.random.uniform(KEY, batch.ids.shape),
}
SHUFFLED = ("classifier", "layers", "embedding")  # from the end to the start
CHECKS = ("infidelity", "sensitivity", *(f"left, {part} shuffled" for part in SHUFFLED), "standard error")


def judged(
    network: Any, others: Sequence[Any], batch: Any, places: Any, method: str, most: int
) -> dict[str, Any]:
    """Return what is found of each text, by name.

    Only the scores and their sensitivity are compiled for each method.

    Args:
      network: the network.
      others: the same with its parts `shuffled`.
      batch: the texts, labelled with the answers.
      places: where the evidence is.
      method: one of `METHODS`.
      most: number of tokens to mask.
    """
    scored = _scored(network, batch, method)
    scores = _plain(scored)
    left = [_plain(_scored(other, batch, method)) for other in others]
    found = _checked(network, batch, places, scores, left, most)
    found |= {"answer": batch.labels, "sensitivity": _moved(network, batch, method)}
    if isinstance(scored, attribution.Sampled):
        mean = {"standard error": scored.error, "size": jnp.abs(scores)}
        found |= {name: jnp.mean(values, axis=-1) for name, values in mean.items()}
    return found


@jax.jit
def answered(network: Any, batch: Any) -> Any:
    """Label the texts with the answers of the network."""
    return batch._replace(labels=jnp.argmax(network(batch.ids, batch.mask, batch.segments), axis=-1))


@jax.jit
def shuffled(network: Any) -> list[Any]:
    """Return the network with its parts shuffled, as `SHUFFLED` has them: one part, two, three."""
    return [faithfulness.randomised(network, KEY, SHUFFLED[: i + 1]) for i in range(len(SHUFFLED))]


@partial(jax.jit, static_argnames="method")
def _scored(network: Any, batch: Any, method: str) -> Any:
    return METHODS[method](network, batch)


def _plain(found: Any) -> Any:
    """Return scores without their standard error."""
    return found.scores if isinstance(found, attribution.Sampled) else found


@partial(jax.jit, static_argnames="method")
def _moved(network: Any, batch: Any, method: str) -> Any:
    def score(network: Any, batch: Any) -> Any:
        return _plain(_scored(network, batch, method))

    return faithfulness.sensitivity(score, network, batch, KEY, 4)


@partial(jax.jit, static_argnames="most")
def _checked(
    network: Any, batch: Any, places: Any, scores: Any, others: Sequence[Any], most: int
) -> dict[str, Any]:
    """Return what is found of the scores of any method, and of those of the shuffled networks."""
    curve = faithfulness.deletion(network, batch, scores, most)
    misses = [faithfulness.infidelity(network, batch, x, KEY) for x in (scores, 0 * scores)]
    left = [faithfulness.rank_correlation(scores, other, batch.mask) for other in others]
    return {
        "share": faithfulness.share_on(scores, places),
        "probability": curve.probability,
        "kept": curve.answered,
        "infidelity": misses[0],
        "foretold": misses[1],
        **{f"left, {part} shuffled": x for part, x in zip(SHUFFLED, left, strict=True)},
    }
