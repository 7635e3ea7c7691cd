"""A run that starts from a trained network: what was learnt stays, what is new is added, or refused."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny import APART, APART_PRESET, CONFIGS, DATA, PRESET

from wave_jax.data.datasets import Dataset
from wave_jax.errors import CheckpointError, DataError
from wave_jax.runs import continued, hub, presets, result, run, steps
from wave_jax.runs.continued import Start
from wave_jax.runs.folder import RunFolder, parameter_digest
from wave_jax.runs.hub import Saved
from wave_jax.training.evaluate import predict

WORDY = replace(APART_PRESET, v=200, pairs=60, stems=40)
MORE = Dataset.from_texts(
    [f"{['rise gain', 'soar high soaks'][i % 2]} {'pqrs'[i % 4]}" for i in range(16)],
    [["+", "up"][i % 2] for i in range(16)],
    valid=(["rise", "soar"], ["-", "up"]),
    known=("+", "-"),
)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished run on the texts that have words of their own, in its folder."""
    path = tmp_path_factory.mktemp("first") / "run"
    prepared = run.prepare(APART, WORDY)
    with run.run_folder(path, prepared) as folder:
        *_, _ = run.train(prepared, folder)
        result.finish(folder, prepared, preset="tiny")
    return path


@pytest.fixture(scope="module")
def start(first):
    return continued.opened(first)


@pytest.fixture(scope="module")
def grown(start):
    return run.prepare(MORE, WORDY, start=start)


def table(network):
    return np.asarray(network.embedding[...])


def test_every_known_token_keeps_what_it_learnt_and_words_and_stems_keep_their_rows(start, grown):
    old, new = start.kept.tokenizer, grown.tokenizer
    assert {"soar", "high", "soa##"} <= {*new.vocabulary} - {*old.vocabulary}
    assert old.vocabulary.items() <= new.vocabulary.items()
    assert min(new.vocabulary[token] for token in {*new.vocabulary} - {*old.vocabulary}) == old.first_pair
    assert "soar high" in new.tokens
    assert "rise gain" in old.tokens
    rows, before = table(grown.network), table(start.kept.network)
    for row, token in enumerate(old.tokens):
        np.testing.assert_array_equal(rows[new.tokens.index(token)], before[row], err_msg=token)
    assert len({*new.tokens}) == len(new.tokens) == new.v


def test_a_new_word_begins_as_what_it_was_read_as(start, grown):
    rows, before, known = table(grown.network), table(start.kept.network), start.kept.tokenizer
    assert known.explain("soar", 9)[1].token == "[UNK]"
    np.testing.assert_array_equal(rows[grown.tokenizer.vocabulary["soar"]], before[known.unk_id])
    pieces = continued.Start(saved_in_pieces()).kept
    more = pieces.tokenizer.with_words(["upon upon", "upon"], most=5)
    settings = replace(pieces.settings, v=more.v, tokenizer=more.digest)
    network = continued.network(Start(pieces), settings, more)
    read_as = [piece.id for piece in pieces.tokenizer.explain("upon", 9)][1:-1]
    assert len(read_as) > 1
    mean = table(pieces.network)[read_as].mean(axis=0)
    np.testing.assert_array_equal(table(network)[more.vocabulary["upon"]], mean)


def saved_in_pieces() -> Saved:
    dataset = Dataset.from_texts(["up on no", "non pop on"] * 4, [0, 1] * 4, classes=["+", "-"])
    prepared = run.prepare(dataset, PRESET)
    return Saved(prepared.settings, prepared.network, prepared.tokenizer, {"preset": None}, [])


def test_classes_keep_their_order_and_their_parameters_and_new_ones_follow(start, grown):
    assert grown.settings.classes == ("+", "-", "up")
    old, new = (steps.named(network) for network in (start.kept.network, grown.network))
    assert new["classifier.kernel"].shape == (4, 3)
    for name in old:
        if name != "embedding":
            corner = np.asarray(new[name])[tuple(map(slice, old[name].shape))]
            np.testing.assert_array_equal(corner, old[name], err_msg=name)
    assert np.asarray(new["classifier.kernel"])[:, 2].any()
    assert grown.valid.labels.tolist() == [1, 2]


def test_old_texts_get_old_answers_before_the_first_step(start, grown):
    """Texts of known words, with a table that grew and rows that moved."""
    trained = start.kept
    old = run.Trained.of(trained.settings, trained.network, trained.tokenizer)
    texts = Dataset.from_texts(["rise gain", "fall"], [0, 1], classes=["+", "-"], share=0.0).train
    ours, theirs = (predict(of.network, of.tokens(texts)) for of in (old, grown.trained(grown.network)))
    np.testing.assert_allclose(theirs[:, :2], ours, rtol=1e-5)


def test_without_anything_new_it_is_the_trained_network(start):
    again = run.prepare(APART, replace(WORDY, v=0, pairs=0, stems=0), start=start)
    assert again.tokenizer == start.kept.tokenizer
    assert parameter_digest(again.network) == parameter_digest(start.kept.network)
    assert again.settings.start["new_rows"] == again.settings.start["new_classes"] == 0


def test_parameters_bound_the_rows(start):
    network, v = start.kept.network, start.kept.tokenizer.v
    per_row = network.embedding.shape[1]
    rest = sum(x.size for x in steps.named(network).values()) - network.embedding[...].size
    dataset = replace(MORE, classes=("+", "-"), train=MORE.train.take(range(0, 16, 2)))
    bound = replace(WORDY, parameters=rest + per_row * (v + 3))
    assert run.prepare(dataset, bound, start=start).tokenizer.v == v + 3


def test_a_run_tells_what_it_started_from(start, grown, first):
    said = grown.settings.start
    assert said["path"] == str(first)
    assert said["digest"] == RunFolder.open(first).metrics()["parameter_digest"]
    assert (said["data"], said["new_classes"]) == ("texts", 1)
    assert said["new_rows"] == grown.tokenizer.v - start.kept.tokenizer.v > 0


def without_time(records):
    return [record._replace(texts_per_second=0.0) for record in records]


def test_it_is_reproducible_and_resumes_to_the_same_bits_from_a_start_that_moved(first, grown, tmp_path):
    whole = [(turn.record, turn.kept) for turn in run.train(grown, every=2)]
    moved = tmp_path / "moved"
    shutil.copytree(first, moved)
    again = run.prepare(MORE, WORDY, start=continued.opened(moved))
    with run.run_folder(tmp_path / "run", grown) as folder:
        folder.save(next(run.train(grown, folder, every=2)).state)
    with run.run_folder(tmp_path / "run", again, resume=True) as folder:
        *_, resumed = run.train(again, folder, every=2)
    assert parameter_digest(resumed.kept) == parameter_digest(whole[-1][1])
    found = RunFolder.open(tmp_path / "run").records()
    assert without_time(found) == without_time(record for record, _ in whole)
    other = Start(start_with(grown, 1.0), str(first))
    with pytest.raises(CheckpointError, match=r"is of another run: start\.digest is"):
        run.run_folder(tmp_path / "run", run.prepare(MORE, WORDY, start=other), resume=True)
    fresh = grown._replace(settings=replace(grown.settings, start=None))
    with pytest.raises(CheckpointError, match=r"start\.path is"):
        run.run_folder(tmp_path / "run", fresh, resume=True)


def start_with(grown, more):
    """The same network with another bias."""
    network = grown.network
    arrays = steps.named(network) | {"classifier.bias": steps.named(network)["classifier.bias"] + more}
    changed = jax.tree.unflatten(jax.tree.structure(network), [*arrays.values()])
    return Saved(grown.settings, changed, grown.tokenizer, {"preset": "tiny"}, [])


def test_a_folder_for_the_hub_is_started_from_too(start, tmp_path):
    hub.save(tmp_path / "news", start.kept)
    loaded = continued.opened(tmp_path / "news")
    assert parameter_digest(loaded.kept.network) == parameter_digest(start.kept.network)
    assert loaded.place == str(tmp_path / "news")


@pytest.mark.parametrize(
    ("model", "kind"), [("transformer", "Transformer"), ("bag", "bag"), ("bert", "BERT")]
)
def test_networks_of_other_kinds_are_trained_on_too(model, kind, tmp_path):
    preset = replace(PRESET, network=CONFIGS[kind])
    before = run.prepare(DATA, preset)
    saved = Saved(before.settings, before.network, before.tokenizer, {"preset": "tiny"}, [])
    own = presets.preset("paper-modulation", model, start=before.settings)
    assert own.network == preset.network
    again = run.prepare(DATA, replace(own, v=0, pairs=0), start=Start(saved))
    assert parameter_digest(again.network) == parameter_digest(before.network)
    with pytest.raises(ValueError, match=f"model must be {model}, as what is started from, got 'wave'"):
        presets.preset("small", start=before.settings)
    with pytest.raises(ValueError, match="weights must be left out where a run is started from"):
        presets.preset("small", model, tmp_path, before.settings)


def test_what_does_not_fit_is_refused_in_a_sentence(start):
    wave = WORDY.network
    refused = [
        (replace(WORDY, whole_words=False, stems=0), "reads whole words, and the settings ask for pieces of"),
        (replace(WORDY, network=replace(wave, d=8)), "has another network .*: d is 4, not 8; leave them out"),
        (replace(WORDY, network=replace(wave, layers=2)), "layers is 1, not 2"),
        (replace(WORDY, network=presets.preset("small", "bag").network), "it is a wave, not a bag"),
    ]
    for preset, message in refused:
        with pytest.raises(ValueError, match=message):
            run.prepare(MORE, preset, start=start)
    free = replace(WORDY, network=replace(wave, dropout=0.5, max_length=9))
    assert run.prepare(MORE, free, start=start).settings.max_length == 9
    with pytest.raises(DataError, match="do not come first: load the texts with known=its classes"):
        run.prepare(Dataset.from_texts(["a", "b"] * 5, ["0", "1"] * 5), WORDY, start=start)
    several = replace(WORDY, training=replace(WORDY.training, labels="several"))
    bars = Dataset.from_texts(list("abcd"), np.eye(4, 2) > 0, classes=["+", "-"], share=0.0)
    with pytest.raises(ValueError, match="learnt one label a text, and these texts have several labels"):
        run.prepare(bars, several, start=start)


def test_a_width_that_parameters_made_of_the_settings_is_no_other_width(start):
    wide = replace(APART_PRESET, network=replace(APART_PRESET.network, d=20), parameters=1_500)
    kept = run.prepare(APART, wide)
    assert kept.settings.network.d < 20
    saved = Saved(kept.settings, kept.network, kept.tokenizer, {"preset": "tiny"}, [])
    assert run.prepare(APART, wide, start=Start(saved)).settings.network == kept.settings.network


def test_what_is_no_finished_run_is_refused_in_a_sentence(first, tmp_path):
    begun = tmp_path / "begun"
    shutil.copytree(first, begun)
    (begun / "metrics.json").unlink()
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "a.wave").write_bytes(b"WaveJAX\n")
    refused = {
        begun: "begun is not finished: resume it first, or name a finished run",
        bert: "is a BERT and no run: start from it by --model bert --weights",
        tmp_path
        / "a.wave": r"a\.wave is a file: name the folder of a run; an exported file can only predict",
        tmp_path / "nowhere": r"config\.json is missing: name the folder of a run",
    }
    for path, message in refused.items():
        with pytest.raises(CheckpointError, match=message):
            continued.opened(path)
