"""Pages that fetch nothing: parts in their places, and a policy of exactly this style and script."""

import base64
import hashlib

import pytest

from wave_jax import web


def test_a_part_may_hold_what_looks_like_a_place():
    assert web.filled("{a} {b}", {"a": "{b} \\1", "b": "ü"}) == "{b} \\1 ü".encode()


def test_a_place_without_a_part_is_noticed():
    with pytest.raises(KeyError, match="b"):
        web.filled("{a} {b}", {"a": ""})


def test_a_policy_allows_this_style_and_this_script_alone():
    policy = web.policy("p { color: red }", "1 + 1")
    for kind, part in (("style", b"p { color: red }"), ("script", b"1 + 1")):
        digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
