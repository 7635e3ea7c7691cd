"""BERT's weights from a folder: names, precision, and what is missing or damaged."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden import make_bert
from safetensors.numpy import save_file

from wave_jax.networks import bert_weights

WEIGHTS = make_bert.weights()


def write(folder, weights=WEIGHTS, **settings):
    """A folder as Hugging Face writes it."""
    (folder / "config.json").write_text(json.dumps(make_bert.CONFIG | settings))
    save_file(weights, folder / "model.safetensors")
    return folder


def load(folder):
    """The BERT of a folder with the golden classifier."""
    model = bert_weights.load(folder, make_bert.CLASSES, nnx.Rngs(0))
    model.classifier.kernel[...] = jnp.asarray(WEIGHTS["classifier.weight"].T)
    model.classifier.bias[...] = jnp.asarray(WEIGHTS["classifier.bias"])
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


def test_prefix_old_names_and_foreign_weights_do_not_matter(model, tmp_path):
    def old(name):
        return "bert." + name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")

    weights = {old(name): array for name, array in WEIGHTS.items()}
    weights["bert.embeddings.position_ids"] = np.arange(12)[None]
    weights["cls.predictions.bias"] = np.zeros(50, np.float32)
    found = bert_weights.load(write(tmp_path, weights), make_bert.CLASSES, nnx.Rngs(0))
    for (_, a, _), (_, b, _) in zip(bert_weights._parts(found), bert_weights._parts(model), strict=True):
        np.testing.assert_array_equal(a[...], b[...])


def test_half_precision_weights_become_float32(tmp_path):
    write(tmp_path, {name: array.astype(np.float16) for name, array in WEIGHTS.items()})
    model = bert_weights.load(tmp_path, 2, nnx.Rngs(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {np.dtype("float32")}
    assert model.classifier.kernel.shape == (16, 2)


def test_word_embeddings_alone(folder):
    table = bert_weights.word_embeddings(folder)
    np.testing.assert_array_equal(table, WEIGHTS["embeddings.word_embeddings.weight"])


def test_a_folder_without_a_pooler_loads_and_says_so(tmp_path):
    """A BERT for sentence vectors has none."""
    bare = {name: array for name, array in WEIGHTS.items() if not name.startswith(("pooler", "classifier"))}
    with pytest.warns(UserWarning, match="holds no pooler: it starts at random, as the classifier does"):
        model = bert_weights.load(write(tmp_path, bare), make_bert.CLASSES, nnx.Rngs(0))
    np.testing.assert_array_equal(
        model.layers[0].up.kernel[...].T, bare["encoder.layer.0.intermediate.dense.weight"]
    )
    assert np.std(model.pooler.kernel[...]) > 0
    assert bert_weights.is_whole(tmp_path)


def test_words_alone_are_no_whole_bert(tmp_path):
    name = "embeddings.word_embeddings.weight"
    assert not bert_weights.is_whole(write(tmp_path, {name: WEIGHTS[name]}))


def test_missing_and_misshapen_weights_are_named(tmp_path):
    weights = {name: array for name, array in WEIGHTS.items() if name != "encoder.layer.1.output.dense.bias"}
    weights["pooler.dense.weight"] = np.zeros((16, 15), np.float32)
    with pytest.raises(ValueError, match=r"model\.safetensors does not fit") as raised:
        bert_weights.load(write(tmp_path, weights), 4, nnx.Rngs(0))
    assert "encoder.layer.1.output.dense.bias must be (16,), is missing" in str(raised.value)
    assert "pooler.dense.weight must be (16, 16), is (16, 15)" in str(raised.value)
    with pytest.raises(ValueError, match="; and 14 more"):
        bert_weights.load(write(tmp_path, num_hidden_layers=3, max_position_embeddings=13), 4, nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"word_embeddings.weight must be \(51, 16\), is \(50, 16\)"):
        bert_weights.word_embeddings(write(tmp_path, vocab_size=51))


def test_a_missing_or_damaged_file_of_weights_is_named(tmp_path):
    file = write(tmp_path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged .*: download it again"):
        bert_weights.load(tmp_path, 4, nnx.Rngs(0))
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing: download"):
        bert_weights.word_embeddings(tmp_path)
