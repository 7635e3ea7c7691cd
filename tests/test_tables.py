"""Tables: what is shown can be read back, and no cell can break out of its place."""

import csv as standard
import io
import re
from typing import NamedTuple
from unicodedata import combining, east_asian_width

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wave_jax.tables import csv, markdown, number, plain

NASTY = 'a|b, "c" <script>x</script>\n*d* `e|f` \\ _g_ \x1b[31m 日本 🌊 [h](i) é'


class Row(NamedTuple):
    model: str
    accuracy: float


@pytest.mark.parametrize("make", [np.float32, np.float64, jnp.float32])
def test_a_number_reads_the_same_from_python_numpy_and_jax(make):
    assert number(make(0.25)) == number(0.25) == "0.2500"
    assert number(np.int64(12_345)) == number(jnp.int32(12_345)) == "12,345"
    assert number(np.bool_(True)) == "yes"


@given(st.floats(-1e300, 1e300))
def test_a_number_is_written_to_three_digits_at_least(x):
    written = float(number(x).replace(",", ""))
    assert abs(written - x) <= 0.5e-2 * abs(x)


def test_rows_may_be_dicts_or_tuples_with_names_and_lack_cells():
    rows = [Row("wave", 0.5), {"model": "bag", "seconds": 3}]
    want = "| model | accuracy | seconds |\n| --- | ---: | ---: |\n| wave | 0.5000 |  |\n| bag |  | 3 |"
    assert markdown(rows) == want
    assert csv(rows) == "model,accuracy,seconds\nwave,0.5,\nbag,,3\n"


@pytest.mark.parametrize("form", [markdown, csv, plain])
def test_no_rows_are_no_table(form):
    assert form([]) == ""


def test_csv_is_read_back_as_it_was():
    rows = [{NASTY: NASTY, "x": np.float32(0.1)}, {NASTY: "", "x": 1e-300}]
    back = list(standard.DictReader(io.StringIO(csv(rows), newline="")))
    assert [row[NASTY] for row in back] == [NASTY, ""]
    assert [float(row["x"]) for row in back] == [row["x"] for row in rows]


def test_markdown_cells_stay_in_their_places():
    head, rule, line = markdown([{"text": NASTY, "n": 1}]).splitlines()
    assert rule == "| --- | ---: |"
    bare = re.sub(r"\\.", "", line).replace("`e", "").replace("f`", "")
    assert bare.count("|") == head.count("|") == 3
    assert not set("<*_[]`\\") & set(bare)
    assert markdown([{"`encode`": "`a_b <c>` x_y"}]).splitlines()[::2] == [
        "| `encode` |",
        "| `a_b <c>` x_y |",
    ]


@given(
    st.lists(st.tuples(st.text(max_size=200), st.text(max_size=200), st.integers()), min_size=1, max_size=4)
)
def test_a_terminal_of_80_columns_is_enough(cells):
    rows = [dict(zip(("text", "other", "n"), line, strict=True)) for line in cells]
    lines = plain(rows).split("\n")
    assert len(lines) == len(rows) + 2
    assert all(line.isprintable() and shown(line) <= 80 for line in lines)


def shown(line):
    return sum(not combining(c) for c in line) + sum(east_asian_width(c) in "WF" for c in line)


def test_wide_characters_keep_columns_aligned():
    lines = plain([{"text": "日本語" * 20, "n": 1}, {"text": "e\u0301" * 3, "n": 22}], width=20).split("\n")
    assert lines[2] == "日本語日本語日…    1"
    assert lines[3] == "e\u0301e\u0301e\u0301" + 15 * " " + "22"


def test_numbers_are_never_cut():
    assert "25,807,108" in plain([{"name": "x" * 50, "parameters": 25_807_108}], width=20)
