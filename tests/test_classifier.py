"""The estimator: labels of all kinds, scikit-learn's own tools, its way to disk and back, and bad input."""

import copy
import enum
import json
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from conftest import unchecked
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from tiny import APART, CONFIGS, DATA, PRESET, learnt, own_words

from wave_jax.classifier import NotFitted, WaveClassifier
from wave_jax.data.splits import hold_out
from wave_jax.errors import CheckpointError, DataError
from wave_jax.runs import hub, result, run
from wave_jax.runs.condition import metrics_of
from wave_jax.runs.folder import RunFolder, parameter_digest
from wave_jax.serving import predictor
from wave_jax.training import evaluate
from wave_jax.training.step import init

# Folds hold the same texts, so that one compiled program serves them all.
TEXTS = [f"{['rise gain', 'fall loss'][i % 2]} {'abcdef'[i % 6]}" for i in range(48)]
LABELS = [["up", "down"][i % 2] for i in range(48)]
TINY = {
    "d": 4,
    "epochs": 12,
    "batch": 8,
    "rate": 0.02,
    "v": 40,
    "pairs": 0,
    "valid": 0.2,
    "max_length": 8,
} | {
    "dropout": 0.0,
    "drop_tokens": 0.0,
}


@pytest.fixture(scope="module")
def fitted():
    return WaveClassifier(**TINY).fit(TEXTS, LABELS)


def test_it_learns_and_answers_with_the_labels(fitted):
    assert fitted.classes_.tolist() == ["down", "up"]
    assert fitted.score(TEXTS, LABELS) == 1
    answers = fitted.predict(TEXTS[:3])
    assert answers.dtype.kind == "U"
    assert answers.tolist() == LABELS[:3]
    assert fitted.predict([]).shape == (0,)


def test_probabilities_are_those_of_the_network_in_the_order_of_the_classes(fitted):
    p = fitted.predict_proba(["fall", "rise gain a", ""])
    split = type(
        "Split", (), {"texts": ("fall", "rise gain a", ""), "labels": np.zeros(3, np.int32), "targets": None}
    )
    logits = evaluate.predict(fitted.network, tokens_of_unchecked(split, fitted))
    np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), rtol=1e-4)
    assert (p[0, 0], p[1, 1]) == (p[0].max(), p[1].max())
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(["fall", "rise gain a", ""])), p, rtol=1e-6)


def tokens_of_unchecked(split, classifier):
    with unchecked():
        return classifier._trained().tokens(split)


def test_the_box_opens(fitted):
    assert fitted.network.config.d == 4
    assert fitted.tokenizer.first_pair <= 40
    assert [record.epoch for record in fitted.history if record.valid] == list(range(1, 13))
    best = max(record.valid.accuracy for record in fitted.history if record.valid)
    assert best == fitted.metrics["valid_accuracy"] == 1
    assert fitted.metrics["parameter_digest"] == parameter_digest(fitted.network)


def test_explain_names_the_word(fitted):
    explanation = fitted.explain("fall z")
    assert explanation.classes[explanation.label] == "down"
    assert explanation.strongest(1)[0].token == "fall"
    assert fitted.explain("fall z", "up").label == 1
    with pytest.raises(ValueError, match="'sideways' is none of the labels"):
        fitted.explain("fall", "sideways")


def test_a_seed_gives_the_same_network_bit_for_bit_and_another_another(fitted):
    again = WaveClassifier(**TINY).fit(np.array(TEXTS), np.array(LABELS))
    assert parameter_digest(again.network) == parameter_digest(fitted.network)
    other = WaveClassifier(**TINY, seed=1).fit(TEXTS, LABELS)
    assert parameter_digest(other.network) != parameter_digest(fitted.network)


class Mood(enum.Enum):
    UP = 1
    DOWN = 2


KINDS = {
    "strings": ("no", "yes"),
    "integers": (-3, 10**30),
    "bools": (False, True),
    "numbers of two kinds": (0.5, 2),
    "one and its name": ("1", 1),
    "tuples": (("a", 1), ("a", 2)),
    "None": (None, "other"),
    "sets": (frozenset("ab"), frozenset("c")),
    "enumeration": (Mood.UP, Mood.DOWN),
    "a string that NumPy would cut": ("a", "a\0"),
}
KEPT = [kind for kind in KINDS if kind not in ("sets", "enumeration")]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_every_kind_come_back_as_they_were(kind, fitted, tmp_path, monkeypatch):
    labels = KINDS[kind]
    given = [labels[i % 2] for i in range(48)]
    classifier = WaveClassifier(**TINY).fit(TEXTS, given)
    same = lambda found: [(type(x), x) for x in found.tolist()] == [(type(x), x) for x in given]
    assert same(classifier.predict(TEXTS))
    assert classifier.score(TEXTS, given) == 1
    if kind in KEPT:
        classifier.save(tmp_path / "run")
        loaded = WaveClassifier.load(tmp_path / "run")
        assert same(loaded.predict(TEXTS))
        assert loaded.get_params() == classifier.get_params()
    else:
        with pytest.raises(CheckpointError, match="cannot be saved: use strings, numbers"):
            classifier.save(tmp_path / "run")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("library", "make"), [("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")]
)
def test_columns_of_every_library_are_texts_and_labels(library, make, fitted):
    table = getattr(pytest.importorskip(library), make)({"text": TEXTS, "label": LABELS})
    assert fitted.score(table["text"], table["label"]) == 1
    with (
        unchecked(),
        pytest.raises(TypeError, match=r"got a table of text, label: give one, as table\['text'\]"),
    ):
        fitted.predict(table)


def test_a_missing_label_of_pandas_is_named(fitted):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"labels\[1\] is <NA>, which is not even itself"):
        fitted.score(["a", "b"], pandas.Series(["x", None], dtype="string"))


def test_validation_texts_are_ones_own_or_none(fitted):
    given = WaveClassifier(**TINY).fit(
        TEXTS, LABELS, valid=(["rise", "fall", "rise"], ["up", "down", "down"])
    )
    assert given.metrics["valid_accuracy"] == pytest.approx(2 / 3)
    without = WaveClassifier(**TINY | {"valid": 0.0}).fit(TEXTS, LABELS)
    assert "valid_accuracy" not in without.metrics
    assert all(record.valid is None for record in without.history)
    assert without.score(TEXTS, LABELS) == 1
    assert without.history[-1].step == 12 * 6  # all 48 texts, 8 at a time
    with pytest.raises(ValueError, match="valid has the label 'flat', which no training text has"):
        WaveClassifier(**TINY).fit(TEXTS, LABELS, valid=(["x"], ["flat"]))
    with pytest.raises(ValueError, match="There are 1 texts but 2 labels"):
        WaveClassifier(**TINY).fit(TEXTS, LABELS, valid=(["x"], ["up", "down"]))
    with unchecked(), pytest.raises(ValueError, match=r"valid must be a share of the texts, got 'x\.csv'"):
        WaveClassifier(**TINY | {"valid": "x.csv"}).fit(TEXTS, LABELS)


def test_equal_weights_change_nothing_and_weights_move_the_answer(fitted, tmp_path):
    alike = WaveClassifier(**TINY).fit(TEXTS, LABELS, sample_weight=np.full(48, 7))
    for one, other in zip(jax.tree.leaves(fitted.network), jax.tree.leaves(alike.network), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    labels = ["rare" if i % 6 == 0 else "often" for i in range(48)]
    texts, share = ["same words"] * 48, {}
    for rule in (None, "balanced", {"rare": 50}):
        classifier = WaveClassifier(**TINY | {"valid": 0.0}, class_weight=rule).fit(texts, labels)
        share[str(rule)] = classifier.predict_proba(["same words"])[0, 1]
    assert share["None"] < 0.3 < share["balanced"] < 0.7 < share["{'rare': 50}"]
    classifier.save(tmp_path / "run")
    assert WaveClassifier.load(tmp_path / "run").get_params()["class_weight"] == {"rare": 50}
    with pytest.raises(ValueError, match=r"class_weight has 'flat', which is none of the labels"):
        WaveClassifier(**TINY, class_weight={"flat": 2}).fit(TEXTS, LABELS)
    with pytest.raises(DataError, match=r"There are 48 texts but weights of shape \(2,\)"):
        WaveClassifier(**TINY).fit(TEXTS, LABELS, [1, 2])


def test_a_saved_classifier_is_a_run_folder_that_answers_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    loaded = WaveClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert repr(loaded) == repr(fitted)
    assert loaded.history == fitted.history
    assert loaded.metrics == fitted.metrics == metrics_of(tmp_path / "run")
    assert loaded.classes_.dtype == fitted.classes_.dtype
    with RunFolder.open(tmp_path / "run") as folder:
        assert folder.settings.classes == ("down", "up")
        assert folder.steps == [fitted.history[-1].step]
    with pytest.raises(CheckpointError, match="exists already"):
        fitted.save(tmp_path / "run")
    loaded.save(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["data"]["labels"] == ["down", "up"]


def test_a_folder_of_the_hub_is_the_same_classifier(fitted, tmp_path):
    classifier = copy.copy(fitted).set_params(class_weight={"up": 2})
    classifier.metrics = {**fitted.metrics, "temperature": 0.5}
    classifier.save_pretrained(tmp_path / "news", license="mit")
    for load in (WaveClassifier.from_pretrained, WaveClassifier.load):
        loaded = load(tmp_path / "news")
        np.testing.assert_array_equal(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
        assert loaded.get_params() == classifier.get_params()
        assert (loaded.history, loaded.metrics) == (classifier.history, classifier.metrics)
    loaded.save(tmp_path / "run")
    assert (tmp_path / "run" / "README.md").read_text().startswith("---\nlibrary_name")
    np.testing.assert_array_equal(
        WaveClassifier.load(tmp_path / "run").predict_proba(TEXTS), loaded.predict_proba(TEXTS)
    )
    pushed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "push", lambda *given, **more: pushed.append((given, more)) or "address")
        assert classifier.push_to_hub("someone/news", private=True) == "address"
    assert pushed[0][0][0] == "someone/news"
    assert pushed[0][0][1].settings.classes == ("down", "up")
    assert pushed[0][1] == {"private": True, "license": "unknown"}


def test_an_exported_file_answers_with_the_labels(fitted, tmp_path):
    written = fitted.export(tmp_path / "news.wave", dtype="float32")
    assert written.size == (tmp_path / "news.wave").stat().st_size
    answering = predictor.load(tmp_path / "news.wave")
    assert answering.classes == ("down", "up")
    np.testing.assert_allclose(
        answering.predict_proba(TEXTS), fitted.predict_proba(TEXTS), rtol=1e-4, atol=1e-6
    )


def test_a_run_of_the_command_line_opens(fitted, tmp_path):
    training = replace(PRESET.training, seed=3, class_weight="+=2")
    prepared = run.prepare(DATA, replace(PRESET, training=training))
    with run.run_folder(tmp_path / "run", prepared) as folder:
        for _ in run.train(prepared, folder):
            pass
        metrics = result.finish(folder, prepared, preset="paper-modulation")
    loaded = WaveClassifier.load(tmp_path / "run")
    assert loaded.classes_.tolist() == ["+", "-"]
    assert loaded.metrics == metrics
    assert loaded.score(DATA.valid.texts, ["+-"[k] for k in DATA.valid.labels]) == metrics["valid_accuracy"]
    given = {"preset": "paper-modulation", "seed": 3, "d": 4, "class_weight": {"+": 2.0}}
    assert loaded.get_params().items() >= given.items()
    loaded.save(tmp_path / "again")
    assert WaveClassifier.load(tmp_path / "again").get_params() == loaded.get_params()


def test_a_run_of_another_network_answers(tmp_path):
    prepared = run.prepare(DATA, replace(PRESET, network=CONFIGS["bag"]))
    with run.run_folder(tmp_path / "run", prepared) as folder:
        folder.save(init(prepared.network))
    loaded = WaveClassifier.load(tmp_path / "run")
    assert set(loaded.predict(["up a", "fall b"])) <= {"+", "-"}
    assert loaded.metrics == {}


def test_a_bar_is_shown_where_it_is_asked_for(capsys):
    WaveClassifier(**TINY, verbose=True).fit(TEXTS, LABELS)
    shown = capsys.readouterr().err
    assert "0/60 steps [00:00<compiling]" in shown
    assert "60/60 steps" in shown
    assert ", valid 100.00 %" in shown
    WaveClassifier(**TINY).fit(TEXTS, LABELS)  # nobody looks
    assert capsys.readouterr().err == ""


def test_settings_that_starve_a_corpus_are_warned_of(caplog):
    WaveClassifier(**TINY).fit(TEXTS, LABELS)
    said = "epochs=12 means 60 steps, few for 2 classes: give 20 or more, or None."
    assert [record.message for record in caplog.records] == [said]


def test_pairs_are_chosen_by_the_labels_and_kept(tmp_path):
    classifier = WaveClassifier(**TINY | {"pairs": 5, "epochs": 1}).fit(TEXTS, LABELS)
    assert len(classifier.tokenizer.pairs) == 5
    classifier.save(tmp_path / "saved")
    again = WaveClassifier.load(tmp_path / "saved")
    assert again.tokenizer == classifier.tokenizer
    np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))


OWN = TINY | {"v": 100, "stems": 20, "pairs": 20, "epochs": 1}


def test_it_learns_from_the_texts_that_are_not_held_out():
    train, _ = hold_out(APART.train, OWN["valid"])
    fitted = WaveClassifier(**OWN).fit(APART.train.texts, APART.train.labels)
    assert learnt(fitted.tokenizer) == own_words(train) < own_words(APART.train)


def test_no_bit_depends_on_the_validation_texts_that_it_is_given():
    known = APART.train.texts, APART.train.labels
    valid = [(split.texts, split.labels) for split in (APART.valid, APART.test.take([2, 4]))]
    one, two = (WaveClassifier(**OWN).fit(*known, valid=each) for each in valid)
    assert learnt(one.tokenizer) == own_words(APART.train)
    assert one.tokenizer == two.tokenizer
    assert parameter_digest(one.network) == parameter_digest(two.network)
    assert one.metrics["valid_accuracy"] == one.score(*valid[0])
    assert one.history[-1].step == 3


# --- several labels a text, soft targets --------------------------------------------------------------------

SETS = [{LABELS[i]} | ({"a"} if i % 6 == 0 else set()) for i in range(48)]  # "a" has a word of its own


@pytest.fixture(scope="module")
def several():
    return WaveClassifier(**TINY | {"epochs": 40}).fit(TEXTS, SETS)


def test_sets_of_labels_come_back_as_sets(several, tmp_path):
    assert several.classes_.tolist() == ["a", "down", "up"]
    assert several.predict(TEXTS).tolist() == SETS
    assert several.score(TEXTS, SETS) == 1
    assert several.score(TEXTS[:4], [*SETS[:3], {"unheard of"}]) == 0.75
    assert several.metrics["valid_micro_f1"] == several.metrics["valid_macro_f1"] == 1
    shares, threshold = several.predict_proba(TEXTS), several.metrics["threshold"]
    assert (
        (shares >= threshold) == [[label in labels for label in several.classes_] for labels in SETS]
    ).all()
    assert (shares.sum(axis=1) > 1.2).any()  # probabilities of their own
    assert several.predict([]).shape == (0,)
    several.save(tmp_path / "run")
    loaded = WaveClassifier.load(tmp_path / "run")
    assert loaded.predict(TEXTS).tolist() == SETS
    assert loaded.metrics == several.metrics
    assert RunFolder.open(tmp_path / "run").trained().threshold == threshold


def test_a_matrix_of_labels_gives_a_matrix_and_the_same_network(several, tmp_path):
    matrix = np.array([[label in labels for label in several.classes_] for labels in SETS])
    given = WaveClassifier(**TINY | {"epochs": 40}).fit(
        TEXTS, matrix.astype(int), classes=["a", "down", "up"]
    )
    assert parameter_digest(given.network) == parameter_digest(several.network)
    answers = given.predict(TEXTS)
    assert answers.dtype == int
    np.testing.assert_array_equal(answers, matrix)
    assert given.score(TEXTS, matrix) == 1
    given.save(tmp_path / "run")
    np.testing.assert_array_equal(WaveClassifier.load(tmp_path / "run").predict(TEXTS), matrix)
    f1 = cross_val_score(WaveClassifier(**TINY), TEXTS, matrix, cv=2, scoring="f1_macro")
    assert f1.min() > 0.3


def test_bars_part_labels_where_the_setting_says_so():
    bars = ["|".join(sorted(labels)) for labels in SETS]
    assert WaveClassifier(**TINY | {"epochs": 1}).fit(TEXTS, bars).classes_.tolist() == ["a|up", "down", "up"]
    told = WaveClassifier(**TINY | {"epochs": 1}, labels="several").fit(TEXTS, bars)
    assert told.classes_.tolist() == ["a", "down", "up"]


def test_texts_and_labels_are_weighed_and_a_text_may_have_no_label():
    labels = [{"up"} if i % 6 == 0 else set() for i in range(47)] + [{"down"}]
    texts, share = ["same words"] * 48, []
    for rule, sample_weight in ((None, None), ("balanced", None), ({"up": 50}, None), (None, [9] * 47 + [0])):
        settings = TINY | {"valid": 0.0, "class_weight": rule}
        classifier = WaveClassifier(**settings).fit(texts, labels, sample_weight)
        assert classifier.metrics["threshold"] == 0.5
        share.append(classifier.predict_proba(["same words"])[0, 1])
    plain, balanced, heavy, weighed = share
    assert plain < 0.3 < balanced < 0.7 < heavy
    assert weighed < 0.3


def test_soft_targets_teach_their_probabilities():
    shares = np.array([[0.2, 0.8], [0.7, 0.3]] * 24)
    settings = TINY | {"epochs": 60, "smoothing": 0.0}
    student = WaveClassifier(**settings).fit(TEXTS, shares, classes=["down", "up"])
    np.testing.assert_allclose(student.predict_proba(TEXTS), shares, atol=0.1)
    assert student.predict(TEXTS).tolist() == LABELS
    assert student.score(TEXTS, LABELS) == student.score(TEXTS, shares) == 1
    hard = WaveClassifier(**TINY).fit(TEXTS, np.eye(2)[[int(label == "up") for label in LABELS]])
    assert hard.predict(TEXTS[:2]).tolist() == [1, 0]


def test_why_several_labels_hold(several):
    explanation = several.explain(TEXTS[0])
    assert [explanation.classes[i] for i in explanation.answers] == sorted(
        SETS[0], key=lambda label: -explanation.probabilities[several.classes_.tolist().index(label)]
    )
    assert sum(explanation.probabilities) > 1
    assert "The answers are <strong>" in explanation.page()
    assert several.explain(TEXTS[0], "down").label == 1
    assert "Explained is <strong>down</strong>" in several.explain(TEXTS[0], "down").page()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([[1, 0]] * 48), "No training text has class 1: add one, or leave its column out"),
        ([set()] * 48, "at least 2 classes, got 0"),
        (np.array([[0.5, 0.6]] * 48), r"labels\[0\] adds up to 1\.1"),
        (np.array([[1, 0], [0, 1]]), "There are 48 texts but 2 labels"),
    ],
)
def test_bad_matrices_and_sets(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        WaveClassifier(**TINY).fit(TEXTS, labels)


def test_validation_labels_are_of_the_same_kind():
    matrix = np.eye(2, dtype=int)[[i % 2 for i in range(48)]]
    with pytest.raises(ValueError, match="valid has labels of another kind than the training texts"):
        WaveClassifier(**TINY).fit(TEXTS, matrix, valid=(TEXTS[:2], ["x", "y"]))
    with pytest.raises(ValueError, match="There are 3 columns of labels but 2 different classes"):
        WaveClassifier(**TINY).fit(TEXTS, matrix, valid=(TEXTS[:3], np.eye(3, dtype=int)))


# --- scikit-learn -------------------------------------------------------------------------------------------


def test_a_measure_of_ones_own_stands_beside_every_record(fitted):
    def measure(trained):
        split = trained.tokens(DATA.test)
        return parameter_digest(trained.network), trained.classes, len(split.labels)

    again = WaveClassifier(**TINY).fit(TEXTS, LABELS, measure=measure)
    assert len(again.measured) == len(again.history) == len(fitted.history)
    assert len({digest for digest, *_ in again.measured}) == len(again.history)
    assert again.measured[-1][0] == parameter_digest(again.network) == parameter_digest(fitted.network)
    assert again.measured[0][1:] == (("0", "1"), 2)
    assert fitted.measured == []
    with unchecked(), pytest.raises(TypeError, match="measure must be a function of a Trained, got 3"):
        WaveClassifier(**TINY).fit(TEXTS, LABELS, measure=3)


@pytest.mark.filterwarnings("ignore")
def test_the_text_explainer_of_lime_works_on_probabilities(fitted):
    lime_text = pytest.importorskip("lime.lime_text")
    explainer = lime_text.LimeTextExplainer(class_names=fitted.classes_, random_state=0)
    found = explainer.explain_instance("rise a", fitted.predict_proba, num_features=2, num_samples=100)
    word, weight = found.as_list()[0]
    assert word == "rise"
    assert weight > 0  # for the second class, "up"


@pytest.mark.filterwarnings("ignore")
def test_the_text_explainer_of_shap_works_on_probabilities(fitted):
    shap = pytest.importorskip("shap")
    explainer = shap.Explainer(fitted.predict_proba, shap.maskers.Text(r"\W+"), output_names=["down", "up"])
    found = explainer(["rise a"], silent=True)
    assert [word.strip() for word in found.data[0]] == ["rise", "a"]
    assert found.values[0, 0, 1] > 0
    whole = found.base_values[0] + found.values[0].sum(axis=0)
    np.testing.assert_allclose(whole, fitted.predict_proba(["rise a"])[0], atol=1e-5)


def test_scikit_learn_knows_what_it_is(fitted):
    assert is_classifier(fitted)
    assert get_tags(fitted).input_tags.string
    check_is_fitted(fitted)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    assert not hasattr(fresh, "classes_")
    with pytest.raises(ValueError, match="not fitted"):  # scikit-learn's NotFittedError
        check_is_fitted(fresh)
    assert repr(make_pipeline(fresh)).count("WaveClassifier(preset='small'")


def test_in_a_pipeline_and_in_cross_validation(fitted):
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, WaveClassifier(**TINY))
    pipeline.set_params(waveclassifier__epochs=12)
    assert cross_val_score(pipeline, TEXTS, LABELS, cv=2).tolist() == [1, 1]
    ranked = cross_val_score(WaveClassifier(**TINY), np.array(TEXTS), LABELS, cv=2, scoring="roc_auc")
    assert ranked.tolist() == [1, 1]


def test_in_a_grid_search():
    grid = {"rate": np.array([1e-9, 0.02])}
    search = GridSearchCV(WaveClassifier(**TINY), grid, cv=2).fit(TEXTS, LABELS)
    assert search.best_params_ == {"rate": 0.02}
    assert search.best_score_ == 1
    assert search.predict(["rise", "fall"]).tolist() == ["up", "down"]


@pytest.mark.parametrize(
    "text",
    ["", " \n", "{} unknown{}", "a b c d " * 16_384],
    ids=["empty", "blank", "unknown", "65,536 tokens"],
)
def test_texts_of_which_nothing_is_learned_train_all_the_same(text):
    texts = [text.replace("{}", str(i)) for i in range(10)]
    classifier = WaveClassifier(**{**TINY, "epochs": 1}).fit(texts, LABELS[:10])
    assert set(classifier.predict(texts[:2])) <= {"up", "down"}


def test_a_vocabulary_of_pieces_needs_a_character():
    with pytest.raises(ValueError, match="No character occurs 2 times in the texts: nothing to train on"):
        WaveClassifier(**TINY, whole_words=False, stems=0).fit([""] * 48, LABELS)


def test_it_needs_no_scikit_learn():
    code = "import sys, wave_jax as wj; wj.WaveClassifier().get_params(); print('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "labels", "error", "sentence"),
    [
        (["a", "b"], [1], ValueError, "There are 2 texts but 1 labels"),
        (["a", "b"], [1, 1], ValueError, "at least 2 classes, got 1"),
        ([], [], ValueError, "at least 2 classes, got 0"),
        (["a", 7], [1, 2], TypeError, r"texts\[1\] must be str, got int: 7"),
        ("ab", [1, 2], TypeError, "got a single str: put it in a list"),
        (np.array([["a"], ["b"]]), [1, 2], TypeError, r"texts\[0\] must be str, got list"),
        (["a", "b"], [1, [2]], TypeError, r"labels\[0\] is 1, where others are sets or lists"),
        (["a", "b"], [1, {}], TypeError, r"labels\[1\] is {}, which is not hashable"),
        (["a", "b"], [1, float("nan")], ValueError, r"labels\[1\] is nan"),
        (["a", "b"], [1, 2], DataError, "No class has two texts"),
        (["a", "a", "\ud800"], [1, 1, 2], DataError, "UTF-8"),
    ],
)
def test_bad_texts_and_labels(texts, labels, error, sentence):
    with unchecked(), pytest.raises(error, match=sentence):
        WaveClassifier(**TINY).fit(texts, labels)


def test_bad_settings():
    with pytest.raises(ValueError, match="WaveClassifier has no setting 'epoch': it is called epochs"):
        WaveClassifier(epoch=3)  # pyright: ignore
    with pytest.raises(ValueError, match="has no setting 'colour': it has preset, verbose, size, valid, "):
        WaveClassifier().set_params(colour=1)
    with pytest.raises(ValueError, match="preset must be one of small"):
        WaveClassifier("large").fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="epochs must be None or at least 1, got 0"):
        WaveClassifier(epochs=0).fit(TEXTS, LABELS)
    with pytest.raises(DataError, match="share of validation texts must be 0 or lie between 0 and 1"):
        WaveClassifier(valid=1.5).fit(TEXTS, LABELS)


def test_before_fit_one_sentence_says_so():
    for use in (
        lambda c: c.network,
        lambda c: c.predict(["a"]),
        lambda c: c.score(["a"], [1]),
        lambda c: c.save("x"),
    ):
        with pytest.raises(ValueError, match=r"no \w+ yet: call fit"):
            use(WaveClassifier())
    assert copy.deepcopy(WaveClassifier(epochs=3)).get_params()["epochs"] == 3
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        WaveClassifier().colour  # noqa: B018


def test_score_needs_a_label_for_each_text(fitted):
    with pytest.raises(ValueError, match="as many labels as texts, got 2 and 1"):
        fitted.score(["rise", "fall"], ["up"])
    assert fitted.score(["rise", "fall"], ["up", "unheard of"]) == 0.5


# --- going on from a trained network ---

LATER = [f"{['rise soar', 'fall sink', 'flat'][i % 3]} {'abcdef'[i % 6]}" for i in range(24)]
SIDES = [["up", "down", "flat"][i % 3] for i in range(24)]
ON = TINY | {"epochs": 3}


@pytest.mark.parametrize("place", ["memory", "run", "pretrained"])
def test_it_goes_on_from_a_classifier_and_from_what_was_saved(place, fitted, tmp_path):
    start = fitted
    if place != "memory":
        start = tmp_path / "first"
        fitted.save(start) if place == "run" else fitted.save_pretrained(start)
    later = WaveClassifier(**ON).fit(LATER, SIDES, start=start, new_classes=True)
    assert later.classes_.tolist() == ["down", "up", "flat"]
    assert later.predict(["rise a"]).tolist() == ["up"]
    said = later.settings.start
    assert (said["path"], said["digest"]) == (
        None if place == "memory" else str(start),
        fitted.metrics["parameter_digest"],
    )
    assert said["new_classes"] == 1
    alone = WaveClassifier(**ON).fit(LATER, SIDES, start=fitted, new_classes=True)
    assert parameter_digest(later.network) == parameter_digest(alone.network)
    later.save(tmp_path / "second")
    loaded = WaveClassifier.load(tmp_path / "second")
    assert (loaded.settings.start, loaded.classes_.tolist()) == (said, later.classes_.tolist())
    assert "started from" in (tmp_path / "second" / "README.md").read_text()
    assert fitted.classes_.tolist() == ["down", "up"]


def test_texts_that_go_on_may_lack_known_classes_and_validate_on_them(fitted):
    ups = [text for text, label in zip(TEXTS, LABELS, strict=True) if label == "up"]
    later = WaveClassifier(**ON).fit(ups, ["up"] * len(ups), start=fitted, valid=(["fall"], ["down"]))
    assert later.classes_.tolist() == ["down", "up"]
    _, given = WaveClassifier()._read(ups, np.tile([0, 1], (len(ups), 1)), None, ["down", "up"], False)
    assert (given.classes, given.each[0]) == (["down", "up"], {"up"})


def test_a_classifier_goes_on_from_itself(fitted):
    again = copy.copy(fitted).set_params(epochs=1)
    again.fit(TEXTS, LABELS, start=again)
    assert again.settings.start["digest"] == parameter_digest(fitted.network)
    assert parameter_digest(again.network) != parameter_digest(fitted.network)


def test_what_it_cannot_go_on_from_is_refused_in_a_sentence(fitted, tmp_path):
    refused = [
        ({"start": fitted}, DataError, "does not know the class 'flat': leave their texts out, or ask for"),
        ({"new_classes": True}, DataError, "new_classes is for a network that is started from"),
        ({"start": tmp_path}, CheckpointError, "config.json is missing: name the folder of a run"),
        ({"start": WaveClassifier()}, NotFitted, "has no classes_ yet"),
    ]
    for more, error, message in refused:
        with pytest.raises(error, match=message):
            WaveClassifier(**ON).fit(LATER, SIDES, **more)
    with pytest.raises(ValueError, match="d is 4, not 8"):
        WaveClassifier(**ON | {"d": 8}).fit(TEXTS, LABELS, start=fitted)
    with pytest.raises(ValueError, match="learnt one label a text, and these texts have several labels"):
        WaveClassifier(**ON).fit(TEXTS, [{label} for label in LABELS], start=fitted)
    with pytest.raises(DataError, match="There are 3 columns of labels but 2 different classes"):
        WaveClassifier(**ON).fit(TEXTS, np.tile([0.5, 0.5, 0.0], (48, 1)), start=fitted)
    assert not list(tmp_path.iterdir())
