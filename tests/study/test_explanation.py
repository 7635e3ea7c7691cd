"""An explanation as a page: every character of the text, nothing that runs, readable in grey."""

import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wave_jax.study.explanation import Explanation, TokenScore

CLASSES = ("sea", "<b>land</b>", "air")


NASTY = "A <script>alert(\"1\")</script> & 'b'\r\n<!-- é 🌊\u202e 각\x1b &amp; </p>\n\n  end"


def made(text, spans, *, read=None, label=1, scale=1.0):
    """An explanation of a text whose tokens have these places and scores."""
    tokens = [TokenScore(text[a:b], a, b, scale * score) for a, b, score in spans]
    ends = TokenScore("[CLS]", 0, 0, 0.25 * scale), TokenScore("[SEP]", len(text), len(text), 0.0)
    tokens = (ends[0], *tokens, ends[1])
    probabilities = (0.5, 0.25, 0.25)
    read = len(text) if read is None else read
    return Explanation(text, CLASSES, probabilities, label, tokens, "leave_one_out", read)


class Reader(HTMLParser):
    """What a browser would make of a page: its tags with attributes, and the text of the paragraph .text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.inside = [], "", False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = self.inside or dict(attrs).get("class") == "text"

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "p"

    def handle_data(self, data):
        self.text += data if self.inside else ""

    def spans(self, kind):
        return [attrs for tag, attrs in self.tags if tag == "span" and attrs.get("class") == kind]


texts = st.text(
    st.sampled_from(list("<>&\"'; \t\n\r\\ab/é각🌊-!"))
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=30,
)


@given(
    texts, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.floats(-2, 2)), max_size=6), st.data()
)
def test_a_page_shows_every_character_of_its_text_and_nothing_else(text, spans, data):
    spans = [(min(a, len(text)), min(a + n, len(text)), score) for a, n, score in sorted(spans)]
    read = data.draw(st.integers(max((b for _, b, _ in spans), default=0), len(text)))
    page = made(text, spans, read=read).page()
    page.encode()
    assert Reader(page).text == text
    assert {tag for tag, _ in Reader(page).tags} <= {
        *("html", "head", "meta", "title", "style", "body", "div", "p", "strong", "span"),
        *("table", "caption", "tr", "td"),
    }


def test_what_no_page_can_hold_is_replaced():
    page = made("a\0b\ud800c", [(0, 1, 1.0)]).page()
    page.encode()
    assert Reader(page).text == "a\ufffdb\ufffdc"


def test_for_and_against_differ_without_colour_and_the_strongest_is_darkest():
    page = Reader(made("good bad so", [(0, 4, 2.0), (5, 8, -1.0), (9, 11, 0.001)]).page())
    (_, good), (_, bad) = ((kind, page.spans(kind)) for kind in ("for", "against"))
    assert [len(good), len(bad)] == [2, 2]  # one in the text, one in the legend; "so" says too little
    assert good[0] == {"class": "for", "style": "--s:0.500", "title": "+2.00"}
    assert bad[0] == {"class": "against", "style": "--s:0.250", "title": "−1.00"}
    assert "dashed" in made("", []).page().split("\n.wj .against {")[1].split("}")[0]


def test_tokens_of_one_character_are_shaded_together():
    page = Reader(made("x각y", [(0, 1, 1.0), (1, 2, 0.5), (1, 2, 0.25), (2, 3, -1.0)]).page())
    assert [span["title"] for span in page.spans("for")[:2]] == ["+1.00", "+0.75"]


def test_names_of_classes_are_escaped_and_only_some_of_many_are_shown():
    page = made("a", [(0, 1, 1.0)]).page()
    assert "<b>land" not in page
    assert "&lt;b&gt;land&lt;/b&gt;" in page
    many = Explanation("a", tuple(map(str, range(9))), (0.2, *[0.1] * 8), 8, (), "leave_one_out", 1).page()
    assert "and 3 more" in many
    assert "<strong>8</strong></td>" in many


def test_nothing_is_fetched_and_nothing_runs():
    page = made(NASTY, [(0, 1, 1.0)]).page()
    assert not {
        name for _, attrs in Reader(page).tags for name in attrs if name.startswith(("on", "src", "href"))
    }
    assert "://" not in page
    assert "default-src 'none'" in page


def test_a_notebook_shows_what_the_page_shows():
    explanation = made(NASTY, [(0, 1, 1.0), (2, 10, -0.5)])
    assert Reader(explanation._repr_html_()).text == Reader(explanation.page()).text == NASTY
    assert "<html" not in explanation._repr_html_()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_chromium_shows_the_text_as_it_is_and_runs_nothing(tmp_path):
    text = NASTY.replace("\x1b", "")  # Chromium drops what cannot be shown
    path = tmp_path / "page.html"
    path.write_bytes(made(text, [(2, 10, 1.0), (12, 17, -0.5)], read=60).page().encode())
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    dom = Reader(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode())
    assert dom.text.replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert not {tag for tag, _ in dom.tags} & {"script", "b", "object", "iframe"}
    assert len(dom.spans("for")) == len(dom.spans("against")) == 2
    assert len(dom.spans("unread")) == 1


def test_the_table_says_words_and_what_stands_for_them():
    tokens = TokenScore("[UNK-A]", 0, 5, 1.0), TokenScore("fell", 6, 10, 0.5), TokenScore("[CLS]", 0, 0, 0.25)
    page = Explanation("Aspen Fell", CLASSES, (0.5, 0.25, 0.25), 0, tokens, "leave_one_out", 10).page()
    assert '<td class="token">Aspen <span class="small">[UNK-A]</span></td>' in page
    assert '<td class="token">Fell</td>' in page
    assert '<td class="token">[CLS]</td>' in page
