"""Logistic regression, as a user would take it: on counted words, or on frozen vectors of a BERT."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from wave_jax.data.batches import gather, tokenize
from wave_jax.data.plan import Plan, buckets
from wave_jax.data.splits import Split
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks import bert_weights
from wave_jax.networks.bert import Bert
from wave_jax.numerics import masked_mean

__all__ = ["Rival", "tfidf", "vectors"]


class Rival(NamedTuple):
    """A trained regression."""

    answer: Callable[[Sequence[str]], Sequence[int]]
    """The class of each text."""
    seconds: float
    """Of training."""
    shares: Callable[[Sequence[str]], np.ndarray]
    """The probability of each class, (texts, c)."""

    def accuracy(self, split: Split) -> float:
        """Return the share of texts that are answered right."""
        return float(np.mean(np.asarray(self.answer(split.texts)) == split.labels))


def tfidf(train: Split) -> Rival:
    """Train logistic regression on the TF-IDF of words and pairs of words.

    With several labels a text it is one regression for each label, against the rest.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    start = time.perf_counter()
    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    labels = train.labels if train.targets is None else train.targets.astype(int)
    return _regression(counts.fit_transform(train.texts), labels, counts.transform, start)


def vectors(train: Split, folder: str | Path, kept: dict[str, np.ndarray]) -> Rival:
    """Train logistic regression on frozen vectors of a BERT: the mean of its last layer's tokens.

    Args:
      train: the texts.
      folder: of the BERT.
      kept: vectors by their text; those that it lacks are added.
    """
    start, found = time.perf_counter(), partial(_vectors, folder=folder, kept=kept)
    return _regression(found(train.texts), train.labels, found, start)


def _regression(inputs: Any, labels: Any, of: Callable[[Sequence[str]], Any], start: float) -> Rival:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    model: Any = LogisticRegression(C=10, max_iter=1000)
    if labels.ndim == 2:
        model = OneVsRestClassifier(model)
    model.fit(inputs, labels)
    seconds = time.perf_counter() - start
    return Rival(
        lambda texts: model.predict(of(texts)), seconds, lambda texts: model.predict_proba(of(texts))
    )


def _vectors(texts: Sequence[str], folder: str | Path, kept: dict[str, np.ndarray]) -> np.ndarray:
    new = list(dict.fromkeys(text for text in texts if text not in kept))
    if new:
        kept.update(zip(new, _mean_tokens(new, Path(folder)), strict=True))
    return np.stack([kept[text] for text in texts])


def _mean_tokens(texts: Sequence[str], folder: Path) -> np.ndarray:
    bert = bert_weights.load(folder, 2, nnx.Rngs(0))
    tokens = tokenize(texts, None, Tokenizer.read(folder / "tokenizer.json"), max_length=256)
    found = np.zeros((len(texts), bert.config.hidden_size), np.float32)
    for rows, means in _batches(bert, tokens):
        found[rows[rows >= 0]] = means[rows >= 0]
    return found


def _batches(bert: Bert, tokens: Any) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    for n, many in Plan.of_all(tokens, 64, buckets(tokens.lengths, most=6)):
        for rows in many:
            batch = gather(tokens, rows, n)
            yield rows, np.asarray(_mean(bert, jnp.asarray(batch.ids), jnp.asarray(batch.mask)))


@jax.jit
def _mean(bert: Bert, ids: jax.Array, mask: jax.Array) -> jax.Array:
    return masked_mean(bert.tokens(ids, mask), mask)
