"""The Wave Network: logits against the oracle, the short way against the trace, symmetries, settings."""

from dataclasses import replace

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import paper
import pytest
from conftest import unchecked
from flax import nnx
from tiny import BATCH, TINY, build, in_float64

from wave_jax.networks.layers import Embedding, count_parameters
from wave_jax.networks.trace import Trace
from wave_jax.networks.wave_network import PAPER_INTERFERENCE, PAPER_MODULATION, WaveConfig
from wave_jax.runs.presets import SMALL
from wave_jax.training.loss import loss, score

IDS, MASK, SEGMENTS = BATCH.ids, BATCH.mask, BATCH.segments


@jax.jit
def call(network, ids, mask, segments=None, key=None):
    return network(ids, mask, segments, key)


@jax.jit
def trace(network, ids, mask, segments=None, key=None):
    return network.trace(ids, mask, segments, key)


# formula


@pytest.mark.parametrize("positions", ["none", "sinusoidal", "learned"])
@pytest.mark.parametrize(
    ("combine", "read_out", "pool"),
    [
        ("interfere", "real_imag", "cls"),
        ("modulate", "real_imag", "mean"),
        ("interfere", "magnitude", "mean"),
    ],
)
def test_logits_against_the_oracle(combine, read_out, pool, positions):
    network = build(replace(TINY, combine=combine, read_out=read_out, pool=pool, positions=positions))
    want = np.stack(
        [paper.wave_network(network, np.asarray(ids[mask])) for ids, mask in zip(IDS, MASK, strict=True)]
    )
    np.testing.assert_allclose(call(network, IDS, MASK), want, rtol=2e-4, atol=2e-4)
    with jax.enable_x64(True):
        network = in_float64(network)
        np.testing.assert_allclose(call(network, IDS, MASK), want, rtol=2e-7)  # sinusoids are float32


def test_combine_and_read_out_take_a_function():
    named = build(replace(TINY, combine="interfere", read_out="magnitude", pool="mean"))
    own = build(replace(TINY, combine=jnp.add, read_out=jnp.abs, pool="mean"))
    np.testing.assert_allclose(call(own, IDS, MASK), call(named, IDS, MASK), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trace(own, IDS, MASK).logits, call(own, IDS, MASK), rtol=1e-4, atol=1e-5)
    wide = build(replace(TINY, read_out=lambda Z: jnp.concatenate([Z.real, Z.imag, jnp.abs(Z)], axis=-1)))
    assert wide.layers[0].feed_forward.kernel.shape == (18, 6)
    np.testing.assert_allclose(trace(wide, IDS, MASK).logits, call(wide, IDS, MASK), rtol=1e-4, atol=1e-5)


def test_a_function_that_makes_no_read_out_is_refused():
    for read_out, got in [
        (lambda Z: Z, r"complex64\(1, 6\)"),
        (lambda Z: Z.real[..., :4], r"float32\(1, 4\)"),
        (lambda Z: jnp.sum(Z.real), r"float32\(\)"),
    ]:
        with (
            unchecked(),
            pytest.raises(ValueError, match=f"shape .n, k·6. of two waves .n, 6., got {got} for n = 1"),
        ):
            replace(TINY, read_out=read_out).build(v=11, c=3, rngs=nnx.Rngs(0))
    with (
        unchecked(),
        pytest.raises(ValueError, match="combine must be interfere, modulate or a function, got 'add'"),
    ):
        replace(TINY, combine="add")
    with unchecked(), pytest.raises(ValueError, match="pool must be cls or mean, got <"):
        replace(TINY, pool=max)


def test_parameter_counts_of_the_presets():
    counts = {}
    for name, config, v in [
        ("m", PAPER_MODULATION, 30_522),
        ("i", PAPER_INTERFERENCE, 30_522),
        ("s", SMALL, 20_000),
    ]:
        network = jax.eval_shape(lambda config=config, v=v: config.build(v=v, c=4, rngs=nnx.Rngs(0)))
        counts[name] = tuple(count_parameters(network))
    d = 768
    papers = 2 * (d * d + d) + (2 * d * d + d) + 2 * d + 4 * d + 4
    assert counts["m"] == counts["i"] == (papers + 30_522 * d, papers) == (25_807_108, 2_366_212)
    k = 96 // 12  # wide is a voice
    voice = 2 * (k * k + k) + (2 * k * k + k) + 2 * k + 4 * k
    assert counts["s"] == (20_000 * 96 + 12 * voice + 4, 12 * voice + 4) == (1_923_940, 3_940)


def test_learned_positions_count_as_embeddings():
    network = replace(TINY, positions="learned").build(v=11, c=3, rngs=nnx.Rngs(0))
    total, without = count_parameters(network)
    assert total - without == 11 * 6 + 16 * 6


def voice(network, k):
    """The k-th voice as a network of its own, by cutting its numbers out."""
    config = network.config
    width = config.d // config.voices
    alone = jax.tree.map(np.array, build(replace(config, d=width, voice_width=None)))
    network = jax.device_get(network)
    mine = slice(k * width, (k + 1) * width)

    def take(one, of, where):
        one[...] = of[where]

    take(alone.embedding, network.embedding, (slice(None), mine))
    for layer, whole in zip(alone.layers, network.layers, strict=True):
        for name in ("variant1", "variant2", "feed_forward"):
            take(getattr(layer, name).kernel, getattr(whole, name).kernel, (slice(None), mine))
            take(getattr(layer, name).bias, getattr(whole, name).bias, mine)
        take(layer.norm.scale, whole.norm.scale, mine)
        take(layer.norm.bias, whole.norm.bias, mine)
    take(alone.classifier.kernel, network.classifier.kernel, mine)
    take(alone.classifier.bias, network.classifier.bias, slice(None))
    return alone


@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, voice_width=3),
        replace(TINY, voice_width=3, layers=2, pool="mean", combine="interfere", read_out="magnitude"),
    ],
)
def test_voices_are_narrow_networks_side_by_side_and_their_mean_answers(config):
    network = build(config)
    each = [call(voice(network, k), IDS, MASK) for k in range(config.voices)]
    voices = jax.jit(lambda network: network.voices(IDS, MASK))(network)
    np.testing.assert_allclose(voices, each, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(call(network, IDS, MASK), np.mean(each, axis=0), rtol=2e-4, atol=2e-4)


def test_in_training_every_voice_is_to_know_the_labels_by_itself():
    network, key = build(replace(TINY, voice_width=3)), jax.random.key(0)

    @jax.jit
    def of(network):
        slope = jax.grad(loss)(network, BATCH, key).embedding[...]
        return score(network, BATCH, key, 0.1), score(network, BATCH), slope

    each = [jax.device_get(of(voice(network, k))) for k in range(2)]
    got, without_key, slope = jax.device_get(of(network))
    np.testing.assert_allclose(got.loss, np.mean([one.loss for one, *_ in each]), rtol=1e-4)
    assert got.correct == without_key.correct
    np.testing.assert_allclose(slope[:, 3:] * 2, each[1][2], rtol=1e-3, atol=1e-6)


def test_a_voice_is_at_least_as_wide_as_asked_for():
    for d in range(1, 50):
        for width in (2, 5, 8):
            voices = WaveConfig(d=d, voice_width=width).voices
            fits = [k for k in range(1, d + 1) if d % k == 0 and d // k >= width]
            assert voices == max(fits, default=1)
    with pytest.raises(ValueError, match=r"^voice_width must be None or at least 2, got 1"):
        replace(TINY, voice_width=1)  # a norm of one number is 0


# the short way and the trace

VARIED = [
    TINY,
    replace(TINY, voice_width=3, dropout=0.4),
    replace(TINY, voice_width=2, pool="mean", layers=2, combine="interfere"),
    replace(TINY, pool="mean", combine="interfere"),
    replace(TINY, levels="sentence", positions="learned", activation="gelu"),
    replace(TINY, layers=3, dropout=0.4),
    replace(TINY, layers=2, pool="mean", dropout=0.4, levels="sentence"),
    replace(TINY, dropout=0.4, read_out="magnitude"),
]


@pytest.mark.parametrize("config", VARIED)
def test_the_short_way_equals_the_trace_with_and_without_dropout(config):
    network = build(config)
    for key in (None, jax.random.key(3)):
        short, full = call(network, IDS, MASK, SEGMENTS, key), trace(network, IDS, MASK, SEGMENTS, key).logits
        np.testing.assert_allclose(short, full, rtol=1e-4, atol=1e-5)
    dropped = not np.allclose(full, call(network, IDS, MASK, SEGMENTS))
    assert dropped == (config.dropout > 0)


def test_with_cls_pooling_only_the_row_of_cls_is_computed():
    """No array of waves, read-outs or outputs with all n tokens is in the program of the short way."""
    network, n, d = build(TINY), 6, 6
    program = jax.make_jaxpr(lambda ids: network(ids, ids > 0))(IDS)
    shapes = {v.aval.shape for eqn in _equations(program.jaxpr) for v in eqn.outvars}
    assert (2, 1, d) in shapes
    assert (2, n, 2 * d) not in shapes
    kinds = {
        v.aval.dtype for eqn in _equations(program.jaxpr) for v in eqn.outvars if v.aval.shape == (2, n, d)
    }
    assert kinds <= {np.dtype("float32"), np.dtype("bool")}


def _equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.extend.core.jaxprs_in_params(eqn.params):
            yield from _equations(inner)


def test_a_trace_names_every_stage_and_layers_become_tuples():
    one, three = trace(build(TINY), IDS, MASK), trace(build(replace(TINY, layers=3)), IDS, MASK)
    shapes = {name: stage.shape for name, stage in one._asdict().items()}
    assert shapes == {
        **dict.fromkeys(("w", "w1", "w2", "Z1", "Z2", "Z"), (2, 6, 6)),
        **{"x": (2, 6, 12), "h": (2, 6), "logits": (2, 3)},
    }
    assert all(
        isinstance(getattr(three, name), tuple) and len(getattr(three, name)) == 3
        for name in ("w1", "Z", "x")
    )
    assert one.Z.dtype == np.complex64
    assert Trace._fields == ("w", "w1", "w2", "Z1", "Z2", "Z", "x", "h", "logits")


def test_several_layers_follow_equation_8():
    """W_{n+1} = W_n + g(f(W_n)), and one layer is without the sum."""

    @jax.jit
    def layer_by_layer(network, w):
        for layer in network.layers:
            output = layer(w, MASK, None, None)
            w = w + output
        return w if len(network.layers) > 1 else output

    for layers in (1, 2):
        network = build(replace(TINY, layers=layers, pool="mean"))
        stages = trace(network, IDS, MASK)
        outputs = np.asarray(layer_by_layer(network, stages.w))
        np.testing.assert_allclose(stages.h[0], outputs[0].mean(0), rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("positions", ["none", "sinusoidal", "learned"])
def test_mapping_the_rows_of_a_narrowed_table_is_mapping_the_tokens(positions, layers):
    config = replace(TINY, positions=positions, layers=layers, voice_width=3)
    network, rows = jax.device_get(build(config)), np.unique(IDS)
    small = jax.tree.map(lambda x: x, network)
    small.embedding = Embedding(network.embedding[...][rows])
    fewer = BATCH._replace(ids=np.searchsorted(rows, IDS))
    value, slope = jax.device_get(jax.jit(jax.value_and_grad(loss))(network, BATCH))
    short, short_slope = jax.jit(jax.value_and_grad(loss))(small, fewer)
    np.testing.assert_allclose(short, value, rtol=1e-6)
    slope.embedding = Embedding(slope.embedding[...][rows])
    for a, b in zip(jax.tree.leaves(short_slope), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


# law


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("positions", ["none", "sinusoidal", "learned"])
def test_word_order_is_seen_only_with_positions(positions, layers):
    network = build(replace(TINY, positions=positions, layers=layers))
    order = jnp.array([0, 3, 1, 5, 2, 4])  # [CLS] keeps its place
    logits = call(network, IDS[:, order], MASK[:, order])
    same = np.allclose(logits, call(network, IDS, MASK), rtol=1e-4, atol=1e-5)
    assert same == (positions == "none")


def test_sentence_level_sees_where_sentences_end():
    network = build(replace(TINY, levels="sentence"))
    logits = call(network, IDS, MASK, SEGMENTS)
    assert not np.allclose(logits, call(network, IDS, MASK, jnp.zeros_like(IDS)))
    one_sentence = build(TINY)
    np.testing.assert_allclose(
        call(network, IDS, MASK, jnp.zeros_like(IDS)), call(one_sentence, IDS, MASK), rtol=1e-5, atol=1e-5
    )


def test_real_part_interference_at_cls_does_not_see_the_text():
    network = build(replace(TINY, combine="interfere", read_out="real"))
    np.testing.assert_array_equal(call(network, IDS, MASK), call(network, IDS.at[:, 1:].set(4), MASK))
    network = build(replace(TINY, combine="modulate", read_out="real"))
    assert not np.allclose(call(network, IDS, MASK), call(network, IDS.at[:, 1:].set(4), MASK))


def test_magnitude_of_a_modulation_reads_the_same_at_cls_and_on_average():
    cls, mean = (build(replace(TINY, read_out="magnitude", pool=pool)) for pool in ("cls", "mean"))
    np.testing.assert_allclose(call(cls, IDS, MASK), call(mean, IDS, MASK), rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean():
    network = build(replace(TINY, dropout=0.5))
    keys = jax.random.split(jax.random.key(0), 4000)
    h = np.asarray(jax.jit(jax.vmap(lambda key: network.trace(IDS, MASK, key=key).h))(keys))
    plain = np.asarray(trace(network, IDS, MASK).h)
    assert np.mean(h == 0) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(h.mean(0), plain, atol=0.1 * np.abs(plain).max())


# bad input


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"d": 0}, "d must be at least 1, got 0"),
        ({"combine": "add"}, "combine must be interfere, modulate or a function, got 'add'"),
        ({"read_out": "imag"}, "read_out must be real, magnitude, real_imag or a function, got 'imag'"),
        ({"pool": "max"}, "pool must be cls or mean, got 'max'"),
        ({"positions": "rotary"}, "positions must be none, sinusoidal or learned, got 'rotary'"),
        ({"levels": "word"}, "levels must be input or sentence, got 'word'"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"activation": "swish"}, "activation must be none, relu, gelu or tanh, got 'swish'"),
        ({"max_length": 1}, "max_length must be at least 2"),
    ],
)
def test_a_setting_outside_its_range_is_named(setting, sentence):
    with unchecked(), pytest.raises(ValueError, match=sentence):
        WaveConfig(**setting)


def test_sizes_are_checked_when_building():
    with pytest.raises(ValueError, match="c must be at least 2 classes, got 1"):
        TINY.build(v=11, c=1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="v must be at least 1, got 0"):
        TINY.build(v=0, c=2, rngs=nnx.Rngs(0))


def test_a_text_longer_than_the_learned_positions():
    network = build(replace(TINY, positions="learned", max_length=4))
    with pytest.raises(ValueError, match="a text of 6 tokens is longer than the 4 learned positions"):
        network(IDS, MASK)


def test_sentence_level_without_segments():
    with pytest.raises(ValueError, match="needs segments"):
        build(replace(TINY, levels="sentence"))(IDS, MASK)
