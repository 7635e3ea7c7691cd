"""The papers' formulas against the float64 oracle of `paper.py`, their laws, and their exact derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import paper
import pytest
from conftest import unchecked
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.test_util import check_grads

from wave_jax import wave

COMBINES, READ_OUTS = ("interfere", "modulate"), ("real", "magnitude", "real_imag")
FORMS = [(combine, kind) for combine in COMBINES for kind in READ_OUTS]
numbers = st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)
texts = arrays(np.float32, (4, 3), elements=numbers)  # one shape: one compilation
encode = jax.jit(wave.encode, static_argnames="rows")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def leave_one_out(w):
    """s by definition: the norm of all the other tokens, in float64."""
    w = np.asarray(w, np.float64)
    return np.stack([np.sqrt((np.delete(w, j, axis=-2) ** 2).sum(-2)) for j in range(w.shape[-2])], axis=-2)


# formula


@settings(deadline=None, max_examples=60)
@given(texts)
def test_polar_equals_cartesian(w):
    """The oracle's own cancellation near alpha = 0 and pi limits the comparison: √eps of float64."""
    Z, Z_paper = encode(jnp.asarray(w)), paper.encode(w.astype(np.float64))
    G = np.abs(Z_paper).max(axis=0)
    assert np.all(abs(np.asarray(Z) - Z_paper) <= 1e-6 * G)


@settings(deadline=None, max_examples=60)
@given(texts)
def test_imaginary_part_is_the_norm_of_the_others(w):
    np.testing.assert_allclose(encode(jnp.asarray(w)).imag, leave_one_out(w), rtol=4e-7)


@pytest.mark.parametrize(("combine", "kind"), FORMS)
def test_mix_against_the_oracle(combine, kind):
    w1, w2 = normal(7, 5), normal(7, 5, seed=1)
    want = paper.READ_OUT[kind](paper.COMBINE[combine](paper.encode(w1), paper.encode(w2)))
    got = wave.mix(jnp.float32(w1), jnp.float32(w2), combine=combine, read_out=kind)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    with jax.enable_x64(True):
        got = wave.mix(jnp.asarray(w1), jnp.asarray(w2), combine=combine, read_out=kind)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_magnitude_and_phase_are_the_papers_G_and_alpha():
    w = normal(6, 4)
    Z, G = wave.encode(jnp.float32(w)), np.sqrt((w**2).sum(0))
    alpha = np.arctan2(np.sqrt(1 - (w / G) ** 2), w / G)
    np.testing.assert_allclose(wave.magnitude(Z), np.tile(G, (6, 1)), rtol=1e-6)
    np.testing.assert_allclose(wave.phase(Z), alpha, rtol=1e-5)


def test_sentence_level_takes_the_norm_of_the_tokens_own_sentence():
    w, segments = normal(9, 3), np.array([0, 0, 1, 1, 1, 2, 0, 2, 5])
    want = paper.encode_sentences(w, segments)
    np.testing.assert_allclose(encode(np.float32(w), segments=segments), want, rtol=1e-5)
    rows = encode(np.float32(w), segments=segments, rows=(0, 4, 8))
    np.testing.assert_allclose(rows, want[[0, 4, 8]], rtol=1e-5)


def test_sentence_level_with_one_sentence_is_input_level():
    w = jnp.float32(normal(2, 5, 3))
    np.testing.assert_allclose(wave.encode(w, segments=jnp.zeros((2, 5), int)), wave.encode(w), rtol=1e-6)


@pytest.mark.parametrize("rows", [(0,), (2, 0), (-1,)])
def test_chosen_rows_are_the_rows_of_the_whole(rows):
    w, mask = jnp.float32(normal(2, 5, 3)), jnp.arange(10).reshape(2, 5) < 8
    whole = wave.encode(w, mask)
    np.testing.assert_allclose(wave.encode(w, mask, rows=rows), whole[:, list(rows)], rtol=1e-6)


# law


@settings(deadline=None, max_examples=30)
@given(texts, st.integers(-8, 8))
def test_encode_scales_with_its_input(w, power):
    Z = np.asarray(encode(jnp.asarray(w)))
    np.testing.assert_array_equal(encode(jnp.asarray(w * np.float32(2.0**power))), Z * 2.0**power)


def test_encode_permutes_with_its_tokens_and_ignores_the_signs_of_others():
    w = jnp.float32(normal(6, 4))
    order = np.array([3, 0, 5, 1, 2, 4])
    np.testing.assert_allclose(wave.encode(w[order]), wave.encode(w)[order], rtol=1e-6)
    np.testing.assert_array_equal(
        wave.encode(w * jnp.float32([1, -1, 1, -1, 1, -1])[:, None])[0], wave.encode(w)[0]
    )


def test_modulation_multiplies_magnitudes_and_adds_phases():
    Z1, Z2 = (wave.encode(jnp.float32(normal(5, 4, seed=s))) for s in (0, 1))
    Z = wave.modulate(Z1, Z2)
    np.testing.assert_allclose(wave.magnitude(Z), wave.magnitude(Z1) * wave.magnitude(Z2), rtol=1e-6)
    turn = np.exp(1j * (np.asarray(wave.phase(Z)) - wave.phase(Z1) - wave.phase(Z2)))
    np.testing.assert_allclose(turn, 1, atol=1e-6)


def test_interference_strength_follows_the_phase_difference():
    Z1, Z2 = (wave.encode(jnp.float32(normal(5, 4, seed=s))) for s in (0, 1))
    A, B = wave.magnitude(Z1), wave.magnitude(Z2)
    want = A**2 + B**2 + 2 * A * B * jnp.cos(wave.phase(Z1) - wave.phase(Z2))
    np.testing.assert_allclose(wave.magnitude(wave.interfere(Z1, Z2)) ** 2, want, rtol=1e-5)


def test_encode_and_combine_have_a_jacobian_diagonal_in_the_dimension():
    """Dimensions never talk to each other: ∂Z_jk/∂w_ml is exactly 0 for l ≠ k."""
    w = jnp.float32(normal(4, 3))
    for combine in wave.COMBINE.values():
        J = jax.jit(
            jax.jacfwd(
                lambda w, f=combine: wave.read_out(f(wave.encode(w), wave.encode(2 * w - 1)), "real_imag")
            )
        )(w)
        J = np.asarray(J).reshape(4, 2, 3, 4, 3)  # (j, real or imaginary, k, m, l)
        for k in range(3):
            for other in range(3):
                assert (np.abs(J[:, :, k, :, other]).max() > 0) == (k == other)


# what a read-out can and cannot see


def by_phase(combine, kind, alpha):
    G = jnp.float32(1 + abs(normal(2, 4)))
    Z = [jax.lax.complex(g * jnp.cos(a), g * jnp.sin(a)) for g, a in zip(G, alpha, strict=True)]
    return wave.read_out(wave.COMBINE[combine](*Z)[None], kind)


@pytest.mark.parametrize(("combine", "kind"), FORMS)
def test_only_the_magnitude_of_a_modulation_has_no_phase_gradient(combine, kind):
    alpha = jnp.float32([[0.4, 1.1, 2.0, 2.9], [1.7, 0.2, 2.2, 0.9]])
    slope = np.abs(jax.jit(jax.jacobian(partial(by_phase, combine, kind)))(alpha)).max()
    assert (slope < 1e-6) == ((combine, kind) == ("modulate", "magnitude"))


@pytest.mark.parametrize(("combine", "kind"), FORMS)
def test_only_the_real_part_of_an_interference_does_not_see_the_other_tokens(combine, kind):
    w = jnp.float32(normal(5, 4))
    at_cls = lambda w: wave.mix(w, 2 * w + 1, rows=(0,), combine=combine, read_out=kind)
    from_others = np.abs(jax.jit(jax.jacobian(at_cls))(w))[..., 1:, :].max()
    assert (from_others == 0) == ((combine, kind) == ("interfere", "real"))


def test_magnitude_of_a_modulation_is_one_vector_for_every_token():
    x = wave.mix(
        jnp.float32(normal(5, 4)), jnp.float32(normal(5, 4, seed=1)), combine="modulate", read_out="magnitude"
    )
    np.testing.assert_allclose(x, np.tile(x[0], (5, 1)), rtol=1e-6)


# gradient


def test_closed_form_derivatives():
    """∂Re Z_jk/∂w_jk = 1, ∂Im Z_jk/∂w_jk = 0, ∂Im Z_jk/∂w_mk = w_mk/s_jk, ∂G_k/∂w_mk = w_mk/G_k."""
    w = normal(5, 3)
    s, G = leave_one_out(w), np.sqrt((w**2).sum(0))

    @jax.jit
    @jax.jacobian
    def derivatives(w):
        Z = wave.encode(w)
        return Z.real, Z.imag, wave.magnitude(Z)

    with jax.enable_x64(True):
        real, imag, norm = jax.device_get(derivatives(w))
    j, k = np.ogrid[:5, :3]
    np.testing.assert_array_equal(real[j, k, j, k], np.ones((5, 3)))
    assert np.count_nonzero(real) == 15
    for m in range(5):
        np.testing.assert_allclose(imag[j, k, m, k], np.where(j == m, 0, w[m] / s), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(norm[j, k, m, k], np.broadcast_to(w[m] / G, (5, 3)), rtol=1e-12)


def test_gradient_at_other_tokens_is_their_own_value_scaled_by_a_common_factor():
    """With [CLS] alone read, dL/dw_mk = w_mk·c_k, c_k = (dL/ds_k)/s_k, for every m: the directional bias."""
    w, a = normal(6, 3), normal(3)
    with jax.enable_x64(True):
        g = jax.jit(jax.grad(lambda w: (wave.encode(w, rows=(0,)).imag[0] * a).sum()))(w)
    c = a / np.sqrt((w[1:] ** 2).sum(0))
    np.testing.assert_allclose(g[1:], w[1:] * c, rtol=1e-12)
    np.testing.assert_array_equal(g[0], np.zeros(3))


@pytest.mark.parametrize("rows", [None, (0, 3)])
def test_segments_are_for_the_first_wave_alone(rows):
    w1, w2, segments = normal(5, 3), normal(5, 3, seed=1), jnp.array([0, 0, 1, 1, 1])
    Z1, Z2 = paper.encode_sentences(w1, segments), paper.encode(w2)

    @jax.jit
    def every_form(w1, w2):
        return [wave.mix(w1, w2, None, segments, rows, combine=c, read_out=r) for c, r in FORMS]

    for (combine, kind), found in zip(FORMS, every_form(np.float32(w1), np.float32(w2)), strict=True):
        want = paper.READ_OUT[kind](paper.COMBINE[combine](Z1, Z2))
        np.testing.assert_allclose(found, want if rows is None else want[[*rows]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [None, (0,)])
def test_first_and_second_derivatives_in_both_modes(rows):
    mask, segments = jnp.arange(5) < 4, jnp.array([0, 0, 1, 1, 1])

    @jax.jit
    def every_form(w1, w2):
        return [wave.mix(w1, w2, mask, segments, rows, combine=c, read_out=r) for c, r in FORMS]

    with jax.enable_x64(True):
        check_grads(every_form, (normal(5, 2), normal(5, 2, seed=1)), order=2, atol=1e-5, rtol=1e-5)


def test_check_grads_of_magnitude_and_phase():
    @jax.jit
    def f(x, y):
        Z = jax.lax.complex(x, y)
        return wave.magnitude(Z), wave.phase(Z)

    with jax.enable_x64(True):
        check_grads(f, (normal(4), normal(4, seed=1)), order=2)


# edge

EDGES = {
    "one token": [[1.5, -2.0], [0, 0], [0, 0]],
    "two tokens": [[1.5, 0.0], [0.5, -1.0], [0, 0]],
    "a zero dimension": [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]],
    "all zero": [[0, 0], [0, 0], [0, 0]],
    "a dominating token": [[1e4, 1.0], [1.0, 2.0], [0.5, 1e-3]],
    "a token beyond all rounding": [[1e8, 1.0], [1.0, 1.0], [1.0, 1.0]],
    "equal tokens": [[1, 1], [1, 1], [1, 1]],
}


@pytest.mark.parametrize(("combine", "kind"), FORMS)
def test_derivatives_stay_finite(combine, kind):
    """Reverse, forward and the second order; with every token and with nothing but padding."""

    def f(w, mask):
        return wave.mix(w, 0.5 * w, mask, combine=combine, read_out=kind).sum()

    orders = (
        jax.grad,
        jax.jacfwd,
        jax.hessian,
        lambda f: jax.jacrev(jax.jacrev(f)),
        lambda f: jax.jacrev(jax.jacfwd(f)),
    )
    derivatives = jax.jit(lambda w, mask: [d(f)(w, mask) for d in orders])
    for name, w in EDGES.items():
        for mask in (True, False):
            for order in derivatives(jnp.float32(w), jnp.full(3, mask)):
                assert np.isfinite(order).all(), (name, mask)


@pytest.mark.parametrize("name", EDGES)
def test_edges_against_the_norm_of_the_others(name):
    w = np.float32(EDGES[name])
    np.testing.assert_allclose(wave.encode(jnp.asarray(w)).imag, leave_one_out(w), rtol=2e-7)


def test_where_float32_and_the_oracle_part():
    """The plain G² - w² has lost the others of (1e4, 1) in float32, and so has polar float64 at 1e10.

    `encode` adds the others up where one token dominates, so it parts from the exact norm only where w²
    leaves the range of float32: below 1e-23 it is 0, above 1e19 infinite.
    """
    w = np.float32([[1e4], [1.0]])
    assert np.float32((w**2).sum()) - w[0, 0] ** 2 == 0
    assert wave.encode(jnp.asarray(w))[0, 0].imag == 1
    far = np.array([[1e10], [1.0]])
    assert paper.encode(far)[0, 0].imag != 1
    assert wave.encode(jnp.float32(far))[0, 0].imag == 1
    assert wave.encode(jnp.float32([[1.0], [1e-23]]))[0, 0].imag == 0
    assert np.isinf(wave.encode(jnp.float32([[1.0], [2e19]]))[0, 0].imag)


def test_a_single_token_is_real_and_has_no_imaginary_gradient():
    w = jnp.float32([[3.0, -4.0]])
    np.testing.assert_array_equal(wave.encode(w), [[3, -4]])
    np.testing.assert_array_equal(jax.grad(lambda w: wave.encode(w).imag.sum())(w), [[0, 0]])


@jax.jit
def phase_with_derivatives(part):
    """α, its first and second derivative, and the second one along (1, 1) in forward mode."""
    f = lambda part: wave.phase(jax.lax.complex(part[0], part[1]))
    along = jax.jvp(jax.grad(f), (part,), (jnp.ones(2),))[1]
    return f(part), jax.grad(f)(part), jax.hessian(f)(part), along


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e-18, 1e-15, 1e-8, 1.0, 1e10, 1e17])
def test_phase_has_derivatives_wherever_they_are_numbers(size):
    """α is the same for Z and size·Z, so its first and second derivative go as 1/size and 1/size²."""
    there = np.float32([3.0, 4.0])
    alpha, slope, curve, along = jax.device_get(phase_with_derivatives(np.float32(size) * there))
    want_alpha, want_slope, want_curve, _ = jax.device_get(phase_with_derivatives(there))
    np.testing.assert_allclose(alpha, want_alpha, rtol=1e-6)
    first, second = slope * np.float32(size), curve * np.float32(size) * np.float32(size)
    if size < 1e-19:
        assert not np.any(first)
        assert not np.any(second)
    else:
        np.testing.assert_allclose(first, want_slope, rtol=1e-5)
        np.testing.assert_allclose(second, want_curve, rtol=1e-4)
    assert np.isfinite(along).all()


def test_phase_of_nothing_is_zero_with_zero_gradient():
    f = lambda x, y: wave.phase(jax.lax.complex(x, y))
    assert f(jnp.float32(0), jnp.float32(0)) == 0
    assert jax.grad(f, (0, 1))(jnp.float32(0), jnp.float32(0)) == (0, 0)


@pytest.mark.parametrize("segments", [None, [0, 0, 1, 1, 1, 1, 1]])
def test_padding_changes_neither_values_nor_gradients(segments):
    w, rest = np.float32(normal(5, 3)), np.full((2, 3), np.float32(np.nan))
    padded, mask = np.concatenate([w, rest]), jnp.array([True] * 5 + [False] * 2)
    segments = None if segments is None else jnp.array(segments)
    short = lambda w: wave.encode(w, None, None if segments is None else segments[:5])
    long = lambda w: wave.encode(w, mask, segments)
    loss = lambda f, w: (jnp.sum(jnp.sin(wave.magnitude((Z := f(w)[:5]) + 1))), Z)
    # Operation by operation: compiled as a whole, XLA may add up another length in another order.
    both = [jax.grad(partial(loss, f), has_aux=True) for f in (short, long)]
    (g, Z), (g_padded, Z_padded) = both[0](w), both[1](padded)
    np.testing.assert_array_equal(Z_padded, Z)
    np.testing.assert_array_equal(g_padded[:5], g)
    np.testing.assert_array_equal(g_padded[5:], np.zeros((2, 3)))


def test_a_masked_row_holds_zero_and_the_norm_of_all():
    w, mask = jnp.float32([[3.0], [4.0], [7.0]]), jnp.array([True, True, False])
    np.testing.assert_allclose(wave.encode(w, mask)[2], [5j])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(dtype):
    w = jnp.asarray(normal(5, 3), dtype)
    assert wave.encode(w).dtype == jnp.complex64
    np.testing.assert_array_equal(wave.encode(w), wave.encode(w.astype(jnp.float32)))


# transform


def test_jit_vmap_and_strict_promotion_change_nothing():
    w, mask = jnp.float32(normal(2, 3, 5, 4)), jnp.arange(30).reshape(2, 3, 5) % 5 < 4
    Z = wave.encode(w, mask)
    np.testing.assert_allclose(jax.jit(wave.encode)(w, mask), Z, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.vmap(wave.encode))(w, mask), Z, rtol=1e-6)
    with jax.numpy_dtype_promotion("strict"):
        for combine in COMBINES:
            for kind in READ_OUTS:
                f = lambda w, c=combine, r=kind: wave.mix(w, w, mask, combine=c, read_out=r).sum()
                jax.eval_shape(jax.value_and_grad(f), w)
        wave.phase(Z)


def test_vmap_over_sentences():
    w, segments = jnp.float32(normal(3, 5, 4)), jnp.array([[0, 0, 0, 1, 1], [0, 1, 2, 3, 4], [0, 0, 0, 0, 0]])
    batch = encode(w, segments=segments)
    each = jax.jit(jax.vmap(lambda w, s: wave.encode(w, segments=s)))(w, segments)
    np.testing.assert_allclose(each, batch, rtol=1e-6)


# memory


def bytes_kept(f, *arguments):
    """Bytes that the backward pass of f holds on to, counted without running it."""
    _, vjp = jax.eval_shape(lambda *a: jax.vjp(f, *a), *arguments)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(vjp))


def polar_mix(w1, w2):
    """The papers' form as printed, every token's wave: interference or modulation of complex exponentials."""

    def encode(w):
        G = jnp.sqrt(jnp.sum(w**2, axis=-2, keepdims=True))
        alpha = jnp.arctan2(jnp.sqrt(1 - (w / G) ** 2), w / G)
        return G * jnp.exp(1j * alpha)

    return wave.read_out(encode(w1) * encode(w2), "real_imag")


def plain_mix(w1, w2):
    """`wave.mix` without rematerialisation."""
    return wave.read_out(wave.modulate(wave.encode(w1), wave.encode(w2)), "real_imag")


def test_the_backward_pass_keeps_the_two_variants_and_nothing_else_of_their_size():
    """At the papers' size, in units of one (64, 128, 768) float32 array."""
    shape = jax.ShapeDtypeStruct((64, 128, 768), jnp.float32)
    mask = jax.ShapeDtypeStruct((64, 128), jnp.bool_)
    unit = 64 * 128 * 768 * 4
    ours = partial(wave.mix, combine="modulate", read_out="real_imag")
    assert bytes_kept(ours, shape, shape) == 2 * unit == 50_331_648
    assert bytes_kept(lambda w1, w2, mask: ours(w1, w2, mask), shape, shape, mask) == 2 * unit + 64 * 128
    rows = lambda w1, w2, mask: ours(w1, w2, mask, rows=(0,))
    assert bytes_kept(rows, shape, shape, mask) == 2 * unit + 2_564_096  # some numbers of one row each
    assert bytes_kept(plain_mix, shape, shape) == 15 * unit == 377_487_360
    assert bytes_kept(polar_mix, shape, shape) == 505_675_792  # a little over 20


# bad input


def test_bad_input_is_named():
    with (
        unchecked(),
        pytest.raises(ValueError, match=r"w must be real floating numbers .* got int32\(3, 2\)"),
    ):
        wave.encode(jnp.ones((3, 2), jnp.int32))
    with (
        unchecked(),
        pytest.raises(ValueError, match="read_out is one of real, magnitude, real_imag, got 'imag'"),
    ):
        wave.read_out(jnp.ones((1, 1), complex), "imag")
    with pytest.raises(IndexError):
        wave.encode(jnp.ones((3, 2)), rows=(3,))
