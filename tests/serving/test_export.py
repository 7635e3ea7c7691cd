"""A file agrees with its network in every configuration that folds; what rounding costs; StableHLO."""

from dataclasses import fields, replace
from itertools import product

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import unchecked
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CONFIGS, TINY, build

from wave_jax.data import batches
from wave_jax.data.tokenizer import Rules, Tokenizer
from wave_jax.networks.wave_network import ACTIVATIONS, WaveConfig, WaveLayer
from wave_jax.runs.folder import RunFolder, Settings, parameter_digest
from wave_jax.runs.presets import SMALL
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, file, predictor
from wave_jax.training import loop
from wave_jax.training.step import init

TOKENIZER = Tokenizer.train(["the cat sat on the mat. 北京 élan", "dogs, cats and mats!"] * 2, v=60)
CLASSES = ["a", "b", "c"]
N = 8
TEXTS = ["the cat", "", "   ", "\x00", "\ud800", "☃", "[PAD] [CLS]", "dogs and " * 9, "a" * 300, "北京 élan!"]
TEXTS += ["dogs", "cats, cats, cats", "mat on mat", "the " * 6, "sat and sat.", "AND", "élan élan", "!", "on"]


def save(path, network, tokenizer=TOKENIZER, **options):
    return export.save(path, Trained(network, tokenizer, CLASSES, N), **options)


def tokens(texts=TEXTS, n=N, labels=None, tokenizer=TOKENIZER):
    return batches.tokenize(texts, labels, tokenizer, n)


@jax.jit
def call(network, ids, mask):
    return network(ids, mask)


def of_network(network, texts, tokenizer=TOKENIZER):
    """Its logits; the number of texts is filled up, so that there is one program per kind of network."""
    split = tokens(texts, tokenizer=tokenizer)
    rows = np.append(np.arange(len(texts)), np.full(-len(texts) % 20, -1))
    batch = batches.gather(split, rows, 2 * N if len(tokenizer.pairs) else N)
    return np.asarray(call(network, batch.ids, batch.mask))[: len(texts)]


def agrees(got, want):
    """Each text's logits to 1e-4 of the largest of them, and the same answers."""
    assert (np.abs(got - want) <= 1e-4 * np.abs(want).max(axis=1, keepdims=True)).all()
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()


# --- law: the file agrees with the network ------------------------------------------------------------------

WAYS = [
    WaveConfig(d=6, max_length=16, combine=c, read_out=r, pool=p, positions=places, activation=a)
    for (c, r, p, places), a in zip(
        product(
            ("interfere", "modulate"),
            ("real", "magnitude", "real_imag"),
            ("cls", "mean"),
            ("none", "sinusoidal", "learned"),
        ),
        ("none", "relu", "gelu", "tanh", "gelu", "none", "tanh", "relu", "none") * 4,
        strict=True,
    )
]
WAYS += [replace(WAYS[0], voice_width=2), replace(WAYS[-1], voice_width=3)]


@pytest.mark.parametrize(
    "config", WAYS, ids=lambda c: f"{c.combine}-{c.read_out}-{c.pool}-{c.positions}-{c.activation}-{c.voices}"
)
def test_logits_of_every_configuration(config, tmp_path):
    network = build(config, v=TOKENIZER.v + 3)
    save(tmp_path / "file", network)
    agrees(predictor.load(tmp_path / "file").logits(TEXTS), of_network(network, TEXTS))


@pytest.mark.parametrize("config", [{}, {"pool": "mean"}, {"positions": "sinusoidal"}], ids=str)
def test_pairs_of_tokens_are_tokens(config, tmp_path):
    paired = TOKENIZER.with_pairs(TEXTS, np.arange(len(TEXTS)) % 3, most=9)
    network = build(replace(TINY, **config), v=paired.v)
    assert max(tokens(tokenizer=paired).lengths) > N
    save(tmp_path / "file", network, paired)
    agrees(predictor.load(tmp_path / "file").logits(TEXTS), of_network(network, TEXTS, paired))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = np.linspace(-6, 6, 49, dtype=np.float32)
    got = file.ACTIVATIONS[name](x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, ACTIVATIONS[name](x), rtol=1e-5, atol=1e-6)


def test_every_setting_of_a_network_is_thought_of():
    """A new one changes answers, or it does not: say which in `export` and `predictor`, then here."""
    in_the_file = {*file.Formula._fields, "d", "positions", "max_length", "voice_width"} - {"voices"}
    without_effect = {"dropout"}
    refused = {"levels", "layers"}
    assert {field.name for field in fields(WaveConfig)} == in_the_file | without_effect | refused


def test_rows_beyond_the_tokenizer_are_left_out(tmp_path):
    sizes = [save(tmp_path / "file", build(TINY, v=TOKENIZER.v + more)).size for more in (0, 500)]
    assert abs(sizes[0] - sizes[1]) < 100


ODD = st.lists(
    st.sampled_from([*TEXTS, "\t", "\n", "\u200b", "e\u0301", "[SEP]", "##s", "👩‍👩‍👧", "U.S.", " . "])
    | st.text(max_size=5),
    max_size=6,
).map("".join)
LAWS = {
    "cls": replace(TINY, d=5),
    "mean": replace(TINY, d=5, pool="mean", read_out="magnitude", combine="interfere"),
    "places": replace(TINY, d=5, positions="learned", activation="gelu"),
}


@pytest.mark.parametrize("config", LAWS.values(), ids=LAWS)
def test_logits_of_odd_texts(config, tmp_path):
    network = build(config, v=TOKENIZER.v)
    save(tmp_path / "file", network)
    answers = predictor.load(tmp_path / "file")

    @settings(deadline=None, max_examples=60)
    @given(st.lists(ODD, min_size=1, max_size=5))
    def law(texts):
        agrees(answers.logits(texts), of_network(network, texts))

    law()


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_token_that_dominates(pool, dtype, tmp_path):
    """The other rows keep their digits in every form."""
    network = build(replace(TINY, pool=pool), v=TOKENIZER.v)
    save(tmp_path / "plain", network, dtype=dtype)
    network.embedding[...] = network.embedding[...].at[TOKENIZER.vocabulary["dogs"]].mul(1e3)
    save(tmp_path / "loud", network, dtype=dtype)
    without = [text for text in TEXTS if "dogs" not in text]
    alike = [predictor.load(tmp_path / name).logits(without) for name in ("plain", "loud")]
    np.testing.assert_array_equal(*alike)
    if dtype == "float32":
        agrees(predictor.load(tmp_path / "loud").logits(TEXTS), of_network(network, TEXTS))


# --- the forms of a file ------------------------------------------------------------------------------------


def test_weights_or_rows_whichever_is_smaller(tmp_path):
    """Rows per token take 2d numbers a token, weights d and 2d² + 2d besides."""
    narrow, wide = (build(replace(TINY, d=d), v=TOKENIZER.v) for d in (6, 40))
    assert not save(tmp_path / "narrow", narrow).folded
    assert save(tmp_path / "wide", wide).folded
    agrees(predictor.load(tmp_path / "wide").logits(TEXTS), of_network(wide, TEXTS))


def test_the_same_network_gives_the_same_bytes(tmp_path):
    sizes = {save(tmp_path / name, build(TINY, v=60), dtype="int8").size for name in "ab"}
    assert sizes == {(tmp_path / "a").stat().st_size}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_int8_keeps_a_255th_of_the_largest_of_each_row():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(84, 9)) * 10.0 ** np.arange(-46, 38)[:, None]).astype(np.float32)
    rounded = export._rounded({"tokens": x, "places": x}, "int8")
    assert [rounded[name].dtype for name in ("tokens", "tokens.scale", "places")] == ["int8", "f4", "f4"]
    back = file.restored(rounded, "tokens")
    largest = np.abs(np.float64(x)).max(axis=1, keepdims=True)
    bound = np.where(largest < 1e-30, 1e-30, largest / 253)  # rows of less are 0
    assert (np.abs(np.float64(back) - x) <= bound).all()


def test_small_as_int8_is_under_4_mb(tmp_path):
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (29_995, 8)).astype(np.uint8)
    words = [bytes(row).decode() for row in letters]
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    tokenizer = Tokenizer(vocabulary, Rules())
    assert tokenizer.v == 30_000
    network = build(SMALL.network, v=tokenizer.v, c=4)
    written = export.save(tmp_path / "file", Trained(network, tokenizer, list("abcd"), 512), dtype="int8")
    assert written.size == (tmp_path / "file").stat().st_size < 4e6
    assert predictor.load(tmp_path / "file").predict([words[0], "?"])


def test_what_rounding_costs_is_told(tmp_path):
    network = build(TINY, v=60)
    labels = [k % 4 - 1 for k in range(len(TEXTS))]
    before = of_network(network, TEXTS)
    for dtype in ("float32", "float16", "int8"):
        written = save(tmp_path / "file", network, dtype=dtype, valid=tokens(labels=labels))
        after, loss = predictor.load(tmp_path / "file").logits(TEXTS), written.loss
        assert loss is not None
        assert loss.texts == len(TEXTS)
        assert loss.changed == np.mean(before.argmax(axis=1) != after.argmax(axis=1))
        np.testing.assert_allclose(loss.largest, np.abs(after - before).max(), rtol=1e-4, atol=1e-5)
        known = np.array(labels) >= 0
        for share, logits in ((loss.before, before), (loss.after, after)):
            assert share == np.mean((logits.argmax(axis=1) == labels)[known])
    assert loss.largest > 1e-3  # so int8 does round
    loss = save(tmp_path / "file", network, valid=tokens()).loss
    assert loss is not None
    assert np.isnan([loss.before, loss.after]).all()
    assert save(tmp_path / "file", network).loss is None


def test_of_a_run_folder_the_best_network(tmp_path):
    run = Settings(
        network=TINY,
        training=loop.TrainConfig(),
        v=TOKENIZER.v,
        classes=CLASSES,
        max_length=N,
        tokenizer=TOKENIZER.digest,
        data={},
    )
    states = [init(build(TINY, v=TOKENIZER.v, seed=seed)) for seed in (1, 2)]
    with RunFolder.create(tmp_path / "run", run, TOKENIZER) as folder:
        folder.resume()
        for step, state in enumerate(states):
            folder.save(state._replace(step=jnp.int32(step)), metric=-step)
    with RunFolder.open(tmp_path / "run") as folder:
        written = export.save(tmp_path / "file", folder.trained(), dtype="float16", valid=tokens())
    best = states[0].network
    answers = predictor.load(tmp_path / "file")
    assert written.digest == answers.digest == parameter_digest(best)
    assert (answers.classes, answers.max_length, answers.tokenizer) == (tuple(CLASSES), N, TOKENIZER)
    np.testing.assert_allclose(answers.logits(TEXTS), of_network(best, TEXTS), atol=0.1)


# --- bad input ----------------------------------------------------------------------------------------------


def test_parts_of_ones_own_are_in_no_file(tmp_path):
    class OwnLayer(WaveLayer):
        """A layer whose formula the file does not know."""

    layered = build(CONFIGS["modulation"], v=TOKENIZER.v)
    layered.layers[0] = OwnLayer(TINY, nnx.Rngs(0))
    for own in (layered, build(replace(TINY, read_out=jnp.abs), v=TOKENIZER.v)):
        with pytest.raises(ValueError, match=r"the formulas of this library alone.*`export\.stablehlo`"):
            save(tmp_path / "own.wave", own)


@pytest.mark.parametrize("name", ["two layers", "Transformer", "bag", "BERT"])
def test_networks_that_do_not_fold(name, tmp_path):
    with pytest.raises(
        ValueError, match=r"Only a Wave Network of one layer at input level .* `export\.stablehlo"
    ):
        save(tmp_path / "file", build(CONFIGS[name], v=60))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("config", [replace(TINY, layers=2), replace(TINY, levels="sentence")], ids=str)
def test_layers_and_levels_that_do_not_fold(config, tmp_path):
    with pytest.raises(ValueError, match="Only a Wave Network of one layer at input level"):
        save(tmp_path / "file", build(config, v=60))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int4"}, "dtype must be float32, float16 or int8, got 'int4'"),
        ({"classes": ["a", "b"]}, r"classes must be 3 names, one per logit, got \['a', 'b'\]"),
        ({"classes": [1, 2, 3]}, "classes must be 3 names"),
        ({"max_length": 2}, r"max_length must be in 3\.\.16, got 2"),
        ({"max_length": 17}, r"max_length must be in 3\.\.16, got 17"),
        ({"tokenizer": Tokenizer.train(["some other words"] * 2, v=99)}, "tokenizer must be of at most the"),
    ],
    ids=str,
)
def test_bad_settings(options, message, tmp_path):
    network = build(replace(TINY, positions="learned"), v=20)
    small = Tokenizer.train(["a b"] * 2, v=20)
    good = Trained(network, small, CLASSES, N)
    export.save(tmp_path / "good", good)
    changes = {name: value for name, value in options.items() if name != "dtype"}
    with unchecked(), pytest.raises(ValueError, match=message):
        export.save(tmp_path / "file", good._replace(**changes), dtype=options.get("dtype", "float32"))
    assert not (tmp_path / "file").exists()


def spoiled(value, where=lambda network: network.embedding):
    network = build(TINY, v=TOKENIZER.v)
    parameter = where(network)
    parameter[...] = parameter[...].at[0].set(value)
    return network


def test_numbers_that_no_file_can_hold(tmp_path):
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="embedding holds NaN or infinity: export an earlier step"):
            save(tmp_path / "file", spoiled(value))
        with pytest.raises(ValueError, match="norm_bias holds NaN or infinity"):
            save(tmp_path / "file", spoiled(value, lambda network: network.layers[0].norm.bias))
    for value in (1e19, 3e38):
        with pytest.raises(ValueError, match="squares beyond float32"):
            save(tmp_path / "file", spoiled(value))
    with pytest.raises(ValueError, match=r"float16 cannot hold 7e\+04, in embedding: take float32 or int8"):
        save(tmp_path / "file", spoiled(7e4), dtype="float16")
    assert not list(tmp_path.iterdir())


# --- StableHLO ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["modulation", "Transformer"])
def test_stablehlo_of_any_number_of_texts(name):
    network = build(CONFIGS[name], v=TOKENIZER.v)
    program = jax.export.deserialize(bytearray(export.stablehlo(network, n=N)))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    split = tokens()
    for b in (1, 5):
        batch = batches.gather(split, np.arange(b), N)
        got = program.call(jnp.asarray(batch.ids), jnp.asarray(batch.mask))
        np.testing.assert_allclose(got, call(network, batch.ids, batch.mask), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="shape"):
        program.call(jnp.zeros((2, N + 1), jnp.int32), jnp.ones((2, N + 1), bool))


def test_stablehlo_needs_a_network_without_sentences():
    with pytest.raises(ValueError, match="needs segments"):
        export.stablehlo(build(CONFIGS["two layers"], v=60), n=N)
