"""The movie draws the waves of its frames, moves by button, slider and keys, and requests nothing."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import BATCH, CONFIGS, build
from windows import assert_fits_and_is_quiet

from benchmarks.chromium import Browser, chromium
from wave_jax import wave
from wave_jax.study import movie

TOKENS = ["[CLS]", "</script><b>x", "ü", "##s", "北京", "[SEP]"]
CLASSES = ["<i>up", "down", "other"]
MANY = 5  # frames
in_a_browser = pytest.mark.skipif(chromium() is None, reason="there is no Chromium")


def random_frames():
    rng = np.random.default_rng(0)
    made = []
    for i in range(MANY):
        Z1, Z2 = (np.asarray(wave.encode(jnp.asarray(rng.normal(size=(6, 4))))) for _ in range(2))
        shares = rng.dirichlet(np.ones(3))
        made.append(movie.Frame(10 * i, Z1, Z2, Z1 * Z2, shares))
    return made


FRAMES = random_frames()


def film_of(page):
    return json.loads(re.search(rb'id="film">(.*?)</script>', page)[1])


def test_scripts_are_short_files():
    for path in movie._FOLDER.iterdir():
        assert len(path.read_text().splitlines()) <= 300, path
    assert {path.stem for path in movie._FOLDER.glob("*.js")} == set(movie._SCRIPTS)


# --- frames -------------------------------------------------------------------------------------------------


def test_a_frame_is_what_the_network_makes_of_the_first_text():
    network = build(CONFIGS["modulation"])
    second = BATCH._replace(
        **{name: getattr(BATCH, name)[1:] for name in ("ids", "mask", "labels", "segments")}
    )
    seen = movie.frame(network, second, 7)
    trace = network.trace(second.ids, second.mask)
    assert (seen.step, len(seen.Z)) == (7, 3)  # padding is left out
    for name in ("Z1", "Z2", "Z"):
        np.testing.assert_allclose(getattr(seen, name), getattr(trace, name)[0, :3], rtol=1e-5)
    odds = np.exp(trace.logits[0] - np.max(trace.logits[0]))
    np.testing.assert_allclose(seen.shares, odds / odds.sum(), rtol=1e-5)


def test_a_network_without_waves_has_no_movie():
    with pytest.raises(ValueError, match="Bag has no waves: a movie is of a Wave Network"):
        movie.frame(build(CONFIGS["bag"]), BATCH)


def test_the_dimensions_that_turn_most_come_first():
    turned = FRAMES[0].Z1 * np.exp(-1j * np.array([0.1, 0, 0.3, 0.2]))
    last = FRAMES[0]._replace(Z1=turned)
    assert movie.turning([FRAMES[0], last], 3) == [2, 3, 0]
    assert film_of(movie.page([FRAMES[0], last], TOKENS, CLASSES))["dims"] == [3, 4, 1, 2]


def test_a_page_holds_the_waves_of_its_dimensions():
    page = movie.page(FRAMES, TOKENS, CLASSES, dims=[3, 1])
    film = film_of(page)
    assert (film["tokens"], film["classes"], film["dims"]) == (TOKENS, CLASSES, [4, 2])
    assert film["steps"] == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(film["shares"], [each.shares for each in FRAMES], atol=1e-4)
    for name in ("Z1", "Z2", "Z"):
        found = np.array(film["waves"][name]) @ [1, 1j]
        want = np.stack([getattr(each, name)[:, [3, 1]].T for each in FRAMES])
        np.testing.assert_allclose(found.real, want.real, rtol=1e-3)
        np.testing.assert_allclose(found.imag, want.imag, rtol=1e-3)
    assert page.count(b"</script>") == 2
    assert movie.page(FRAMES, TOKENS, CLASSES, dims=[3, 1]) == page


def test_what_is_no_movie_is_refused():
    with pytest.raises(ValueError, match="needs two frames at least, got 1"):
        movie.page(FRAMES[:1], TOKENS, CLASSES)
    with pytest.raises(
        ValueError, match="Frame 0 has 6 tokens and 3 classes, but names are given for 5 and 3"
    ):
        movie.page(FRAMES, TOKENS[1:], CLASSES)
    for dims in ([], [0, 4], [-1]):
        with pytest.raises(ValueError, match=r"dims must be some of 0\.\.3, got \["):
            movie.page(FRAMES, TOKENS, CLASSES, dims)
    broken = FRAMES[1]._replace(Z=FRAMES[1].Z * np.nan)
    with pytest.raises(ValueError, match="Frame 1, of step 10, holds NaN or infinite numbers: leave it out"):
        movie.page([FRAMES[0], broken], TOKENS, CLASSES)


# --- in a browser -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "movie.html"
    path.write_bytes(movie.page(FRAMES, TOKENS, CLASSES, dims=[0, 2]))
    return path


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture
def tab(browser, path):
    tab = browser.open(path)
    tab.click("#even")  # magnitudes are then drawn on one scale
    return tab


def drawn(tab):
    """Every wave as it is drawn, in its own units."""
    found = tab.run(
        "movie.circles.map(({name, dots, scale}) => [name, dots.map((dot) =>"
        " [dot.cx.baseVal.value / scale, -dot.cy.baseVal.value / scale])])"
    )
    return {name: np.array(dots) @ [1, 1j] for name, dots in found}


def assert_shows(tab, moment, k):
    for name, found in drawn(tab).items():
        want = getattr(FRAMES[moment], name)[:, k]
        np.testing.assert_allclose(found, want, atol=2e-3 * np.abs(want).max() + 1e-3)
    assert tab.run("document.getElementById('step').textContent") == f"step {10 * moment}"
    share = tab.run("document.querySelector('#answers .share').textContent")
    assert float(share.rstrip(" %")) == pytest.approx(100 * FRAMES[moment].shares[0], abs=0.06)


@in_a_browser
def test_what_is_drawn_is_the_wave_of_each_moment_and_dimension(tab):
    for i, k in enumerate((0, 2)):
        tab.ask(
            "(i) => { const e = document.getElementById('dimension'); e.value = i;"
            " e.dispatchEvent(new Event('change')) }",
            i,
        )
        for moment in range(MANY):
            tab.ask("(i) => movie.go(i)", moment)
            assert_shows(tab, moment, k)


@in_a_browser
def test_between_two_moments_magnitude_and_phase_change_evenly(tab):
    tab.run("movie.moment = 1.25, movie.show()")
    one, other = (FRAMES[i].Z1[:, 0] for i in (1, 2))
    size = 0.75 * np.abs(one) + 0.25 * np.abs(other)
    want = size * np.exp(1j * (0.75 * np.angle(one) + 0.25 * np.angle(other)))
    np.testing.assert_allclose(drawn(tab)["Z1"], want, atol=5e-3 * size.max())
    turned = tab.run("between([-1, 0.1], [-1, -0.1], 0.5)")  # the short way, past π
    np.testing.assert_allclose(turned, [-np.hypot(1, 0.1), 0], atol=1e-6)


@in_a_browser
def test_slider_and_keys_move_it(tab):
    tab.run(
        "document.activeElement.blur(); const e = document.getElementById('frame'); e.value = 3;"
        " e.dispatchEvent(new Event('input'))"
    )
    assert_shows(tab, 3, 0)
    tab.run("document.activeElement.blur()")
    for key, code, moment in (
        ("ArrowLeft", 37, 2),
        ("End", 35, 4),
        ("ArrowRight", 39, 4),
        ("Home", 36, 0),
        ("ArrowRight", 39, 1),
    ):
        tab.press(key, code)
        assert_shows(tab, moment, 0)


@in_a_browser
@pytest.mark.parametrize("how", ["button", "key"])
def test_it_plays_to_the_end_and_stops_when_asked(how, tab):
    tab.run("document.activeElement.blur()")
    play = (lambda: tab.click("#play")) if how == "button" else (lambda: tab.press(" ", 32))
    play()
    tab.until("movie.moment > 0.2")
    assert tab.run("document.getElementById('play').textContent") == "Stop"
    play()
    moment = tab.run("movie.moment")
    assert 0 < moment <= MANY - 1
    assert tab.run("new Promise((done) => setTimeout(() => done(movie.moment), 60))") == moment
    tab.run("movie.moment = 3.5")
    play()
    tab.until("!movie.playing")
    assert_shows(tab, MANY - 1, 0)


@in_a_browser
def test_a_token_is_followed_and_its_way_drawn(tab):
    tab.click("#tokens button:nth-child(3)")
    way = tab.run("movie.circles[0].way.getAttribute('d')")
    scale = tab.run("movie.circles[0].scale")
    places = np.array([[float(x) for x in point.split()] for point in way[1:].split("L")]) @ [1, -1j] / scale
    want = np.array([each.Z1[2, 0] for each in FRAMES])
    np.testing.assert_allclose(places, want, atol=2e-3 * np.abs(want).max() + 1e-3)
    assert tab.run("document.querySelectorAll('.dot.followed').length") == 3
    angle = round(float(np.degrees(np.angle(FRAMES[0].Z1[2, 0]))))
    assert tab.run("movie.circles[0].svg.getAttribute('aria-label')").endswith(f"ü at {angle}°")
    tab.click("#tokens button:nth-child(3)")
    assert tab.run("document.querySelectorAll('.dot.followed').length") == 0


@in_a_browser
def test_all_moments_can_be_drawn_at_one_size(tab):
    tab.run("document.activeElement.blur()")
    tab.click("#even")
    for moment in range(MANY):
        tab.ask("(i) => movie.go(i)", moment)
        assert_shows(tab, moment, 0)  # each in its own units
        radii = tab.run("movie.circles.map(({circle}) => circle.r.baseVal.value)")
        assert radii == pytest.approx([100, 100, 100], rel=1e-3)
    tab.run("document.getElementById('even').focus()")
    tab.press(" ", 32, " ")
    assert not tab.run("document.getElementById('even').checked")
    assert not tab.run("movie.playing")


@in_a_browser
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_says_nothing_and_asks_nobody(width, scheme, browser, path):
    tab = browser.open(path, prefers_color_scheme=scheme)
    tab.size(width, 700)
    tab.run("movie.follow(1)")
    names = "[...document.querySelectorAll('#tokens button')].map((each) => each.textContent)"
    assert tab.run(names) == TOKENS
    assert tab.run("document.querySelectorAll('#tokens b, #answers i:not(.track i)').length") == 0
    assert_fits_and_is_quiet(tab, path, width, scheme)


@in_a_browser
def test_without_motion_it_jumps_from_moment_to_moment(browser, path):
    tab = browser.open(path, prefers_reduced_motion="reduce")
    tab.click("#play")
    tab.until("movie.moment > 0")
    assert tab.run("movie.moment") in range(MANY)
