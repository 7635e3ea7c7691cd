"""What every token of a text adds to an answer, as a value and as a page without scripts."""

import math
import re
from dataclasses import dataclass
from html import escape
from typing import Literal, NamedTuple

import numpy as np

from wave_jax.tables import number

__all__ = ["Explanation", "Method", "TokenScore"]

Method = Literal["leave_one_out", "gradient_x_input", "integrated_gradients"]


class TokenScore(NamedTuple):
    """What one token adds to the logit of the explained class; text[start:end] is its part of the text."""

    token: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """A text, a network's answer, and what every token adds to the logit of one class."""

    text: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    label: int
    """The class that is explained."""
    tokens: tuple[TokenScore, ...]
    """[CLS] and [SEP] among them."""
    method: Method
    read: int
    """How many characters were read; behind them the text was cut off."""
    error: float | None = None
    """Of integrated gradients: the sum of the scores minus what it should be."""
    threshold: float | None = None
    """With several labels a text, the least probability of a label that is answered."""

    @property
    def answers(self) -> list[int]:
        """The classes that are answered, the likeliest first: one, or those above the threshold."""
        if self.threshold is None:
            return [self.answer]
        ranked = sorted(range(len(self.classes)), key=lambda i: -self.probabilities[i])
        return [i for i in ranked if self.probabilities[i] >= self.threshold]

    @property
    def answer(self) -> int:
        """The likeliest class."""
        return int(np.argmax(self.probabilities))

    def strongest(self, most: int = 8) -> list[TokenScore]:
        """Return the tokens of largest score, for or against the class; none whose score is 0."""
        ranked = sorted(self.tokens, key=lambda token: -abs(token.score))
        return [token for token in ranked[:most] if token.score]

    def __repr__(self) -> str:
        first = self.strongest(4)
        words = ", ".join(f"{token.token} {_signed(token.score, abs(first[0].score))}" for token in first)
        share = number(self.probabilities[self.label])
        return f"Explanation({self.classes[self.label]!r} {share}, {len(self.tokens)} tokens: {words})"

    def _repr_html_(self) -> str:
        return f"<style>{_STYLE}</style>\n{_body(self)}"

    def page(self) -> str:
        """Write a whole HTML page: nothing is fetched for it and nothing in it runs."""
        title = f"Why {self.classes[self.label]}?"
        return _PAGE.format(title=_safe(title), style=_STYLE, body=_body(self))


# Half-transparent, so that the text keeps its own colour on a light ground and on a dark one. What speaks
# against the class differs by its dashed line too, for print and for those who cannot see the colours.
_STYLE = """
.wj { font: 16px/1.6 system-ui, sans-serif; max-width: 46rem }
.wj .text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; line-height: 2 }
.wj .for, .wj .against { padding: .1em 0; border-bottom: 3px solid; print-color-adjust: exact;
  -webkit-print-color-adjust: exact }
.wj .for { background: rgba(0, 114, 178, var(--s)); border-color: rgba(0, 114, 178, calc(.3 + var(--s))) }
.wj .against { background: rgba(213, 94, 0, var(--s)); border-bottom-style: dashed;
  border-color: rgba(213, 94, 0, calc(.3 + var(--s))) }
.wj .unread { opacity: .55; text-decoration: line-through }
.wj .small { font-size: .85em; opacity: .85 }
.wj .tables { display: flex; flex-wrap: wrap; gap: 1em 4em; align-items: start }
.wj table { border-collapse: collapse; margin: .5em 0 }
.wj caption { text-align: left; font-weight: 600; padding-bottom: .3em }
.wj th, .wj td { text-align: left; padding: .15em 1.2em .15em 0; font-weight: 400; background: none }
.wj .n { text-align: right; font-variant-numeric: tabular-nums }
.wj .token { font-family: ui-monospace, monospace }
.wj .bar { display: inline-block; height: .7em; background: currentColor; opacity: .55 }
"""


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ margin: 2rem auto; padding: 0 1rem; width: fit-content }}
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


_STRONGEST_SHADE, _FAINTEST = 0.5, 0.05  # opacity of the strongest token; share of it that is still shown


_MOST_CLASSES = 5


_LONE = re.compile("[\ud800-\udfff\0]")  # what no page can hold


def _body(explanation: Explanation) -> str:
    label, head = _safe(explanation.classes[explanation.label]), _answer(explanation)
    if explanation.answers != [explanation.label]:
        head += f" Explained is <strong>{label}</strong>."
    full = max((abs(group[2]) for group in _groups(explanation)), default=0.0)
    legend = (
        f'<span class="for" style="--s:{_STRONGEST_SHADE}">speaks for {label}</span> &ensp; '
        f'<span class="against" style="--s:{_STRONGEST_SHADE}">speaks against it</span> &ensp; '
        f"Full shade is ±{number(full)} in its logit, by {explanation.method.replace('_', ' ')}."
    )
    if explanation.error is not None:
        legend += f" The sum of all scores misses its mark by {_signed(explanation.error, full)}."
    if explanation.read < len(explanation.text):
        legend += " What is struck out was beyond the network's reach, and not read."
    return (
        f'<div class="wj">\n<p>{head}</p>\n<p class="text" dir="auto">{_shaded(explanation, full)}</p>\n'
        f'<p class="small">{legend}</p>\n'
        f'<div class="tables">\n{_classes(explanation)}\n{_tokens(explanation, full)}\n</div>\n</div>'
    )


def _answer(explanation: Explanation) -> str:
    """Write what is answered, with the probability of each class."""
    shown = [
        f"<strong>{_safe(explanation.classes[i])}</strong>, with probability"
        f" {_percent(explanation.probabilities[i])}"
        for i in explanation.answers
    ]
    if explanation.threshold is None:
        return f"The answer is {shown[0]}."
    among = f"among {len(explanation.classes)} classes, each from {_percent(explanation.threshold)} on"
    return f"The answers are {'; '.join(shown) if shown else 'none'} ({among})."


def _groups(explanation: Explanation) -> list[tuple[int, int, float]]:
    """Return spans and scores of tokens with characters; tokens of one character (parts of 각) together."""
    groups: list[tuple[int, int, float]] = []
    for _, start, end, score in explanation.tokens:
        if start == end:
            continue
        if groups and start < groups[-1][1]:
            first, last, others = groups.pop()
            start, end, score = first, max(last, end), others + score
        groups.append((start, end, score))
    return groups


def _shaded(explanation: Explanation, full: float) -> str:
    """Write the whole text, with what lies between tokens and what was not read."""
    text, at, parts = explanation.text, 0, []
    for start, end, score in _groups(explanation):
        word, share = _safe(text[start:end]), abs(score) / full if full else 0.0
        if share >= _FAINTEST:
            kind = "for" if score > 0 else "against"
            shade = f"--s:{_STRONGEST_SHADE * share:.3f}"
            word = f'<span class="{kind}" style="{shade}" title="{_signed(score, full)}">{word}</span>'
        parts += [_safe(text[at:start]), word]
        at = end
    parts.append(_safe(text[at : explanation.read]))
    if explanation.read < len(text):
        parts.append(f'<span class="unread">{_safe(text[explanation.read :])}</span>')
    return "".join(parts)


def _classes(explanation: Explanation) -> str:
    ranked = sorted(range(len(explanation.classes)), key=lambda i: -explanation.probabilities[i])
    shown = [i for k, i in enumerate(ranked) if k < _MOST_CLASSES or i == explanation.label]
    names = [_safe(name) for name in explanation.classes]
    names[explanation.label] = f"<strong>{names[explanation.label]}</strong>"
    rows = [
        f'<tr><td>{names[i]}</td><td class="n">{_percent(explanation.probabilities[i])}</td>'
        f'<td><span class="bar" style="width:{6 * explanation.probabilities[i]:.2f}em"></span></td></tr>'
        for i in shown
    ]
    if len(shown) < len(ranked):
        rows.append(f'<tr><td colspan="3" class="small">and {len(ranked) - len(shown)} more</td></tr>')
    return f"<table><caption>Probabilities</caption>{''.join(rows)}</table>"


def _tokens(explanation: Explanation, full: float) -> str:
    rows = [
        f'<tr><td class="token">{_word(explanation.text, token)}</td>'
        f'<td class="n">{_signed(token.score, full)}</td>'
        f"<td>{'for' if token.score > 0 else 'against'}</td></tr>"
        for token in explanation.strongest()
    ]
    caption = f"Strongest tokens, in the logit of {_safe(explanation.classes[explanation.label])}"
    return f"<table><caption>{caption}</caption>{''.join(rows)}</table>"


def _word(text: str, token: TokenScore) -> str:
    """Return the word of a token; if it is only represented, as by its look or stem, by what."""
    word = text[token.start : token.end]
    if not word or word.casefold() == token.token.casefold():
        return _safe(word or token.token)
    return f'{_safe(word)} <span class="small">{_safe(token.token)}</span>'


def _safe(text: str) -> str:
    """Escape a text for HTML. A bare carriage return would come back as a line feed."""
    return escape(_LONE.sub("\ufffd", text)).replace("\r", "&#13;")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 5e-4 else "&lt;0.1%"


def _signed(score: float, full: float) -> str:
    """Write a score with its sign, and as many decimals as give the largest score, `full`, three digits.

    >>> _signed(-0.0078, full=0.25)
    '−0.008'
    """
    decimals = max(0, 2 - math.floor(math.log10(full))) if full else 0
    return f"{score:+.{decimals}f}".replace("-", "−")
