"""What an experiment says of itself, read from its docstring: the question, what to expect, and the price."""

import inspect
from types import ModuleType
from typing import NamedTuple

__all__ = ["About", "about"]


class About(NamedTuple):
    """Three paragraphs of a docstring."""

    question: str
    """The first."""
    price: str
    """That which begins with "Price:": how long it takes, and of what."""
    claim: str
    """That which begins with "To expect"."""


def about(experiment: ModuleType) -> About:
    """Return what an experiment asks, costs and expects; its docstring must say all three."""
    paragraphs = (inspect.getdoc(experiment) or "").split("\n\n")
    found = [
        next((paragraph for paragraph in paragraphs if paragraph.startswith(start)), None)
        for start in ("Price: ", "To expect")
    ]
    if None in found or not paragraphs[0].endswith("?"):
        raise ValueError(
            f"The docstring of {experiment.__name__} must begin with a question, and have a paragraph that"
            ' begins with "Price: " and one that begins with "To expect".'
        )
    return About(paragraphs[0], *map(str, found))
