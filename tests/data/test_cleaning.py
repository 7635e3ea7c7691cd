"""Cleaning, its way back to the original text, and sentences."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.data.cleaning import clean, clean_with_spans, sentences

DEBRIS = st.sampled_from(
    ["#39;", "&amp;", "&lt;b&gt;", "<br />", "\\", "&quot;", "#x2014;", "&", "<", ">", "&bogus;", "#1;", ";"]
)
DIRTY = st.lists(st.text(max_size=4) | DEBRIS).map("".join)


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("Oracle Corp.#39;s", "Oracle Corp.'s"),
        ("AT&amp;T &amp;amp; Co &#38; #038; so", "AT&T & Co & & so"),
        ("a #151; dash, an #x2014; dash", "a — dash, an — dash"),
        ("&quot;hi&quot; &eacute;t&eacute;", '"hi" été'),
        ("next\\month \\$5 \\\\", "next month  $5   "),
        ("good<br /><br />bad<BR>end", "good  bad end"),
        ('&lt;A HREF="http://x.y/z?a=1&amp;b=2"&gt;Ford&lt;/A&gt;', " Ford "),
        ("&lt;h1&gt;Up&lt;/h1&gt;<IMG src='a.png'/>", " Up  "),
        ("Google (&lt;GOOG.O&gt;) <Bush> <grin> a < b > c", "Google (<GOOG.O>) <Bush> <grin> a < b > c"),
        ("5 < 6 & 7 #8 &; &bogus; 100% R&D", "5 < 6 & 7 #8 &; &bogus; 100% R&D"),
        ("", ""),
    ],
)
def test_debris(dirty, cleaned):
    assert clean(dirty) == cleaned


@settings(deadline=None)
@given(DIRTY)
def test_spans_lead_back(text):
    cleaned, begin, end = clean_with_spans(text)
    assert cleaned == clean(text)
    assert len(cleaned) == len(begin) == len(end)
    assert begin == sorted(begin)
    assert end == sorted(end)
    for char, a, b in zip(cleaned, begin, end, strict=True):
        assert 0 <= a < b <= len(text)
        if b - a == 1 and text[a] != "\\":
            assert char == text[a]
        else:
            assert char in clean(text[a:b])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ("He said 'go.' Then (she did.) Yes", 3),
        ("The U.S. and J. Smith of Acme Inc. met Mr. Li on Jan. 5 vs. St. Paul.", 1),
        ("a great film . a bad one !", 2),
        ("3.5 percent of yahoo.com", 1),
        ("Well... maybe?! Yes", 3),
        ("他来了。真的吗？！是", 3),
        ("line one.\nline two.\r\n", 3),
        ("", 0),
        ("...", 1),
    ],
)
def test_sentences(text, count):
    assert len(sentences(text)) == count
    assert "".join(sentences(text)) == text


@settings(deadline=None)
@given(st.text() | st.text(alphabet=".!? 。a\"'"))
def test_sentences_join_to_the_text(text):
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(parts)


@pytest.mark.parametrize("unit", [".", ". ", ".)", "<a ", "&lt;a ", "amp;", "&amp;", "#", "\\", "a.", "!。"])
def test_long_texts_take_linear_time(unit):
    text = "&" + unit * (100_000 // len(unit))
    start = time.process_time()
    clean(text)
    sentences(text)
    assert time.process_time() - start < 10  # a quadratic pattern takes a minute
