"""The vocabulary as it is trained and written; what files mean is tested with the tokenizer."""

from wave_jax.data.vocabulary import SPECIAL, Rules, model, more_words, train_vocabulary

TEXTS = ["low lower lowest", "new newer newest", "北京 low, new."] * 3


def test_the_special_tokens_come_first_then_what_stands_inside_of_words():
    tokens = sorted(vocabulary := train_vocabulary(TEXTS, Rules(), 40, 2), key=lambda t: vocabulary[t])
    assert tuple(tokens[:5]) == SPECIAL
    assert tokens[5:13] == ["##" + char for char in "elnorstw"]
    assert tokens[13:25] == [*",.elnorstw", "京", "北"]
    assert {"low", "new", "##est"} <= set(tokens[25:])


def test_rare_characters_have_no_row():
    vocabulary = train_vocabulary([*TEXTS, "qqq xyz xyz"], Rules(), 100, 3)
    assert "q" in vocabulary
    assert not {"x", "y", "z", "##z"} & vocabulary.keys()


def test_the_most_frequent_characters_win_where_rows_are_few():
    vocabulary = train_vocabulary(["aaa bb c"] * 3, Rules(), 9, 2)
    assert sorted(vocabulary.keys() - set(SPECIAL)) == ["##a", "##b", "a", "b"]


def test_the_model_knows_no_special_tokens():
    vocabulary = {token: row for row, token in enumerate([*SPECIAL, "low"])}
    assert model(vocabulary, Rules()).encode("low [SEP] LOW").tokens == ["low", *["[UNK]"] * 3, "low"]


def test_more_words_are_those_without_a_row_and_their_stems_get_half_of_the_room():
    texts = ["low lowing lowers swim swims swimming"] * 2
    more = lambda room, stems=9: more_words(texts, Rules(looks=True), {"low", "swim##"}, room, 2, stems)
    assert more(99) == ["lowers", "lowing", "swim", "swimming", "swims", "swi##", "low##"]
    assert more(4) == ["lowers", "lowing", "swi##", "low##"]
    assert more(4, stems=0) == ["lowers", "lowing", "swim", "swimming"]
    assert more(0) == more(-5) == []
