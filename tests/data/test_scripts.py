"""The rules that a corpus gets follow its scripts, and those of Latin ones stay as they were."""

import json

import pytest
import tokenizers

from wave_jax.data import scripts
from wave_jax.data.scripts import are_letters, count_characters, is_unspaced
from wave_jax.data.tokenizer import Rules, Tokenizer

THAI, LAO, BURMESE, KHMER = "ตลาดหุ้นตก", "ຕະຫຼາດ", "စျေးကွက်", "ទីផ្សារ"
KANA, KATAKANA, CHINESE, KOREAN = "かぶしき", "サッカー", "股票市场下跌", "주식 시장"
HINDI, ARABIC, HEBREW, FINNISH = "कुल मिलाकर", "مُباراة", "שָׁלוֹם", "pörssi älkää"


@pytest.mark.parametrize("text", [THAI, LAO, BURMESE, KHMER, KANA, KATAKANA])
def test_each_character_of_a_script_without_spaces_is_a_word(text):
    assert is_unspaced(["plain", f"in between {text}"])
    tokenizer = Tokenizer.train([f"{text} ab"] * 2, whole_words=True)
    assert [piece.token for piece in tokenizer.explain(text, 99)[1:-1]] == list(text)


def test_other_scripts_are_cut_as_before():
    assert not is_unspaced([CHINESE, KOREAN, HINDI, ARABIC, HEBREW, FINNISH, "plain", ""])
    assert Tokenizer.train([CHINESE, FINNISH] * 2).rules == Rules()


def test_marks_that_are_parts_of_letters_stay_and_accents_go():
    assert all(are_letters([text]) for text in (HINDI, THAI, BURMESE, KHMER, "かぶだ"))
    assert not any(are_letters([text]) for text in (ARABIC, HEBREW, FINNISH, CHINESE, KOREAN, "plain", ""))
    words = ["कुल", "कल", "काल", "कोल"]
    ids = Tokenizer.train([" ".join(words)] * 2, whole_words=True).encode(words, 9)
    assert len({*ids.ids.tolist()}) == 2 + len(words)


def test_a_foreign_word_in_a_corpus_of_another_script_does_not_change_what_a_mark_is():
    assert not are_letters([FINNISH] * 9 + ["कुल"])
    assert are_letters([HINDI] * 9 + ["café"])


def test_the_ranges_are_of_pairs_in_order_and_do_not_overlap():
    for ranges in (scripts.UNSPACED, scripts._ACCENTS):
        ends = [*ranges[::3], *ranges[2::3]]
        assert set(ranges[1::3]) == {"-"}
        assert sorted(ends) == [end for pair in zip(ranges[::3], ranges[2::3], strict=True) for end in pair]


def test_characters_are_counted_over_many_texts():
    counts = count_characters(["abca", "🐋"] * 1500)
    assert (counts[ord("a")], counts[ord("🐋")], counts.sum()) == (3000, 1500, 7500)


def test_a_file_keeps_the_rules_and_hugging_face_reads_it(tmp_path):
    tokenizer = Tokenizer.train([f"{THAI} {KANA} {HINDI}"] * 2, v=80)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.read(tmp_path / "tokenizer.json")
    assert again.rules == tokenizer.rules == Rules(apart=True, strip_accents=False)
    assert again.digest == tokenizer.digest
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = f"{KANA}{THAI} {HINDI} 股"
    assert theirs.encode(text).ids == again.encode([text], 99).ids.tolist()


def test_another_way_to_cut_is_refused(tmp_path):
    parts = json.loads(Tokenizer.train([THAI] * 2).to_json())
    parts["pre_tokenizer"]["pretokenizers"][1]["behavior"] = "Removed"
    with pytest.raises(ValueError, match=r"'Sequence'\], where .*'BertPreTokenizer'\] is read"):
        Tokenizer.from_json(json.dumps(parts))
