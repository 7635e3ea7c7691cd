"""The library's own errors, and the checks and sentences that they share.

Every message is one sentence: what is wrong, where, and what to do about it.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

__all__ = [
    "CheckpointError",
    "DataError",
    "PredictorError",
    "check_choices",
    "check_setting",
    "first_few",
    "one_line",
]


class CheckpointError(Exception):
    """A run folder that cannot be written, read or trusted."""


class DataError(ValueError):
    """Data that cannot be obtained or read."""


class PredictorError(Exception):
    """An exported file that cannot be read or trusted."""


def check_setting(name: str, value: Any, valid: bool, allowed: str) -> None:
    """Raise a ValueError that names a setting, what it allows and what it got, unless it is valid.

    Args:
      name: name of the setting.
      value: what it got.
      valid: whether that is allowed.
      allowed: what is allowed, in words.

    >>> check_setting("epochs", 0, 0 >= 1, "at least 1")
    Traceback (most recent call last):
    ValueError: epochs must be at least 1, got 0.
    """
    if not valid:
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")


def check_choices(settings: Any) -> None:
    """Raise a ValueError if a field of a dataclass holds none of its choices, or a number of another type.

    The annotation is the only place that lists the choices: a `Literal`, beside which it may allow None or a
    function, or numbers and None.
    """
    for name, annotation in get_type_hints(type(settings)).items():
        value, alternatives = getattr(settings, name), (annotation,)
        if get_origin(annotation) is not Literal:
            alternatives = get_args(annotation) or (annotation,)
        if {*alternatives} <= _KINDS.keys():
            fits = any(type(value) in _KINDS[kind][0] for kind in alternatives)
            check_setting(name, value, fits, " or ".join(_KINDS[kind][1] for kind in alternatives))
        for literal in (each for each in alternatives if get_origin(each) is Literal):
            none = type(None) in alternatives
            choices, function = get_args(literal), len(alternatives) > 1 + none
            *others, last = map(str, [*["None"] * none, *choices, *["a function"] * function])
            allowed = f"{', '.join(others)} or {last}" if others else last
            fits = value in choices or (none and value is None) or (function and callable(value))
            check_setting(name, value, fits, allowed)


_KINDS = {
    int: ((int,), "a whole number"),
    float: ((float, int), "a number"),
    bool: ((bool,), "True or False"),
    type(None): ((type(None),), "None"),
}


def first_few(items: Sequence[str]) -> str:
    """Join at most three items, and say how many more there are.

    >>> first_few(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")


def one_line(error: BaseException) -> str:
    """Return an error's type and message on one line of at most about 200 characters.

    >>> one_line(OSError("disk\\nfull"))
    'OSError: disk full'
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
