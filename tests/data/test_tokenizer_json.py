"""Vocabularies come back from their files as they were."""

import json

import pytest

from wave_jax.data.tokenizer_json import dump_json, parse_json, parse_lines
from wave_jax.data.vocabulary import SPECIAL, Rules


@pytest.mark.parametrize("clean", [False, True])
def test_json_round_trip(clean):
    rules = Rules(clean=clean, lowercase=False, strip_accents=True, max_input_chars_per_word=50)
    vocabulary = {token: 3 * row for row, token in enumerate([*SPECIAL, "low", "\u2028", '"'])}
    content = dump_json(vocabulary, rules)
    *same, pairs = parse_json(content)
    assert same == [vocabulary, rules]
    assert not len(pairs)
    assert ("wave_jax" in json.loads(content)) == clean


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("normalizer", "clean_text", 0.5),
        ("normalizer", "strip_accents", 1),
        ("normalizer", "lowercase", None),
        ("model", "max_input_chars_per_word", True),
        ("model", "max_input_chars_per_word", "9"),
    ],
)
def test_rules_of_another_type_are_refused(part, name, value):
    parts = json.loads(dump_json({token: row for row, token in enumerate(SPECIAL)}, Rules()))
    parts[part][name] = value
    with pytest.raises(ValueError, match=f"its rule {name} is {value!r}, which it cannot be"):
        parse_json(json.dumps(parts))


def test_deep_json_is_refused():
    with pytest.raises(ValueError, match="RecursionError"):
        parse_json("[" * 100_000)


def test_lines():
    vocabulary, rules = parse_lines("[PAD]\r\n[UNK]\nlow\n\x85\n")
    assert vocabulary == {"[PAD]": 0, "[UNK]": 1, "low": 2, "\x85": 3}
    assert rules.lowercase
    assert not parse_lines("[PAD]\nLow")[1].lowercase
