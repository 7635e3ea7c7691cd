"""A page that answers by itself: an exported file and the scripts that read it, as one HTML file.

    export.save("news.html", trained, dtype="int8")         # a page, because of its name

The scripts are plain JavaScript in `browser/`; docs/page.md shows what the page can do. It fetches nothing
and stores nothing, and its Content-Security-Policy allows this script and this style alone.
"""

import base64
import html
import json
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from html.entities import html5
from pathlib import Path
from typing import Any

from wave_jax import web
from wave_jax.data.cleaning import DEBRIS
from wave_jax.data.vocabulary import Rules

__all__ = ["SCRIPTS", "characters", "script", "write"]

# In the order that they are read.
SCRIPTS = (
    *("cleaning", "tokenizer", "file", "predictor", "study"),
    *("reading", "answer", "waves", "picture", "dimension", "backwards", "page"),
)
_FOLDER = Path(__file__).parent / "browser"
_TOGETHER = 4096  # characters that the library is asked about at once
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # \s, within a class
_NOT_CHARACTERS = (
    *range(0xFDD0, 0xFDF0),
    *(plane + end for plane in range(0, 2**20 + 1, 2**16) for end in (65534, 65535)),
)


def write(raw: bytes, rules: Rules, text: str = "") -> bytes:
    """Return the page of an exported file.

    Args:
      raw: the bytes of the file.
      rules: the rules of its tokenizer.
      text: the text that the page opens with.
    """
    style, program = _read("page.css"), script()
    start = {"characters": characters(rules), "text": text}
    parts = {
        "style": style,
        "script": program,
        "policy": web.policy(style, program),
        "start": base64.b64encode(zlib.compress(json.dumps(start).encode(), 9)).decode(),
        "file": base64.b64encode(raw).decode(),
    }
    return web.filled(_read("page.html"), parts)


def script() -> str:
    """Return all scripts as one."""
    return "\n".join(['"use strict";', *(_read(f"{name}.js") for name in SCRIPTS)])


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


# --- what the rules do to characters ------------------------------------------------------------------------


@lru_cache(4)
def characters(rules: Rules) -> dict[str, Any]:
    """Ask the library what these rules do to every character, in the form that `tokenizer.js` reads.

    Browsers, Python and the library know different versions of Unicode. So nothing is looked up in a table:
    the normalizer and the splitter are applied to each character.
    """
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    changed = {char: form for char, form in zip(every, _normal(every, rules), strict=True) if form != char}
    gone = [char for char, form in changed.items() if not form]
    spaced = [char for char, form in changed.items() if form == f" {char} "]
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4)]
    hangul = all(changed.get(char) == unicodedata.normalize("NFD", char) for char in syllables)
    known = {*gone, *spaced, *(syllables if hangul else ())}
    forms = {char: form for char, form in changed.items() if char not in known}
    order = _order([char for char in every if char not in changed], rules)
    space, marks = _apart(every, rules)
    looks = {"letters": str.isalpha, "capitals": str.isupper, "digits": str.isdigit}
    return {
        "gone": _ranges(gone),
        "spaced": _ranges(spaced),
        "hangul": hangul,
        "forms": ["".join(forms), [*forms.values()]],
        "order": ["".join(order), [*order.values()]],
        "bars": _ranges(_bars(gone, order, rules)),
        "space": _ranges(space),
        "marks": _ranges(marks),
        **{name: _ranges(filter(holds, every if rules.looks else "")) for name, holds in looks.items()},
        "debris": _javascript(DEBRIS.pattern),
        "entities": _entities() if rules.clean else {},
    }


def _normal(texts: Sequence[str], rules: Rules) -> Iterator[str]:
    """Yield what the normalizer makes of each of these texts."""
    normal = rules.normalizer().normalize_str
    for i in range(0, len(texts), _TOGETHER):
        some = texts[i : i + _TOGETHER]
        together = normal("|".join(some)).split("|")
        yield from together if len(together) == len(some) else map(normal, some)  # a text is the bar itself


def _order(kept: Iterable[str], rules: Rules) -> dict[str, int]:
    """Rank the combining characters that are kept by the order that a row of them is brought into, from 1."""
    combining = [char for char in kept if unicodedata.combining(char)]
    probes = [*{unicodedata.combining(char): char for char in combining}.values()]
    normal = rules.normalizer().normalize_str

    def behind(char: str) -> int:
        return sum(char != probe and normal(char + probe) == probe + char for probe in probes)

    return {char: 1 + behind(char) for char in combining}


def _bars(gone: Sequence[str], order: Mapping[str, int], rules: Rules) -> list[str]:
    """Return the characters that disappear after they have kept those around them from changing places."""
    if len(set(order.values())) < 2:
        return []
    low, high = min(order, key=order.__getitem__), max(order, key=order.__getitem__)
    around = _normal([f"{high}{char}{low}" for char in gone], rules)
    return [char for char, form in zip(gone, around, strict=True) if form == high + low]


def _apart(every: Sequence[str], rules: Rules) -> tuple[list[str], list[str]]:
    """Return the characters that are white space between words, and those that are words of their own."""
    split = rules.splitter().pre_tokenize_str
    space, marks = [], []
    for i in range(0, len(every), _TOGETHER):
        some = every[i : i + _TOGETHER]
        found = split("".join(f"a{char}" for char in some))  # character j is at 2j + 1
        inside = {place for _, (first, last) in found for place in range(first, last)}
        space += [char for j, char in enumerate(some) if 2 * j + 1 not in inside]
        marks += [some[first // 2] for _, (first, last) in found if last - first == 1 and first % 2]
    return space, marks


def _javascript(pattern: str) -> str:
    """Translate a pattern of Python that ignores case: its white space, and what it takes for an i.

    >>> _javascript("<i")
    '<[iıİ]'
    """
    return pattern.replace("a-z", "a-zıİ").replace("i", "[iıİ]").replace(r"\s", _SPACE)


def _entities() -> dict[str, str]:
    """Return what HTML's entities stand for, by name, and by number if it is another character than that."""
    odd = {f"#{code}": html.unescape(f"&#{code};") for code in (*range(256), *_NOT_CHARACTERS)}
    return html5 | {name: char for name, char in odd.items() if char != chr(int(name[1:]))}


def _ranges(chars: Iterable[str]) -> list[int]:
    """Return the first and the last code of each range of characters in rising order.

    >>> _ranges("abcx")
    [97, 99, 120, 120]
    """
    ranges: list[int] = []
    for code in map(ord, chars):
        if ranges and ranges[-1] == code - 1:
            ranges[-1] = code
        else:
            ranges += [code, code]
    return ranges
