"""Show the doctests of docstrings as code: an extension of Griffe, which reads them for the API pages."""

import re
from typing import Any

import griffe

# From a line that begins with >>> to the next empty line, or to the end.
EXAMPLE = re.compile(r"^(?:>>> .*)(?:\n.+)*", re.MULTILINE)


def fenced(text: str) -> str:
    """Put each doctest of a docstring between fences."""
    return EXAMPLE.sub(lambda example: f"\n```pycon\n{example[0]}\n```", text)


class Examples(griffe.Extension):
    """Fence the doctests of every object that Griffe loads."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
