"""The papers' gradient study (P2) in numbers: the gradients at [CLS], on the whole text, at the classifier.

    for state, record in fit(network, train, config):
        rows.append({"step": record.step, **as_row(gradient_study(state.network, batch))})

P2's own definitions are not known; these are ours. A token's gradient is that of its own text's loss by its
embedding + position, and every number is a mean over texts, so padding, filler and the size of the batch do
not show. The classifier's gradient is the one that trains it: of the batch's mean loss by its parameters.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from wave_jax.data.batches import Batch
from wave_jax.networks.trace import Network
from wave_jax.numerics import masked_mean
from wave_jax.study import measures
from wave_jax.study.gradients import by_parameter, by_token

__all__ = [
    "Entries",
    "Place",
    "Study",
    "as_row",
    "entries",
    "gradient_study",
    "principal_shares",
    "sign_agreement",
]


class Place(NamedTuple):
    """The gradient at one place; each number is a measure of its name."""

    norm: Any
    mean: Any
    spread: Any
    share_below: Any
    """Share of entries below a hundredth of the largest."""
    gini: Any
    resultant: Any
    """Of the texts' gradients, at [CLS] and the classifier; of a text's tokens, at the text."""
    direction: Any
    """The mean gradient, (d,) or all the classifier's parameters: what `sign_agreement` follows."""


class Entries(NamedTuple):
    """How the sizes of a gradient's entries are distributed at one place."""

    below: Any
    """Shares of entries at or below each threshold, in units of the largest."""
    quantiles: Any
    """Of the sizes themselves."""


class Study(NamedTuple):
    """The gradients of a network on a batch."""

    cls: Place
    text: Place
    classifier: Place
    agreement: Any
    """Cosine of [CLS] with the sum of its text's other tokens."""


def gradient_study(network: Network, batch: Batch) -> Study:
    """Study the gradients of any network on one batch, without dropout.

    Along training give it the same batch at every step. The measures are compiled once for all networks whose
    gradients have the same shapes.
    """
    return _measured(*_gradients(network, batch), batch.mask, batch.labels >= 0)


@jax.jit
def _gradients(network: Network, batch: Batch) -> tuple[Float[Array, "b n d"], Float[Array, "b p"]]:
    """Return each text's own gradients: of its tokens, and of all the classifier's parameters."""
    parameters = jax.tree.leaves(by_parameter(network, batch, per_text=True).classifier)
    flat = jnp.concatenate([x.reshape(len(x), -1) for x in parameters], axis=-1)
    return by_token(network, batch, per_text=True), flat


@jax.jit
def _measured(
    tokens: Float[Array, "b n d"],
    flat: Float[Array, "b p"],
    mask: Bool[Array, "b n"],
    real: Bool[Array, " b"],
) -> Study:
    """Measure these gradients."""

    def over_texts(x: Array) -> Array:
        """Return the mean over texts, without filler."""
        return masked_mean(x.reshape(len(real), -1), real).reshape(x.shape[1:])

    text, first = (jax.tree.map(over_texts, jax.vmap(_place)(tokens[:, :n], mask[:, :n])) for n in (None, 1))
    others = masked_mean(tokens[:, 1:], mask[:, 1:])
    return Study(
        cls=first._replace(resultant=measures.resultant(tokens[:, 0], real)),
        text=text,
        classifier=_place(over_texts(flat)[None])._replace(resultant=measures.resultant(flat, real)),
        agreement=over_texts(measures.cosine(tokens[:, 0], others)),
    )


def _place(x: Float[Array, "n d"], mask: Bool[Array, " n"] | None = None) -> Place:
    """Apply all measures to n gradients as one."""
    return Place(
        norm=measures.norm(x, mask),
        mean=measures.mean(x, mask),
        spread=measures.spread(x, mask),
        share_below=measures.share_below(x, mask=mask),
        gini=measures.gini(x, mask),
        resultant=measures.resultant(x, mask),
        direction=masked_mean(x, mask),
    )


def principal_shares(network: Network, batch: Batch) -> dict[str, float]:
    """Return the share of the gradients in their first principal direction, and in the first ten.

    They are the texts' gradients at [CLS] and the classifier, and a text's tokens at the text, under names as
    `cls_principal` and `text_principal_ten`. The eigenvalues are LAPACK's: threads that ask for them at once
    may wait for each other forever.

    Args:
      network: any network.
      batch: the texts.
    """
    found = _principal(*_gradients(network, batch), batch.mask, batch.labels >= 0)
    return {name: float(share) for name, share in found.items()}


@jax.jit
def _principal(tokens, flat, mask, real) -> dict[str, Array]:
    def of(name: str, most: int) -> dict[str, Array]:
        text = jax.vmap(lambda x, counts: measures.principal(x, most, counts))(tokens, mask)
        return {
            f"cls_{name}": measures.principal(tokens[:, 0], most, real),
            f"text_{name}": masked_mean(text[:, None], real)[0],
            f"classifier_{name}": measures.principal(flat, most, real),
        }

    return of("principal", 1) | of("principal_ten", 10)


def entries(
    network: Network, batch: Batch, thresholds: Sequence[float], quantiles: Sequence[float]
) -> dict[str, Entries]:
    """Return how the entries are distributed at [CLS] (`cls`), whole text (`text`) and `classifier`.

    The first two are means over texts, each in units of its own largest entry.

    Args:
      network: any network.
      batch: the texts.
      thresholds: shares of the largest entry.
      quantiles: shares of the entries, as 0.5 for the median.
    """
    at = jnp.asarray(thresholds), jnp.asarray(quantiles)
    tokens, flat = _gradients(network, batch)
    return _distributed(tokens, flat, batch.mask, batch.labels >= 0, *at)


@jax.jit
def _distributed(tokens, flat, mask, real, thresholds, quantiles) -> dict[str, Entries]:
    def of(x: Array, mask: Array) -> Entries:
        sizes = jnp.where(mask[:, None], jnp.abs(x), jnp.nan)
        below = jax.lax.map(lambda at: measures.share_below(x, at, mask), thresholds)
        return Entries(below, jnp.nanquantile(sizes, quantiles))

    def over_texts(n: int | None) -> Entries:
        found = jax.vmap(of)(tokens[:, :n], mask[:, :n])
        return jax.tree.map(lambda x: masked_mean(x, real), found)

    classifier = masked_mean(flat, real)[None]
    return {"cls": over_texts(1), "text": over_texts(None), "classifier": of(classifier, jnp.ones(1, bool))}


def as_row(study: Study) -> dict[str, float]:
    """Return the numbers of a study under flat names, as `cls_norm` and `agreement`: a row of a table.

    >>> place = Place(1.0, 0.0, 0.5, 0.0, 0.25, 1.0, np.ones(2))
    >>> row = as_row(Study(place, place, place, 0.5))
    >>> row["text_gini"], row["agreement"], len(row)
    (0.25, 0.5, 19)
    """
    study = jax.device_get(study)
    places = {name: getattr(study, name)._asdict() for name in _PLACES}
    numbers = {
        f"{name}_{measure}": float(number)
        for name, place in places.items()
        for measure, number in place.items()
        if measure != "direction"
    }
    return numbers | {"agreement": float(study.agreement)}


_PLACES = ("cls", "text", "classifier")


def sign_agreement(studies: Sequence[Study]) -> dict[str, float]:
    """Measure how far the mean gradient of each place keeps its signs from step to step."""
    if not studies:
        raise ValueError("sign_agreement needs the studies of some steps, got none.")

    def over_steps(name: str) -> float:
        directions = np.stack([np.asarray(getattr(study, name).direction) for study in studies])
        return float(measures.sign_agreement(directions))

    return {f"{name}_sign_agreement": over_steps(name) for name in _PLACES}
