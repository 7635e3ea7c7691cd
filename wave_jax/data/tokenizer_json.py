"""Vocabularies in files: tokenizer.json, read and written, and vocab.txt, read."""

import json
import os
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from tokenizers import decoders, processors

from wave_jax.data.vocabulary import SPECIAL, Rules, model
from wave_jax.disk import read_regular

__all__ = ["dump_json", "parse_json", "parse_lines", "read_text"]


def read_text(path: str | os.PathLike[str]) -> str:
    """Read the text of a tokenizer's file."""
    try:
        return read_regular(path).decode("utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: give a tokenizer.json or a vocab.txt.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}): is it a tokenizer file?") from None


def parse_lines(content: str) -> tuple[dict[str, int], Rules]:
    """Read a vocab.txt. Lines end with a line feed alone: other separators may be tokens."""
    lines = [line.removesuffix("\r") for line in content.removesuffix("\n").split("\n")]
    vocabulary = {}
    for row, token in enumerate(lines):
        if token in vocabulary:
            raise ValueError(f"line {row + 1} repeats {token!r} of line {vocabulary[token] + 1}.")
        vocabulary[token] = row
    cased = any(token != token.lower() for token in lines if not token.startswith("["))
    return vocabulary, Rules(lowercase=not cased)


def dump_json(vocabulary: dict[str, int], rules: Rules, pairs: np.ndarray | None = None) -> str:
    """Write a tokenizer.json in the form of Hugging Face's `tokenizers`, with rules and pairs of our own."""
    rust = model(vocabulary, rules)
    rust.add_special_tokens([token for token in SPECIAL if token in vocabulary])
    rust.decoder = decoders.WordPiece()
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    parts = json.loads(rust.to_str())
    # What only this library knows goes into an entry of its own.
    token = {row: token for token, row in vocabulary.items()}
    ours = {
        **({"clean": True} if rules.clean else {}),
        **({"looks": True} if rules.looks else {}),
        **(
            {} if pairs is None or not len(pairs) else {"pairs": [f"{token[a]} {token[b]}" for a, b in pairs]}
        ),
    }
    if ours:
        parts["wave_jax"] = ours
    return json.dumps(parts, ensure_ascii=False, indent=1)


def parse_json(content: str) -> tuple[dict[str, int], Rules, np.ndarray]:
    """Read what `dump_json` wrote, or Hugging Face's for a model of BERT's kind: vocabulary, rules, pairs."""
    try:
        parts = json.loads(content)
        kinds = [(parts[name] or {})["type"] for name in ("model", "normalizer", "pre_tokenizer")]
        word_piece = parts["model"]
        settings = {**parts["normalizer"], **word_piece, **parts.get("wave_jax", {})}
        vocabulary = dict(word_piece["vocab"]) if kinds[0] == "WordPiece" else {}
        pairs = _pairs(settings.pop("pairs", ()), vocabulary)
        added = [token["content"] for token in parts.get("added_tokens", ()) if not token["special"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is damaged or no tokenizer.json ({type(error).__name__}: {error}).") from None
    settings["apart"] = parts["pre_tokenizer"] == _splitter(Rules(apart=True))
    if kinds != ["WordPiece", "BertNormalizer", "Sequence" if settings["apart"] else "BertPreTokenizer"]:
        raise ValueError(
            f"it is made of {kinds}, where ['WordPiece', 'BertNormalizer', 'BertPreTokenizer'] is read."
        )
    if [word_piece.get(name) for name in ("unk_token", "continuing_subword_prefix")] != ["[UNK]", "##"]:
        raise ValueError("only [UNK] for unknown words and ## for the parts of words are read.")
    if added:
        raise ValueError(f"it adds tokens outside of WordPiece, which are not read: {', '.join(added[:4])}.")
    known = {field.name for field in fields(Rules)}
    rules = {name: value for name, value in settings.items() if name in known}
    for name, value in rules.items():
        fits = type(value) is (int if name == "max_input_chars_per_word" else bool)
        if not fits and not (name == "strip_accents" and value is None):
            raise ValueError(f"its rule {name} is {value!r:.40}, which it cannot be.")
    return vocabulary, Rules(**rules), pairs


def _splitter(rules: Rules) -> Any:
    """Return what cuts a text into words, as a tokenizer.json has it."""
    return json.loads(model({"[UNK]": 0}, rules).to_str())["pre_tokenizer"]


def _pairs(pairs: Sequence[str], vocabulary: dict[str, int]) -> np.ndarray:
    """Return the rows of pairs (p, 2), each two tokens with a space between them."""
    if wrong := [pair for pair in pairs if pair.count(" ") != 1]:
        raise ValueError(f"{wrong[0]!r} is no pair of tokens")
    tokens = " ".join(pairs).split(" ") if pairs else []
    return np.array([vocabulary[token] for token in tokens], np.int64).reshape(-1, 2)
