"""A text before it is tokens: HTML and feed debris cleaned away, and where its sentences end."""

import html
import re
from functools import lru_cache
from itertools import pairwise

__all__ = ["DEBRIS", "clean", "clean_with_spans", "sentences"]

# A tag only where the name is one of HTML's: <Bush> and the ticker <GOOG.O> are text. News feeds hold tags
# whose brackets are entities themselves, and entities that have lost their ampersand (#39;). Each branch
# starts with a character of its own, which lets `re` skip to the next candidate.
_TAG = (
    r"/?(?:abbr|a|big|blockquote|br|b|center|cite|code|div|em|font|h[1-6]|hr|img|i|li|nobr|ol|pre|p|small|span"
    r"|strike|strong|sub|sup|s|table|tbody|td|th|tr|tt|ul|u)(?=[\s/>&])(?:(?!&[lg]t;)[^<>])*(?:>|&gt;)"
)
_NUMBER = r"#(?:x[0-9a-f]{1,6}|[0-9]{1,7});"
DEBRIS = re.compile(
    rf"<{_TAG}|&lt;{_TAG}|&(?:amp;)*({_NUMBER}|[a-z][a-z0-9]{{1,31}};)|({_NUMBER})|\\", re.IGNORECASE
)
# Never tried inside of a row of marks, and never backtracking: linear also in 100,000 dots.
_SENTENCE = re.compile(
    r"[.!?…。！？](?:(?<=[。！？])[。！？]*+[”’」』]*+|(?<![.!?…].)(?<!\b[a-z].)"
    r"(?<!\b(?:mr|ms|dr|st|vs|jr|sr|co).)(?<!\b(?:corp|sept|prof).)"
    r"(?<!\b(?:mrs|inc|ltd|gen|sen|rep|gov|jan|feb|aug|sep|oct|nov|dec).)"
    r"[.!?…]*+[\"'”’)\]]*+(?=\s))",
    re.IGNORECASE,
)


def _replacement(match: re.Match[str]) -> str:
    entity = match[1] or match[2]
    return _character(entity) if entity else " "


@lru_cache(1024)
def _character(entity: str) -> str:
    return html.unescape("&" + entity)


def clean(text: str) -> str:
    r"""Read HTML entities, and replace HTML tags and backslashes by a space.

    >>> clean(r"Wal-Mart#39;s next\month: &lt;b&gt;up&lt;/b&gt; 5 &amp;amp; rising<br />&lt;WMT.N&gt;")
    "Wal-Mart's next month:  up  5 & rising <WMT.N>"
    """
    if not ("<" in text or "&" in text or "#" in text):  # with which all debris but a backslash begins
        return text.replace("\\", " ")
    return DEBRIS.sub(_replacement, text)


def clean_with_spans(text: str) -> tuple[str, list[int], list[int]]:
    """Return `clean(text)`, and for each of its characters where in the text it begins and ends."""
    parts, begin, end, at = [], [], [], 0
    for match in DEBRIS.finditer(text):
        new = _replacement(match)
        parts += [text[at : match.start()], new]
        begin += [*range(at, match.start()), *[match.start()] * len(new)]
        end += [*range(at + 1, match.start() + 1), *[match.end()] * len(new)]
        at = match.end()
    rest = range(at, len(text))
    return "".join([*parts, text[at:]]), [*begin, *rest], [*end, *(i + 1 for i in rest)]


def sentences(text: str) -> list[str]:
    """Split a text into sentences, which joined give the text again.

    A sentence ends with . ! or ? before white space, except after a single letter or a common abbreviation,
    and with 。！？ anywhere.

    >>> sentences("Mr. Ho left the U.S. today. Why? He won't say.")
    ['Mr. Ho left the U.S. today.', ' Why?', " He won't say."]
    """
    cuts = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]
