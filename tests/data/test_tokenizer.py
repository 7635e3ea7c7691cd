"""The tokenizer: BERT's ids exactly, the same on every run, back from any file, and back to the text."""

import copy
import gc
import importlib.util
import json
import logging
import pickle
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, trainers

from wave_jax.data import tokenizer as tokenizer_module
from wave_jax.data import words
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.data.vocabulary import LOOKS, SPECIAL, Rules, model

CORPUS = [
    "The cats sat on the mats; the dogs slept. Don#39;t wake them!",
    "Shares of Acme Corp. rose 5 percent &amp; fell again (AP) in <b>Zürich</b>.",
    "Élan, naïve café — 北京 is far. Was it? Cats and dogs sleeping, waking, sat.",
] * 3
UNCASED = Tokenizer.train(CORPUS, v=120)
CASED = Tokenizer.train(CORPUS, v=120, lowercase=False, clean=True)
ODD_ACCENTS = Tokenizer(UNCASED.vocabulary, Rules(strip_accents=False, clean_text=False))
WHOLE = Tokenizer.train(CORPUS, v=80, whole_words=True)
STEMMED = Tokenizer.train(CORPUS, v=80, whole_words=True, stems=9)
BOTH = STEMMED.with_pairs(CORPUS, [0, 1, 2] * 3, most=12)
PAIRED = UNCASED.with_pairs(CORPUS, [0, 1, 2] * 3, most=12)
WITHOUT_PAIRS = pytest.mark.parametrize(
    "tokenizer", [UNCASED, CASED, ODD_ACCENTS, WHOLE], ids=["uncased", "cased", "odd", "whole"]
)
TOKENIZERS = pytest.mark.parametrize(
    "tokenizer",
    [UNCASED, CASED, ODD_ACCENTS, WHOLE, PAIRED, BOTH],
    ids=["uncased", "cased", "odd", "whole", "paired", "both"],
)

SPACES = ["", " ", "  ", "\t", "\n\n", "\x00", "\x0b", "\x1c", "\x7f", "\u00a0", "\u200b", "\u200f", "\u2028"]
MARKS = [
    "[SEP]",
    "[CLS] [PAD]",
    "[UNK]",
    "##s",
    "<br />",
    "&lt;",
    "#39;",
    "\\",
    "&amp;amp;",
    "...",
    "!? ",
    "。",
]
LETTERS = [
    "e\u0301",
    "\u0301",
    " \u0301",
    "İ",
    "ß",
    "ﬁ",
    "각",
    "🏳️‍🌈",
    "👩‍👩‍👧",
    "שלום",
    "مرحبا",
    "北京",
    "\ud800",
    "\ufffd",
]
WORDS = ["cats", "the", "sleeping", ". The", "U.S.", "a" * 101]
ODD = st.sampled_from(SPACES + MARKS + LETTERS + WORDS)
TEXTS = st.lists(ODD | st.text(max_size=5), max_size=12).map("".join)


def whole(tokenizer, line):
    """The ids of the whole text by Hugging Face's library alone."""
    prepared = tokenizer.rules.prepare(line).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    found = model(tokenizer.vocabulary, tokenizer.rules).encode(prepared)
    ids = [
        look(tokenizer, prepared[a]) if id == tokenizer.unk_id else id
        for id, (a, _) in zip(found.ids, found.offsets, strict=True)
    ]
    return [tokenizer.cls_id, *ids, tokenizer.sep_id]


def look(tokenizer, first):
    kinds = {"[UNK-A]": first.isupper(), "[UNK-1]": first.isdigit()} if tokenizer.rules.looks else {}
    return tokenizer.vocabulary[next((kind for kind, is_so in kinds.items() if is_so), "[UNK]")]


@WITHOUT_PAIRS
@settings(deadline=None)
@given(lines=st.lists(TEXTS, max_size=4))
def test_words_apart_give_the_ids_of_the_whole_text(tokenizer, lines):
    ids, offsets, _ = tokenizer.encode(lines, 1000)
    assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == [whole(tokenizer, line) for line in lines]


@WITHOUT_PAIRS
@settings(deadline=None)
@given(line=TEXTS, max_length=st.integers(3, 12))
def test_truncation_keeps_the_ends(tokenizer, line, max_length):
    ids = tokenizer.encode([line], max_length).ids.tolist()
    full = whole(tokenizer, line)
    assert ids == (full if len(full) <= max_length else [*full[: max_length - 1], tokenizer.sep_id])
    assert max(ids) < tokenizer.v


@TOKENIZERS
@settings(deadline=None)
@given(line=TEXTS, max_length=st.integers(3, 40))
def test_segments(tokenizer, line, max_length):
    tokens = tokenizer.encode([line, line], max_length, segments=True)
    assert np.array_equal(tokens.ids, tokenizer.encode([line, line], max_length).ids)
    assert tokens.segments is not None
    assert tokens.segments.dtype == np.uint16
    first, second = np.split(tokens.segments.astype(int), 2)
    assert np.array_equal(first, second)
    first = first[: 1 + tokens.ids.tolist().index(tokenizer.sep_id)]  # stems and pairs start over behind it
    assert first[0] == 0
    assert set(np.diff(first)) <= {0, 1}
    assert first[-1] == first[-2]


def test_sentences_of_a_text():
    tokens = UNCASED.encode(["the cats. The dogs! the mats", "", "the. cats sat"], 9, segments=True)
    segments = [tokens.segments[a:b].tolist() for a, b in pairwise(tokens.offsets)]  # type: ignore[index]
    assert segments == [[0, 0, 0, 0, 1, 1, 1, 2, 2], [0, 0], [0, 0, 0, 1, 1, 1]]


@WITHOUT_PAIRS
@settings(deadline=None)
@given(line=TEXTS)
def test_spans_point_at_the_right_characters(tokenizer, line):
    pieces = tokenizer.explain(line, 1000)
    assert [piece.id for piece in pieces] == tokenizer.encode([line], 1000).ids.tolist()
    normalizer = tokenizer.rules.normalizer()
    assert pieces[0] == (tokenizer.cls_id, "[CLS]", 0, 0)
    assert pieces[-1] == (tokenizer.sep_id, "[SEP]", len(line), len(line))
    for before, piece in pairwise(pieces[:-1]):
        assert before.start <= piece.start < piece.end <= len(line)
        here = tokenizer.rules.prepare(line[piece.start : piece.end]).replace("\ud800", "\ufffd")
        assert piece.token.startswith("[UNK") or piece.token.removeprefix("##") in normalizer.normalize_str(
            here
        )


def test_spans_survive_cleaning():
    tokenizer = Tokenizer.train(["it's five<br/> AT&T cats"] * 2, v=200, clean=True)
    line = "It#39;s <b>\\five</b>&nbsp;AT&amp;T"
    spans = [(piece.token, line[piece.start : piece.end]) for piece in tokenizer.explain(line, 99)[1:-1]]
    assert spans == [
        ("it", "It"),
        ("'", "#39;"),
        ("s", "s"),
        ("five", "five"),
        ("at", "AT"),
        ("&", "&amp;"),
        ("t", "T"),
    ]
    assert len(tokenizer.explain(line, 4)) == 4


def test_special_tokens_written_in_a_text_stay_text(tmp_path):
    UNCASED.save(tmp_path / "tokenizer.json")
    for tokenizer in (UNCASED, Tokenizer.read(tmp_path / "tokenizer.json")):
        ids = tokenizer.encode(["[SEP] [CLS] [PAD] [MASK] [UNK]"], 99).ids[1:-1]
        assert not {tokenizer.sep_id, tokenizer.cls_id, tokenizer.pad_id} & set(ids.tolist())


@pytest.mark.parametrize("unit", ["a", "a ", "北", ". ", "🙂", "\x00", "[SEP]", "e\u0301"])
def test_hundred_thousand_characters(unit):
    line = unit * (100_000 // len(unit))
    ids = UNCASED.encode([line, "cats"], 128, segments=True).ids.tolist()
    assert len(ids) <= 131
    assert ids[-3:] == UNCASED.encode(["cats"], 128).ids.tolist()
    assert len(UNCASED.explain(line, 128)) == len(ids) - 3


def test_what_is_remembered_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(words, "_KEPT_WORDS", 5)
    tokenizer = Tokenizer(UNCASED.vocabulary, UNCASED.rules)
    lines = [f"{line} word{i} {'x' * i}" for i, line in enumerate(CORPUS * 30)]
    expected = UNCASED.encode(lines, 64)
    for _ in range(2):
        assert np.array_equal(tokenizer.encode(lines, 64).ids, expected.ids)
        assert len(tokenizer.words.known) <= 5
        assert len(tokenizer.words._met.index.words) <= 5 + len(lines) + 90, "those of one block more"
    with ThreadPoolExecutor(4) as pool:
        for tokens in pool.map(lambda _: tokenizer.encode(lines, 64), range(16)):
            assert np.array_equal(tokens.ids, expected.ids)


def test_what_is_remembered_goes_with_the_tokenizer():
    tokenizer = Tokenizer(UNCASED.vocabulary, UNCASED.rules)
    tokenizer.encode([*CORPUS, "naïve"], 64)
    remembered = [weakref.ref(tokenizer.words), weakref.ref(tokenizer.words._met)]
    gc.disable()
    try:
        del tokenizer
        assert [each() for each in remembered] == [None, None], "a cycle waits for Python to look for garbage"
    finally:
        gc.enable()


def test_long_words_are_not_kept():
    tokenizer = Tokenizer(UNCASED.vocabulary, UNCASED.rules)
    assert "catsat" not in UNCASED.vocabulary
    tokenizer.encode([f"{'a' * 41} catsat", "catsat"], 9)
    assert list(tokenizer.words.known) == ["catsat"]
    assert list(tokenizer.words._met.index.words) == [b"catsat"]


def test_unknown_whole_words_are_told_by_their_look():
    line = "The Élan sleeping in Osaka; 1984, cats, Émile naïveté"
    tokens = [piece.token for piece in WHOLE.explain(line, 99)[1:-1]]
    assert tokens[:6] == ["the", "elan", "sleeping", "in", "[UNK-A]", ";"]
    assert tokens[6:] == ["[UNK-1]", ",", "cats", ",", "[UNK-A]", "[UNK]"]
    assert not any(token.startswith("##") for token in WHOLE.vocabulary)


def test_whole_words_are_the_most_frequent():
    tokenizer = Tokenizer.train(["b a", "c a", "b c d"] * 2, v=10, whole_words=True)
    assert tokenizer.tokens[7:] == ["a", "b", "c"]


@settings(deadline=None)
@given(lines=st.lists(TEXTS, max_size=4), v=st.integers(10, 40), lowercase=st.booleans())
def test_whole_words_are_those_of_hugging_faces_trainer(lines, v, lowercase):
    texts = [Rules().prepare(line).encode("utf-8", "replace").decode() for line in [*CORPUS, *lines]]
    tokenizer = Tokenizer.train(texts, v=v, whole_words=True, lowercase=lowercase)
    special = [*SPECIAL, *LOOKS]
    trainer = trainers.WordLevelTrainer(
        vocab_size=v, min_frequency=2, show_progress=False, special_tokens=special
    )
    rust = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
    rust.normalizer = tokenizer.rules.normalizer()
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.train_from_iterator(texts, trainer)
    assert tokenizer.vocabulary == rust.get_vocab()


def test_a_token_longer_than_words_may_be_is_never_met():
    words = [*SPECIAL, "a", "a" * 8]
    tokenizer = Tokenizer({word: i for i, word in enumerate(words)}, Rules(max_input_chars_per_word=7))
    assert (
        tokenizer.encode(["a " + "a" * 8], 9).ids.tolist() == whole(tokenizer, "a " + "a" * 8) == [2, 5, 1, 3]
    )


def test_many_rows_need_wider_ids():
    words = [*SPECIAL, *(f"w{i}" for i in range(70_000))]
    tokenizer = Tokenizer({word: i for i, word in enumerate(words)}, Rules())
    ids = tokenizer.encode(["w69999 w0"], 9).ids
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 70_004, 5, 3]
    assert UNCASED.encode(["cats"], 9).ids.dtype == np.uint16


def test_decode():
    line = "the cats slept, in zurich"
    ids = UNCASED.encode([line], 99).ids
    assert UNCASED.decode(ids) == "the cats slept , in zurich"
    assert UNCASED.decode([UNCASED.pad_id, UNCASED.unk_id]) == "[UNK]"
    assert UNCASED.tokens[0] == "[PAD]"


# --- training


def test_trained_rows():
    assert [UNCASED.tokens[i] for i in range(5)] == list(SPECIAL)
    assert UNCASED.pad_id == 0
    assert UNCASED.v == len(UNCASED.vocabulary) == 120
    assert not {"##.", "##京", "E", "é"} & UNCASED.vocabulary.keys()
    assert {"E", "É"} & CASED.vocabulary.keys() == {"É"}


@pytest.mark.parametrize("v", [10, 11, 30, 60, 100])
def test_never_more_rows_than_asked(v):
    tokenizer = Tokenizer.train([*CORPUS, "".join(map(chr, range(0x4E00, 0x5000))) * 2], v=v)
    assert tokenizer.v <= v
    assert tokenizer.encode(CORPUS, 64).ids.max() < v


def test_fewer_rows_are_said(caplog):
    with caplog.at_level(logging.INFO, "wave_jax.data.tokenizer"):
        tokenizer = Tokenizer.train(["cats sat"] * 2, v=500)
    assert tokenizer.v < 500
    assert caplog.messages == [f"The texts yield a vocabulary of {tokenizer.v} rows, where 500 may be."]


TRAIN = """
import sys; from wave_jax.data.tokenizer import Tokenizer
words = ["".join(chr(97 + i * 7919 % (j * 31 + 5) % 26) for j in range(i % 7 + 2)) for i in range(3000)]
texts = [" ".join(words[k::17]) + " Zürich, 北京 " * (k % 3) for k in range(17)] * 2
tokenizer = Tokenizer.train(texts, v=int(sys.argv[1]))
print(tokenizer.v, tokenizer.digest)
"""


def test_the_same_vocabulary_in_every_process():
    found = set()
    for seed, threads in (("0", "1"), ("1", "2"), ("2", "3"), ("random", "1")):
        env = {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        run = subprocess.run(
            [sys.executable, "-c", TRAIN, "700"], env=env, capture_output=True, text=True, check=True
        )
        found.add(run.stdout.strip())
    # Other machines and other versions of `tokenizers` are to find it too.
    assert found == {"700 34e746c11922b4ef032cef5627006eca9fc73378b0fc07c686519e58b234a055"}


# --- files


@TOKENIZERS
def test_a_saved_tokenizer_comes_back_the_same(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    back = Tokenizer.read(path)
    assert back == tokenizer
    assert (back.digest, back.v, hash(back)) == (tokenizer.digest, tokenizer.v, hash(tokenizer))
    assert (back.vocabulary, back.rules) == (tokenizer.vocabulary, tokenizer.rules)
    back.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.json", "tokenizer.json"]


def test_copies_are_equal_and_others_are_not():
    assert pickle.loads(pickle.dumps(UNCASED)) == copy.deepcopy(UNCASED) == UNCASED
    others = [
        CASED,
        ODD_ACCENTS,
        Tokenizer(UNCASED.vocabulary, Rules(clean=True)),
        Tokenizer.train(CORPUS, 119),
    ]
    assert all(other != UNCASED for other in others)
    assert len({other.digest for other in [UNCASED, *others]}) == 5
    assert "v=120" in repr(UNCASED)


def test_hugging_faces_library_reads_it_and_agrees(tmp_path):
    path = tmp_path / "tokenizer.json"
    UNCASED.save(path)
    theirs = tokenizers.Tokenizer.from_file(str(path))
    for line in CORPUS:
        assert theirs.encode(line).ids == UNCASED.encode([line], 999).ids.tolist()
    CASED.save(path)
    with pytest.raises(Exception, match="expected"):  # it cannot clean: better refused than misread
        tokenizers.Tokenizer.from_file(str(path))


def test_reads_hugging_faces_own(tmp_path):
    theirs = tokenizers.BertWordPieceTokenizer(UNCASED.vocabulary, lowercase=True)
    theirs.enable_truncation(4)
    theirs.enable_padding(length=7)
    theirs.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.read(tmp_path / "tokenizer.json") == UNCASED


@pytest.mark.parametrize(("tokenizer", "end"), [(UNCASED, "\n"), (UNCASED, "\r\n"), (CASED, "\n")])
def test_reads_a_vocab_txt(tmp_path, tokenizer, end):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(token + end for token in [*tokenizer.tokens, "\u2028"]), "utf-8", newline="")
    back = Tokenizer.read(path)
    assert back.vocabulary == {**tokenizer.vocabulary, "\u2028": tokenizer.v}
    assert back.rules == Rules(lowercase=tokenizer is UNCASED)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    UNCASED.save(path)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        CASED.save(path)
    assert Tokenizer.read(path) == UNCASED
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


def damaged(**changes):
    parts = json.loads(UNCASED.to_json())
    for name, value in changes.items():
        where = parts
        *way, last = name.split("__")
        for step in way:
            where = where[step]
        where[last] = value
    return json.dumps(parts)


ADDED = [{"id": 120, "content": "New York", "special": False}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", UNCASED.to_json()[:700], "is damaged or no tokenizer.json .JSONDecodeError"),
        ("tokenizer.json", "[]", "is damaged or no tokenizer.json .TypeError"),
        ("tokenizer.json", '{"model": {"type": "WordPiece"}}', "is damaged or no tokenizer.json .KeyError"),
        ("tokenizer.json", damaged(model__type="BPE"), "is made of .'BPE', .*where .'WordPiece'"),
        ("tokenizer.json", damaged(normalizer={"type": "NFC"}), "is made of .*'NFC'"),
        ("tokenizer.json", damaged(normalizer=None), "is damaged or no tokenizer.json"),
        ("tokenizer.json", damaged(model__unk_token="<unk>"), r"only \[UNK\] for unknown words"),
        ("tokenizer.json", damaged(added_tokens=ADDED), "adds tokens outside of WordPiece.*: New York"),
        ("tokenizer.json", damaged(model__vocab={"[PAD]": 0}), r"lacks \[UNK\], \[CLS\], \[SEP\]"),
        ("tokenizer.json", damaged(model__vocab={**UNCASED.vocabulary, "x": 1}), "row of its own"),
        ("tokenizer.json", damaged(model__vocab={**UNCASED.vocabulary, "x": -1}), "row of its own"),
        ("tokenizer.json", damaged(model__vocab={**UNCASED.vocabulary, "x": "7"}), "row of its own"),
        ("tokenizer.json", damaged(model__vocab=7), "is damaged or no tokenizer.json .TypeError"),
        ("tokenizer.json", damaged(wave_jax=7), "is damaged or no tokenizer.json .TypeError"),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n", "line 7 repeats 'a' of line 5"),
        ("vocab.txt", "a\nb\n", r"lacks \[PAD\], \[UNK\], \[CLS\], \[SEP\]; a tokenizer of BERT's kind"),
    ],
    ids=lambda text: text if len(text) < 80 else "file",
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=f"{name} cannot be read as a tokenizer: .*{message}"):
        Tokenizer.read(tmp_path / name)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nothing.txt does not exist: give a tokenizer.json or a vocab"
    ):
        Tokenizer.read(tmp_path / "nothing.txt")
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff")
    with pytest.raises(ValueError, match=r"vocab.txt is not UTF-8 \(byte 6\)"):
        Tokenizer.read(tmp_path / "vocab.txt")


# --- wrong arguments


def unchecked():
    """The module without the type checks of these tests, which would come before its own."""
    spec = importlib.util.spec_from_file_location("unchecked_text", tokenizer_module.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("cats", "sequence of texts, got a single one: put it in a list"),
        (b"cats", "sequence of texts, got a single one"),
        (["cats", None], r"texts\[1\] must be str, got NoneType: None"),
        ([b"cats"], r"texts\[0\] must be str, got bytes: b'cats'"),
        (["a", float("nan")], r"texts\[1\] must be str, got float: nan"),
    ],
)
def test_texts_that_are_none(texts, message):
    plain = unchecked().Tokenizer
    with pytest.raises(TypeError, match=message):
        plain(UNCASED.vocabulary, UNCASED.rules).encode(texts, 9)
    with pytest.raises(TypeError, match=message):
        plain.train(texts, 99)


@pytest.mark.parametrize("max_length", [-1, 0, 2, 65_537])
def test_max_length_has_a_range(max_length):
    with pytest.raises(ValueError, match=f"max_length must be 3 to 65,536 tokens.* got {max_length}"):
        UNCASED.encode(["cats"], max_length)
    with pytest.raises(ValueError, match="max_length must be 3 to 65,536"):
        UNCASED.explain("cats", max_length)


def test_nothing_to_train_on():
    for texts in ([], [""], [" \n"], ["\x00\ud800"], ["ab"]):
        with pytest.raises(ValueError, match="No character occurs 2 times in the texts: nothing to train on"):
            Tokenizer.train(texts, 99)
    with pytest.raises(ValueError, match=r"v must be at least 10 rows.* got 9"):
        Tokenizer.train(CORPUS, 9)


# --- pairs --------------------------------------------------------------------------------------------------


def test_pairs_have_rows_of_their_own_behind_the_text():
    assert (PAIRED.v, len(PAIRED.pairs)) == (UNCASED.v + 12, 12)
    words, both = UNCASED.encode(CORPUS[:1], 64).ids, PAIRED.encode(CORPUS[:1], 64).ids
    more = both[len(words) :]
    np.testing.assert_array_equal(both[: len(words)], words)
    neighbours = list(pairwise(words.tolist()))
    assert len(more)
    assert [tuple(PAIRED.pairs[id - UNCASED.v].tolist()) for id in more] == [
        pair for pair in neighbours if list(pair) in PAIRED.pairs.tolist()
    ]
    assert PAIRED.decode(both) == UNCASED.decode(words)
    assert all(" " in PAIRED.tokens[id] for id in more)


def test_a_pair_stands_for_both_of_its_words():
    pieces = PAIRED.explain(CORPUS[0], 64)
    pair = next(piece for piece in pieces if piece.id >= UNCASED.v and not piece.token.startswith("["))
    first, second = pair.token.split(" ")
    spans = [(a.start, b.end) for a, b in pairwise(pieces) if (a.token, b.token) == (first, second)]
    assert (pair.start, pair.end) in spans


def test_pairs_are_part_of_the_tokenizer(tmp_path):
    PAIRED.save(tmp_path / "tokenizer.json")
    read = Tokenizer.read(tmp_path / "tokenizer.json")
    assert read == PAIRED == pickle.loads(pickle.dumps(PAIRED)) != UNCASED
    np.testing.assert_array_equal(read.pairs, PAIRED.pairs)
    damaged = PAIRED.to_json().replace('"wave_jax"', '"wave_jax": {"pairs": ["nobody knows"]}, "other"')
    with pytest.raises(ValueError, match="damaged"):
        Tokenizer.from_json(damaged)
    with pytest.raises(ValueError, match="two rows of the vocabulary"):
        Tokenizer(UNCASED.vocabulary, UNCASED.rules, np.array([[1, UNCASED.v]]))


def test_a_pair_belongs_to_the_sentence_of_its_first_token():
    ids, offsets, segments = PAIRED.encode(CORPUS, 64, segments=True)
    assert segments is not None
    for a, b in pairwise(offsets.tolist()):
        row, numbers = ids[a:b].tolist(), segments[a:b].tolist()
        for id, number in zip(row, numbers, strict=True):
            if id >= UNCASED.v:
                assert number in {
                    k
                    for pair, k in zip(pairwise(row), numbers, strict=False)
                    if pair == tuple(PAIRED.pairs[id - UNCASED.v].tolist())
                }


# --- stems --------------------------------------------------------------------------------------------------


def stems_of(tokenizer, word):
    """By the definition: of a word of letters, those of its first 5, 4 and 3 that are fewer and have rows."""
    ends = [word[:k] for k in (5, 4, 3) if len(word) > k] if word.isalpha() else []
    return [f"{end}##" for end in ends if f"{end}##" in tokenizer.vocabulary]


def test_stems_are_the_beginnings_that_most_words_share():
    texts = ["planning planned planner", "plane cat cats", "planets cathedral 1999s 1999x"]
    tokenizer = Tokenizer.train(texts, v=40, whole_words=True, stems=4)
    assert tokenizer.tokens[7:] == ["pla##", "plan##", "plann##", "cat##"]  # of 5, 5, 3 and 2 words
    assert Tokenizer.train(texts, v=12, whole_words=True, stems=2).tokens[7:] == ["pla##", "plan##"]
    half = Tokenizer.train(texts * 2, v=18, whole_words=True, stems=99)  # at most: two rows of words are left
    assert half.tokens[14:] == ["pla##", "plan##", "plann##", "cat##"]
    assert half.tokens[7:14] == ["1999s", "1999x", "cat", "cathedral", "cats", "plane", "planets"]


@pytest.mark.parametrize("v", range(10, 18))
def test_special_tokens_keep_their_rows_from_stems(v):
    texts = ["planning planned planner plane planets cats cathedral catering"] * 2  # 4 stems
    tokenizer = Tokenizer.train(texts, v=v, whole_words=True, stems=99)
    assert tokenizer.tokens[:7] == [*SPECIAL, *LOOKS]
    assert tokenizer.v == v
    assert sum(token.endswith("##") for token in tokenizer.tokens) == min(4, (v - 7) // 2)


@pytest.mark.parametrize("max_length", [-1, 2, 2**16 + 1])
def test_pairs_are_looked_for_in_texts_of_a_length_that_can_be(max_length):
    with pytest.raises(ValueError, match="max_length must be 3 to 65,536"):
        UNCASED.with_pairs(CORPUS, [0, 1, 2] * 3, most=3, max_length=max_length)


def test_stems_stand_behind_the_text_and_for_unknown_words():
    texts = ["cats slept", "cathedral sleeping", "slept cathode"]
    tokenizer = Tokenizer.train(texts, v=40, whole_words=True, stems=20)
    pieces = tokenizer.explain("Câtering slept", 16)
    assert [(piece.token, piece.start, piece.end) for piece in pieces] == [
        ("[CLS]", 0, 0),
        ("cat##", 0, 8),
        ("slept", 9, 14),
        ("[SEP]", 14, 14),
        ("sle##", 9, 14),
    ]
    assert tokenizer.decode([piece.id for piece in pieces]) == "cat## slept"


@settings(deadline=None)
@given(line=TEXTS, max_length=st.integers(3, 12))
def test_every_word_brings_its_stems(line, max_length):
    ids, _, numbers = STEMMED.encode([line], max_length, segments=True)
    assert numbers is not None
    row = ids.tolist()
    words = row[: row.index(STEMMED.sep_id) + 1]
    tokens = [STEMMED.tokens[id] for id in words]
    want = [
        (stem, int(number))
        for token, number in zip(tokens, numbers, strict=False)
        for stem in stems_of(STEMMED, token.removesuffix("##"))
    ]
    behind = [STEMMED.tokens[id] for id in row[len(words) :]]
    assert list(zip(behind, numbers[len(words) :].tolist(), strict=True)) == want
    assert len(row) <= STEMMED.longest(max_length)
    assert [piece.id for piece in STEMMED.explain(line, max_length)] == row
    for token, piece in zip(tokens, STEMMED.explain(line, max_length), strict=False):
        if token.endswith("##"):  # for a word without a row, the longest
            word = STEMMED.rules.normalizer().normalize_str(line[piece.start : piece.end])
            assert word not in STEMMED.vocabulary
            assert token == stems_of(STEMMED, word)[0]


def test_pairs_are_of_words_not_of_stems():
    assert len(BOTH.pairs) == 12
    ids = BOTH.encode(CORPUS[:1], 64).ids.tolist()
    bare = STEMMED.encode(CORPUS[:1], 64).ids.tolist()
    assert ids[: len(bare)] == bare
    words = bare[: bare.index(BOTH.sep_id) + 1]
    pairs = [pair for pair in pairwise(words) if list(pair) in BOTH.pairs.tolist()]
    assert [tuple(BOTH.pairs[id - BOTH.first_pair].tolist()) for id in ids[len(bare) :]] == pairs


def test_stems_are_part_of_the_file(tmp_path):
    BOTH.save(tmp_path / "tokenizer.json")
    read = Tokenizer.read(tmp_path / "tokenizer.json")
    assert read == BOTH == pickle.loads(pickle.dumps(BOTH)) != WHOLE
    assert read.encode(CORPUS, 64).ids.tolist() == BOTH.encode(CORPUS, 64).ids.tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stems": 5}, "stems=5 cannot be: .* give whole_words=True, or stems=0"),
        ({"stems": -1, "whole_words": True}, "stems=-1 .* give 0 or more"),
    ],
)
def test_stems_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.train(CORPUS, v=80, **settings)


def test_more_words_leave_words_stems_and_pairs_what_they_are():
    more = BOTH.with_words(["zebra zebras quagga 42"] * 2, most=9, stems=3)
    assert BOTH.vocabulary.items() <= more.vocabulary.items()
    assert {"zebra", "zebras", "quagga", "zebr##"} <= {*more.vocabulary}
    assert more.tokens[more.first_pair :] == BOTH.tokens[BOTH.first_pair :]
    assert more.rules == BOTH.rules
    for text in CORPUS:
        assert [p.token for p in more.explain(text, 32)] == [p.token for p in BOTH.explain(text, 32)]
    again = more.with_pairs(["zebra quagga", "quagga zebra"] * 2, [0, 1] * 2, most=2)
    assert again.tokens[: more.v] == more.tokens
    assert again.v == more.v + 2
    assert Tokenizer.from_json(again.to_json()) == again


def test_a_tokenizer_of_pieces_gets_whole_words():
    assert len(UNCASED.explain("zyx", 9)) > 3 or UNCASED.explain("zyx", 9)[1].token == "[UNK]"
    more = UNCASED.with_words(["zyx", "zyx"], most=3, stems=2)
    assert [piece.token for piece in more.explain("zyx", 9)] == ["[CLS]", "zyx", "[SEP]"]
    assert more.v == UNCASED.v + 1
