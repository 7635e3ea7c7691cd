"""Checks of texts and lengths, and sentences cut to a length."""

import pytest
from conftest import unchecked

from wave_jax.data.tokens import check_length, check_texts, with_ends


def test_texts_must_be_a_sequence_of_strings():
    check_texts(["a", ""])
    with unchecked(), pytest.raises(TypeError, match="sequence of texts, got a single one: put it in a list"):
        check_texts("a")
    with unchecked(), pytest.raises(TypeError, match=r"texts\[1\] must be str, got int: 3"):
        check_texts(["a", 3])


@pytest.mark.parametrize("length", [2, 2**16 + 1])
def test_a_length_has_a_range(length):
    with pytest.raises(ValueError, match=f"max_length must be 3 to 65,536 tokens, .* got {length}"):
        check_length(length)


@pytest.mark.parametrize(("sizes", "room"), [([3, 2, 5], 4), ([3, 2, 5], 10), ([], 4), ([7], 3)])
def test_cut_sentences_hold_what_fits_and_both_ends(sizes, room):
    assert sum(with_ends(sizes, room)) == min(sum(sizes), room) + 2
