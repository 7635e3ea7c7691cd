"""Every kind of network has one name and one class of settings."""

import pytest
from tiny import CONFIGS

from wave_jax.networks.kinds import KINDS, check_kind, kind_of


def test_a_kind_is_known_by_its_settings():
    kinds = {name: kind_of(config) for name, config in CONFIGS.items()}
    assert (kinds["modulation"], kinds["Transformer"], kinds["bag"]) == ("wave", "transformer", "bag")
    assert kinds["BERT"] == "bert"
    assert set(kinds.values()) == set(KINDS)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    check_kind("bag")
    with pytest.raises(
        ValueError, match=r"^model must be one of wave, transformer, bag, bert, got 'tree'\.$"
    ):
        check_kind("tree")
