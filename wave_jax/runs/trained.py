"""A trained network with all that its answers need: tokenizer, classes, and how much of a text it reads."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from wave_jax.data.batches import TokenArrays, tokenize
from wave_jax.data.splits import Split
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.networks.configs import Config
from wave_jax.networks.trace import Network
from wave_jax.runs.settings import Settings
from wave_jax.study.explain import explain
from wave_jax.study.explanation import Explanation, Method
from wave_jax.training.evaluate import Evaluation, evaluate

__all__ = ["Trained", "tokens_of"]


class Trained(NamedTuple):
    """A network with its tokenizer and classes: what a run and a folder give, and what answers."""

    network: Network
    tokenizer: Tokenizer
    classes: Sequence[str]
    """Names of the classes, in the order of the logits."""
    max_length: int
    """Tokens of a text that are read, [CLS] and [SEP] included."""
    threshold: float | None = None
    """With several labels a text, the least probability of a label that holds; None if a text has one."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        network: Network,
        tokenizer: Tokenizer,
        metrics: Mapping[str, Any] | None = None,
    ) -> "Trained":
        """Return a network of a run, with its tokenizer and classes.

        Args:
          settings: those of the run.
          network: the network.
          tokenizer: the tokenizer of the run.
          metrics: numbers of the run, which know what was chosen on its validation texts: the temperature
            that logits are divided by, and the threshold of several labels, 0.5 if it was not.
        """
        several, chosen = settings.training.labels == "several", metrics or {}
        threshold = float(chosen.get("threshold", 0.5)) if several else None
        network = _tempered(network, chosen.get("temperature"))
        return cls(network, tokenizer, settings.classes, settings.max_length, threshold)

    def tokens(self, split: Split, cache: str | os.PathLike[str] | None = None) -> TokenArrays:
        """Tokenize a split as the network reads it, from the folder `cache` if it is there already."""
        return tokens_of(split, self.network.config, self.tokenizer, self.max_length, cache)

    def evaluate(self, split: Split) -> Evaluation:
        """Compute loss, accuracy and confusion over the labelled texts of a split."""
        return evaluate(self.network, self.tokens(split), threshold=self.threshold)

    def explain(self, text: str, label: str | None = None, method: Method = "leave_one_out") -> Explanation:
        """Explain what each token of a text adds to a class; to the likeliest one if no label is given."""
        classes = tuple(self.classes)
        if label is not None and label not in classes:
            raise ValueError(f"label must be one of {', '.join(classes)}, got {label!r}.")
        return explain(
            self.network,
            self.tokenizer,
            text,
            classes,
            label=None if label is None else classes.index(label),
            method=method,
            max_length=self.max_length,
            threshold=self.threshold,
        )


def tokens_of(
    split: Split,
    network: Config,
    tokenizer: Tokenizer,
    max_length: int,
    cache: str | os.PathLike[str] | None = None,
) -> TokenArrays:
    """Tokenize a split as a network of these settings reads it.

    Args:
      split: the texts.
      network: settings of the network, which need not be there yet.
      tokenizer: its tokenizer.
      max_length: tokens of a text that it reads.
      cache: folder where the tokens are, or are put; none if not given.
    """
    by_sentence = getattr(network, "levels", "input") == "sentence"
    tokens = tokenize(split.texts, split.labels, tokenizer, max_length, cache, by_sentence)
    return tokens._replace(targets=split.targets)


def _tempered(network: Network, temperature: float | None) -> Network:
    """Divide the logits of a network by a temperature: the classifier is linear, so by its parameters."""
    if temperature is None:
        return network
    tempered = jax.tree.map(lambda x: x, network)
    for name in ("kernel", "bias"):
        parameter = getattr(network.classifier, name)
        setattr(tempered.classifier, name, type(parameter)(parameter[...] / temperature))
    return tempered
