"""Which word mattered: the scores of one text's tokens, by a method of `attribution`.

    explanation = explain(network, tokenizer, "oil prices fall again", classes, max_length=128)
    explanation.strongest(3)      # the tokens that matter most
    explanation                   # in a notebook: the text, shaded
    explanation.page()            # the same as a file of its own, without scripts

A *score* is in units of the logit of the explained class. Positive speaks for the class, negative against it.
If a token scores +0.7, taking it out divides the odds of the class against all others by about two (e^0.7),
as long as their logits stay the same. What exactly is measured is the method's choice:

- "leave_one_out": the logit lost when the token is masked, exactly. Two words that say the same cover for
  each other, and both score low; the scores of a text add up to nothing in particular.
- "gradient_x_input": the same to first order, from one derivative. Cheap, and blind to what bends.
- "integrated_gradients": the derivative gathered on the straight way from no input at all to the text; the
  scores add up to the logit it gained, up to `Explanation.error`.

A word that is left out takes its stems and pairs with it. Of the other methods' scores a word gets its stems'
and half of a pair's; all of it if the pair's other token is [CLS] or [SEP].
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from wave_jax.data import batches
from wave_jax.data.batches import Batch
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.errors import check_setting
from wave_jax.networks.trace import Network
from wave_jax.study import attribution
from wave_jax.study.explanation import Explanation, Method, TokenScore
from wave_jax.training.evaluate import probabilities

__all__ = ["explain"]


def explain(
    network: Network,
    tokenizer: Tokenizer,
    text: str,
    classes: Sequence[str],
    *,
    label: int | None = None,
    method: Method = "leave_one_out",
    max_length: int,
    threshold: float | None = None,
) -> Explanation:
    """Score every token of a text by what it adds to the logit of a class.

    Args:
      network: any network of the library.
      tokenizer: the tokenizer that the network was trained with.
      text: the text.
      classes: names of the network's classes.
      label: number of the class to explain; the likeliest one if not given.
      method: how to score.
      max_length: tokens that are read, [CLS] and [SEP] included.
      threshold: with several labels a text, the least probability of a label that is answered.
    """
    check_setting("method", method, method in get_args(Method), f"one of {', '.join(get_args(Method))}")
    c = network.classifier.out_features
    check_setting("classes", classes, len(classes) == c, f"the names of the network's {c} classes")
    check_setting("label", label, label is None or 0 <= label < c, f"None or in 0..{c - 1}")
    split = batches.tokenize([text], [-1 if label is None else label], tokenizer, max_length, segments=True)
    whole = tokenizer.explain(text, 2**16)
    whole = whole[: 1 + [piece.id for piece in whole].index(tokenizer.sep_id)]
    words = [*whole[: min(max_length, len(whole)) - 1], whole[-1]]  # [SEP] ends a text that is cut, too
    # Padding changes nothing, and texts of similar length share one compiled program.
    n = min(tokenizer.longest(max_length), max(8, 1 << (len(split.ids) - 1).bit_length()))
    batch = batches.gather(split, np.array([0]), n)
    more = len(split.ids) > len(words)
    shares = _shares(tokenizer, np.asarray(split.ids), len(words), n) if more else None
    logits, label_, scores, error = jax.device_get(_explain(network, jax.device_put(batch), shares, method))
    scores = scores[: len(words)].tolist()
    return Explanation(
        text,
        tuple(map(str, classes)),
        tuple(probabilities(logits, threshold is not None).tolist()),
        int(label_),
        tuple(TokenScore(*word[1:], score) for word, score in zip(words, scores, strict=True)),
        method,
        words[-2].end if len(words) < len(whole) else len(text),
        None if error is None else float(error),
        threshold,
    )


def _shares(tokenizer: Tokenizer, ids: np.ndarray, words: int, n: int) -> np.ndarray:
    """Return how much of token k belongs to word j, as (n, n).

    A word and its stems belong to the word, half of a pair to each of its two words; all of it if the other
    token is [CLS] or [SEP].
    """
    found = tokenizer.appended(ids[:words], np.array([0, words]))
    first, last = (np.concatenate([getattr(each, end) for each in found]) for end in ("first", "last"))
    shares, more = np.eye(n, dtype=np.float32), words + np.arange(len(first))
    shares[more] = 0
    ends = np.isin(np.arange(n), (0, words - 1))
    for word, other in ((first, last), (last, first)):
        shares[word, more] = np.where(ends[other] | (word == other), 1.0, 0.5) * ~ends[word]
    return shares


@partial(jax.jit, static_argnames="method")
def _explain(network: Network, batch: Batch, shares: Any, method: Method) -> tuple[Any, ...]:
    """Compute logits, explained class, scores and error of the one text of a batch."""
    logits = network(batch.ids, batch.mask, batch.segments)
    batch = batch._replace(labels=jnp.where(batch.labels < 0, jnp.argmax(logits, axis=-1), batch.labels))
    if shares is not None and method == "leave_one_out":  # its stems and pairs go with a word
        scores, error = attribution.leave_out(network, batch, (shares > 0)[None])[0], None
    else:
        result = getattr(attribution, method)(network, batch)
        scores, error = result if isinstance(result, attribution.Integrated) else (result, None)
        scores, error = scores[0], None if error is None else error[0]
        scores = scores if shares is None else shares @ scores
    return logits[0], batch.labels[0], scores, error
