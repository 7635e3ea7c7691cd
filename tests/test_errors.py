"""Checks of settings, and what an error says on one line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from wave_jax.errors import check_choices, check_setting, first_few, one_line


@dataclass
class Settings:
    size: int = 1
    schedule: Literal["constant", "cosine"] = "constant"
    dtype: Literal["float32"] = "float32"
    rate: float = 1.0
    clip: float | None = None
    last: bool = False
    place: Path | None = None


def test_a_setting_says_what_it_allows_and_what_it_got():
    check_setting("d", 3, True, "at least 1")
    with pytest.raises(ValueError, match=r"^d must be at least 1, got 0\.$"):
        check_setting("d", 0, False, "at least 1")


def test_each_literal_field_is_held_to_its_choices():
    check_choices(Settings())
    with pytest.raises(ValueError, match=r"^schedule must be constant or cosine, got 'linear'\.$"):
        check_choices(Settings(schedule="linear"))  # pyright: ignore
    with pytest.raises(ValueError, match=r"^dtype must be float32, got None\.$"):
        check_choices(Settings(dtype=None))  # pyright: ignore


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("size", 1.5, "size must be a whole number, got 1.5."),
        ("size", True, "size must be a whole number, got True."),
        ("rate", "1", "rate must be a number, got '1'."),
        ("clip", "1", "clip must be a number or None, got '1'."),
        ("last", 1, "last must be True or False, got 1."),
    ],
)
def test_a_number_of_another_type_is_refused(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_choices(Settings(**{name: value}))
    check_choices(Settings(rate=1, clip=2, last=True, place=Path("a")))


def test_a_long_list_is_cut_and_counted():
    assert first_few([]) == ""
    assert first_few(["a", "b", "c"]) == "a, b, c"
    assert first_few(["a", "b", "c", "d"]) == "a, b, c and 1 more"


def test_an_error_becomes_one_short_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert len(one_line(ValueError("x" * 999))) < 220
