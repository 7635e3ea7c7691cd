"""The gradient study: against one text at a time in NumPy, and what must not change it, on every network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import BATCH, CONFIGS, build

from wave_jax.networks.trace import Trace
from wave_jax.study.papers import as_row, entries, gradient_study, principal_shares, sign_agreement
from wave_jax.training.loss import loss, score_of_logits


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return build(CONFIGS[request.param])


def widened(batch, n, filler=0):
    """The batch with n more places of padding, and rows of filler: [CLS] alone with the label -1."""
    pad = lambda x: np.pad(x, [(0, filler), (0, n)][: np.ndim(x)])
    wide = jax.tree.map(pad, batch)
    wide.ids[:, 6:] = 9  # the content of padding must not matter
    if filler:
        wide.labels[-filler:], wide.mask[-filler:, 0] = -1, True
    return wide


@jax.jit
def token_and_classifier_gradients(model, batch):
    def losses(nudge):
        logits = model.trace(batch.ids, batch.mask, batch.segments, nudge=Trace(w=nudge)).logits
        return score_of_logits(logits, batch.labels).loss

    w = jax.eval_shape(lambda: model.trace(batch.ids, batch.mask, batch.segments).w)
    return jax.grad(losses)(jnp.zeros(w.shape, w.dtype)), jax.grad(loss)(model, batch).classifier


def plain_gradients(model, batch):
    """The gradient of each text's tokens, without padding, by its own loss; and the classifier's."""
    tokens, classifier = jax.device_get(token_and_classifier_gradients(model, batch))
    texts = [g[m].astype(float) for g, m in zip(tokens, np.asarray(batch.mask), strict=True)]
    return texts, np.concatenate([np.ravel(x) for x in jax.tree.leaves(classifier)]).astype(float)


def pair_cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_against_one_text_after_the_other(model):
    texts, classifier = plain_gradients(model, BATCH)
    study = jax.device_get(gradient_study(model, BATCH))
    near = lambda want: pytest.approx(want, rel=2e-3, abs=1e-6)
    gini = lambda x: np.abs(np.abs(x).ravel()[:, None] - np.abs(x).ravel()).mean() / (2 * np.abs(x).mean())
    below = lambda x: np.mean(np.abs(x) <= 0.01 * np.abs(x).max())
    for place, parts in (
        (study.text, texts),
        (study.cls, [g[0] for g in texts]),
        (study.classifier, [classifier]),
    ):
        assert place.norm == near(np.mean([np.linalg.norm(g) for g in parts]))
        assert place.mean == near(np.mean([g.mean() for g in parts]))
        assert place.spread == near(np.mean([g.std() for g in parts]))
        assert place.share_below == near(np.mean([below(g) for g in parts]))
        assert place.gini == near(np.mean([gini(g) for g in parts]))
    pull = lambda g: np.linalg.norm(np.mean([x / np.linalg.norm(x) for x in g], axis=0))
    assert study.cls.resultant == near(pull([g[0] for g in texts]))
    assert study.text.resultant == near(np.mean([pull(g) for g in texts]))
    first = lambda g: np.square(np.linalg.svd(g, compute_uv=False)[0] / np.linalg.norm(g))
    shares = principal_shares(model, BATCH)
    assert shares["cls_principal"] == near(first(np.stack([g[0] for g in texts])))
    assert shares["text_principal"] == near(np.mean([first(g) for g in texts]))
    assert shares["text_principal_ten"] == near(1)
    assert study.agreement == near(np.mean([pair_cosine(g[0], g[1:].sum(0)) for g in texts]))
    np.testing.assert_allclose(study.classifier.direction, classifier, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(
        study.text.direction, np.mean([g.mean(0) for g in texts], 0), rtol=2e-3, atol=1e-6
    )


def test_entries_are_those_of_one_text_after_the_other(model):
    texts, classifier = plain_gradients(model, BATCH)
    thresholds, quantiles = [1e-3, 0.1, 0.5, 1.0], [0.0, 0.5, 0.9]
    found = entries(model, widened(BATCH, 4, filler=2), thresholds, quantiles)
    for place, parts in {"cls": [g[:1] for g in texts], "text": texts, "classifier": [classifier]}.items():
        sizes = [np.abs(g).ravel() for g in parts]
        below = np.mean([[np.mean(x <= at * x.max()) for at in thresholds] for x in sizes], axis=0)
        np.testing.assert_allclose(found[place].below, below, atol=1e-6)
        want = np.mean([np.quantile(x, quantiles) for x in sizes], axis=0)
        np.testing.assert_allclose(found[place].quantiles, want, rtol=2e-3, atol=1e-6)


def test_padding_and_filler_change_nothing(model):
    study = gradient_study(model, BATCH)
    for a, b in zip(
        jax.tree.leaves(gradient_study(model, widened(BATCH, 4, filler=2))),
        jax.tree.leaves(study),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_classifiers_resultant_is_how_far_the_texts_pull_together(model):
    texts = [jax.tree.map(lambda x, i=i: np.asarray(x)[i : i + 1], BATCH) for i in (0, 1)]
    alone = [plain_gradients(model, text)[1] for text in texts]
    cosine = pair_cosine(*alone)
    got = float(gradient_study(model, BATCH).classifier.resultant)
    assert got**2 == pytest.approx((1 + cosine) / 2, rel=1e-3, abs=1e-5)


def test_in_a_bag_all_tokens_are_pulled_alike():
    study = gradient_study(build(CONFIGS["bag"]), BATCH)
    assert float(study.agreement) == pytest.approx(1, rel=1e-5)
    assert float(study.text.resultant) == pytest.approx(1, rel=1e-5)


def test_a_row_is_flat_and_of_floats():
    row = as_row(gradient_study(build(CONFIGS["modulation"]), BATCH))
    assert {type(number) for number in row.values()} == {float}
    assert list(row)[:2] == ["cls_norm", "cls_mean"]
    assert not any("direction" in name for name in row)


def test_signs_over_steps_are_those_of_the_mean_gradient():
    models = [build(CONFIGS["modulation"], seed=seed) for seed in range(3)]
    studies = [gradient_study(model, BATCH) for model in models]
    signs = np.stack([np.sign(plain_gradients(model, BATCH)[1]) for model in models])
    got = sign_agreement(studies)
    assert got["classifier_sign_agreement"] == pytest.approx(np.abs(signs.mean(0)).mean(), rel=1e-5)
    assert sign_agreement(studies[:1]) == dict.fromkeys(got, 1.0)
    with pytest.raises(ValueError, match="needs the studies of some steps"):
        sign_agreement([])
