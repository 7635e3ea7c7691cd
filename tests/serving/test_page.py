"""The page agrees with the predictor in a real browser, draws what it computes, and requests nothing."""

import base64
import hashlib
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import ROOT
from tiny import CONFIGS, TINY, build, in_float64
from windows import assert_fits_and_is_quiet

from benchmarks.chromium import Browser, chromium
from benchmarks.page import SOME
from wave_jax import wave
from wave_jax.data.tokenizer import Rules, Tokenizer
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, file, page
from wave_jax.serving.predictor import Predictor
from wave_jax.study.explain import explain

CORPUS = [
    "The cats planned a nap &amp; naïve 北京 plans",
    "not good, planning élan",
    "good planes not cats 42",
]
TOKENIZER = Tokenizer.train(CORPUS * 2, v=60, clean=True, whole_words=True, stems=9).with_pairs(
    CORPUS * 2, [0, 1, 2] * 2, most=9
)
PIECES = Tokenizer.train(CORPUS * 2, v=60)
UNSPACED = Tokenizer.train(["ตลาดหุ้น サッカーで कुल café"] * 2, v=80, whole_words=True)
CLASSES = ["cats", "</script><b>dogs</b>", "北京"]
TEXT = "The cats planned not good planes, <br> naïve!"
N = 12
NETWORK = build(replace(TINY, d=6, voice_width=3), v=TOKENIZER.v)
in_a_browser = pytest.mark.skipif(chromium() is None, reason="there is no Chromium")


def saved(path, network, tokenizer=TOKENIZER, classes=CLASSES, dtype="float32", text=TEXT):
    export.save(path, Trained(network, tokenizer, classes, N), dtype=dtype, text=text)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("page") / "page.html", NETWORK)


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def tab(browser, path):
    """One tab for all tests that only ask; `load` gives it other networks."""
    return browser.open(path)


@pytest.fixture
def fresh(browser, path):
    return browser.open(path)


def load(tab, path, network, tokenizer=TOKENIZER, **options):
    """The predictor of a network, and the same network in the page as `other`."""
    raw = saved(path / "file.wave", network, tokenizer, **options).read_bytes()
    tab.ask(
        "async (raw, characters) => { globalThis.other = new Predictor("
        "await unpack(Uint8Array.from(atob(raw), (char) => char.charCodeAt(0))), characters) }",
        base64.b64encode(raw).decode(),
        page.characters(tokenizer.rules),
    )
    return Predictor(file.unpack(raw))


def agree(got, want, rtol=1e-4):
    np.testing.assert_allclose(got, want, rtol=0, atol=rtol * np.abs(want).max())


# --- one file -----------------------------------------------------------------------------------------------


class Parts(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.inside, self.tags, self.parts = "", [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = dict(attrs).get("id") or tag
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.parts[self.inside] = self.parts.get(self.inside, "") + data

    def handle_endtag(self, tag):
        self.inside = ""


def test_a_page_holds_the_file_and_allows_its_own_script_and_style_alone(path):
    found = Parts(path.read_text())
    content = file.unpack(base64.b64decode(found.parts["file"]))
    assert tuple(content.classes) == tuple(CLASSES)
    policy = next(attrs["content"] for tag, attrs in found.tags if attrs.get("http-equiv"))
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(found.parts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    links = [value for _, attrs in found.tags for name, value in attrs.items() if name in ("src", "href")]
    assert all(link.startswith("data:") for link in links)
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on") or name == "style"]


def test_the_same_network_gives_the_same_page(path, tmp_path):
    assert saved(tmp_path / "again.html", NETWORK).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["two layers", "Transformer", "bag", "BERT"])
def test_what_no_file_can_hold_is_refused_and_what_can_be_exported_is_named(name, tmp_path):
    with pytest.raises(ValueError, match="Only a Wave Network of one layer at input level folds into a file"):
        saved(tmp_path / "page.html", build(CONFIGS[name], v=TOKENIZER.v))
    assert not list(tmp_path.iterdir())


def test_scripts_are_short_files():
    for path in page._FOLDER.iterdir():
        assert len(path.read_text().splitlines()) <= 300, path
    assert {path.stem for path in page._FOLDER.glob("*.js")} == set(page.SCRIPTS)


@pytest.mark.parametrize("command", ["tsc", "eslint wave_jax/serving/browser wave_jax/study/browser"])
def test_scripts_are_typed_and_linted(command):
    program, *arguments = command.split()
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    run = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


# --- characters ---------------------------------------------------------------------------------------------


def test_what_the_rules_do_is_asked_of_the_library():
    found = page.characters(TOKENIZER.rules)
    ranges = {
        name: set(zip(found[name][::2], found[name][1::2], strict=True)) for name in ("spaced", "digits")
    }
    assert (0x4E00, 0x9FFF) in ranges["spaced"]
    assert (ord("0"), ord("9")) in ranges["digits"]
    assert found["hangul"] is True
    changed = dict(zip(*found["forms"], strict=True))
    assert (changed["É"], changed["\n"]) == ("e", " ")
    cased = page.characters(Rules(lowercase=False))
    assert "É" not in dict(zip(*cased["forms"], strict=True))
    assert (cased["hangul"], cased["letters"], cased["entities"]) == (False, [], {})


# --- law: the page agrees with the predictor ----------------------------------------------------------------

PARTS = [
    *SOME,
    *("The cats", " planned", "planes", "good not"),
    *("หุ้น", "サッカーで", "कुल"),
    *("\u0898\u08cf", "\U0001d165\u0345", "\U00016ff0", "a" * 101, "[SEP]", "##s"),
]
ODD = st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=9).map("".join)


def as_a_browser_has_it(text):
    """The text with halves of surrogate pairs put together, as UTF-16 does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@in_a_browser
@pytest.mark.parametrize(
    "tokenizer", [TOKENIZER, PIECES, UNSPACED, Tokenizer(PIECES.vocabulary, Rules(lowercase=False))]
)
def test_tokens_of_odd_texts_are_the_same_to_the_last_one(tokenizer, tab, tmp_path):
    network = load(tab, tmp_path, build(TINY, v=tokenizer.v), tokenizer)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(ODD, min_size=1, max_size=9).map(lambda texts: [*map(as_a_browser_has_it, texts)]))
    def law(texts):
        found = tab.ask(
            "(texts) => texts.map((text) => other.tokenizer.encode(text, other.max_length))", texts
        )
        want = tokenizer.encode(texts, N)
        ends = want.offsets[1:-1]
        assert found == [ids.tolist() for ids in np.split(want.ids, ends)]
        agree(tab.ask("(texts) => other.logits(texts)", texts), network.logits(texts))

    law()


@in_a_browser
@pytest.mark.parametrize("text", ["good " * 200_000, "é" * 200_000, "&amp; cats"[::-1] * 10**5], ids=range(3))
def test_a_megabyte_of_text(text, tab):
    found = tab.ask("(text) => page.network.tokenizer.encode(text, page.network.max_length)", text)
    assert found == TOKENIZER.encode([text], N).ids.tolist()


@in_a_browser
def test_words_have_their_places_in_the_text(tab):
    text = "The<br />cats &amp; naïve 北京 👩 plans"
    pieces = tab.ask("(text) => page.network.tokenizer.explain(text, 99).pieces", text)
    cut = [text.encode("utf-16-le")[2 * p["start"] : 2 * p["end"]].decode("utf-16-le") for p in pieces]
    want = TOKENIZER.explain(text, 99)
    assert [p["token"] for p in pieces] == [piece.token for piece in want]
    assert cut == [text[piece.start : piece.end] for piece in want]


WAYS = {
    "modulation": TINY,
    "interference": replace(TINY, combine="interfere", read_out="magnitude", activation="gelu"),
    "mean": replace(TINY, pool="mean", activation="tanh", positions="sinusoidal", voice_width=3),
    "real": replace(TINY, read_out="real", activation="relu", positions="learned", max_length=64),
    "folded": replace(TINY, d=40, combine="interfere", pool="mean", positions="learned", max_length=64),
}
TEXTS = [TEXT, "", "good", "not good " * 9, "plan planes planning"]


@in_a_browser
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float32") for name in WAYS), ("real", "float16"), ("folded", "float16"), ("mean", "int8")],
)
def test_logits_of_every_kind(name, dtype, tab, tmp_path):
    network = load(tab, tmp_path, build(WAYS[name], v=TOKENIZER.v), dtype=dtype)
    agree(tab.ask("(texts) => other.logits(texts)", TEXTS), network.logits(TEXTS))


READ = (
    "const reading = read_text(other, text); const out = new Set();"
    " const answer = answered(other, reading, out);"
)


@in_a_browser
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("tokenizer", [TOKENIZER, PIECES], ids=["stems and pairs", "pieces"])
def test_shades_are_those_of_explain(name, tokenizer, tab, tmp_path):
    network = build(WAYS[name], v=tokenizer.v)
    load(tab, tmp_path, network, tokenizer)
    with jax.enable_x64(True):
        want = explain(in_float64(network), tokenizer, TEXT, CLASSES, label=1, max_length=N).tokens
    found = tab.ask(f"(text) => {{ {READ} return [...scored(other, reading, answer, out, 1)] }}", TEXT)
    agree(found, np.array([token.score for token in want]), 1e-5)


def through(moved, network, ids, label):
    """Derivative of a logit by both variants, through magnitudes or phases alone: the other one is held."""

    def logit(variants):
        waves = [wave.encode(w) for w in variants]
        held = jax.lax.stop_gradient
        sizes, phases = [wave.magnitude(Z) for Z in waves], [wave.phase(Z) for Z in waves]
        sizes, phases = (sizes, held(phases)) if moved == "magnitude" else (held(sizes), phases)
        Z1, Z2 = (G * jnp.exp(1j * alpha) for G, alpha in zip(sizes, phases, strict=True))
        x = wave.read_out(wave.COMBINE[network.config.combine](Z1, Z2), network.config.read_out)
        y = network.layers[0].output(x)
        h = y[0] if network.config.pool == "cls" else y.mean(axis=0)
        return network.answer(h)[label]

    w = network.embed(ids)
    return jnp.concatenate(
        jax.grad(logit)([v(w) for v in (network.layers[0].variant1, network.layers[0].variant2)]), axis=-1
    )


@in_a_browser
@pytest.mark.parametrize("name", WAYS)
def test_the_gradient_through_magnitude_and_phase_is_that_of_autodiff(name, tab, tmp_path):
    network = build(WAYS[name], v=TOKENIZER.v)
    load(tab, tmp_path, network)
    found = tab.ask(
        f"(text) => {{ {READ} const found = gradient(other, answer.w, answer.s2, 2);"
        " const rows = (list) => list.map((row) => Array.from(row));"
        " return {magnitude: rows(found.magnitude), phase: rows(found.phase), w: rows(answer.w)} }",
        TEXT,
    )
    ids = jnp.asarray(TOKENIZER.encode([TEXT], N).ids.astype(np.int32))
    largest = np.abs(found["magnitude"]).max() + np.abs(found["phase"]).max()
    for moved in ("magnitude", "phase"):
        with jax.enable_x64(True):
            want = np.asarray(through(moved, in_float64(network), ids, 2))
        np.testing.assert_allclose(found[moved], want, rtol=0, atol=2e-4 * largest)
    # All tokens together turn no phase.
    assert abs(np.sum(np.array(found["w"]) * found["phase"])) < 1e-6 * largest


# --- in the hands of a reader -------------------------------------------------------------------------------


def shares(tab):
    """Probability of each class, as listed."""
    rows = tab.run(
        "[...document.querySelectorAll('.class')].map((row) =>"
        " [row.querySelector('.name').textContent, row.querySelector('.share').textContent])"
    )
    return dict(rows)


def expected(text, out=()):
    """Probability of each class by the library, without the tokens at these positions."""
    ids = TOKENIZER.encode([text], N).ids.astype(np.int32)
    mask = ~np.isin(np.arange(len(ids)), list(out))
    logits = NETWORK(jnp.asarray(ids)[None], jnp.asarray(mask)[None])[0]
    return dict(zip(CLASSES, np.asarray(jax.nn.softmax(logits)), strict=True))


def assert_shows(tab, want):
    found = {name: float(share.rstrip(" %").lstrip("<")) / 100 for name, share in shares(tab).items()}
    assert found.keys() == want.keys()
    for name, share in want.items():
        assert found[name] == pytest.approx(share, abs=6e-4)


def group_of(tab, unit):
    return tab.run(f"page.reading.units[{unit}].group")


@in_a_browser
def test_it_answers_as_one_types_and_names_stay_text(fresh):
    assert_shows(fresh, expected(TEXT))
    fresh.run("document.getElementById('text').select()")
    fresh.type("good <b>cats</b> not")
    assert_shows(fresh, expected("good <b>cats</b> not"))
    assert fresh.run("document.querySelectorAll('main b:not(figcaption b)').length") == 0
    assert "<b>cats</b>" in fresh.run("document.getElementById('words').textContent")
    fresh.until("document.getElementById('said').textContent.endsWith('%')")


@in_a_browser
def test_a_word_is_taken_out_by_a_click_or_a_key_and_its_stems_and_pairs_go_too(fresh):
    fresh.click("#words .word:nth-child(3)")
    group = group_of(fresh, 2)
    assert len(group) > 1
    assert_shows(fresh, expected(TEXT, group))
    assert fresh.run("document.querySelectorAll('.word.out').length") == 1
    fresh.click("#words .word:nth-child(3)")
    assert_shows(fresh, expected(TEXT))
    fresh.run("document.querySelector('#words .word').focus()")
    fresh.press("ArrowRight", 39)
    fresh.press("ArrowRight", 39)
    fresh.press("Enter", 13, "\r")
    assert_shows(fresh, expected(TEXT, group))
    fresh.press("Home", 36)
    fresh.press("Enter", 13, "\r")  # [CLS] stays
    assert_shows(fresh, expected(TEXT, group))


@in_a_browser
def test_shades_say_what_taking_out_does(fresh):
    logit = "page.network.answer(answered(page.network, page.reading, page.out).w)[page.classes.label]"
    before, score = fresh.run(logit), fresh.run("page.scores[2]")
    fresh.run("page.take_out(2)")
    fresh.run("page.explain(page.classes.label)")
    assert before - fresh.run(logit) == pytest.approx(score, rel=1e-9)


@in_a_browser
def test_a_class_is_chosen_by_the_keyboard_and_explained(fresh):
    fresh.run("document.querySelector('.class input:checked').focus()")
    fresh.press("ArrowDown", 40)
    chosen = fresh.run("document.querySelector('.explained .name').textContent")
    assert chosen == list(shares(fresh))[1]
    want = explain(NETWORK, TOKENIZER, TEXT, CLASSES, label=CLASSES.index(chosen), max_length=N).tokens
    agree(fresh.run("page.scores"), np.array([token.score for token in want]))


@in_a_browser
def test_sliders_scale_magnitude_and_phase_and_the_answer_follows(fresh):
    ids = jnp.asarray(TOKENIZER.encode([TEXT], N).ids.astype(np.int32))
    w, layer = NETWORK.embed(ids), NETWORK.layers[0]

    def scaled(variant, k):
        Z = wave.encode(variant(w))
        chosen = np.isin(np.arange(6), range(6) if k is None else [k])
        a, b = np.where(chosen, 1.5, 1), np.where(chosen, 0.5, 1)
        return (a * wave.magnitude(Z)) * jnp.exp(1j * b * wave.phase(Z))

    def want(k):
        x = wave.read_out(scaled(layer.variant1, k) * scaled(layer.variant2, k), "real_imag")
        logits = NETWORK.answer(layer.output(x)[0])
        return dict(zip(CLASSES, np.asarray(jax.nn.softmax(logits)), strict=True))

    move = (
        "for (const [id, value] of [['magnitude', 1.5], ['phase', 0.5]]) {"
        " const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('input')) }"
    )
    fresh.run(move)
    assert_shows(fresh, want(None))
    fresh.click("#everywhere")
    assert_shows(fresh, want(fresh.run("page.dimension")))
    fresh.click("#reset")
    assert_shows(fresh, expected(TEXT))


@in_a_browser
@pytest.mark.parametrize("out", [[], [2, 4]])
def test_what_is_drawn_is_what_is_computed(out, fresh):
    """Every dot lies where the library's wave is, in all three pictures of every dimension."""
    gone = [j for unit in out for j in group_of(fresh, unit)]
    fresh.run(f"for (const unit of {out}) page.take_out(unit)")
    ids = TOKENIZER.encode([TEXT], N).ids.astype(np.int32)
    kept = np.setdiff1d(np.arange(len(ids)), gone)
    w = NETWORK.embed(jnp.asarray(ids[kept]))
    layer = NETWORK.layers[0]
    Z1, Z2 = (np.asarray(wave.encode(variant(w))) for variant in (layer.variant1, layer.variant2))
    of_unit = {
        unit: words[0] for unit, words in enumerate(fresh.run("page.reading.units.map((u) => u.words)"))
    }
    for k in range(6):
        fresh.run(f"page.choose({k})")
        drawn = fresh.run(
            "page.pictures.pictures.map(({frame, dots}) => [frame, [...dots.children].map((dot) =>"
            " ['cx', 'cy', 'data-unit'].map((name) => Number(dot.getAttribute(name))))])"
        )
        for Z, (frame, dots) in zip((Z1, Z2, Z1 * Z2), drawn, strict=True):
            assert sorted(unit for _, _, unit in dots) == [unit for unit in of_unit if unit not in out]
            for x, y, unit in dots:
                z = complex(x / frame["z"] + frame["x"], frame["y"] - y / frame["z"])
                want = Z[np.flatnonzero(kept == of_unit[unit])[0], k]
                assert abs(z - want) < 1e-4 * np.abs(Z[:, k]).max()
        assert f"radius G {abs(Z1[0, k]):.2f}"[:11] in fresh.run(
            "page.pictures.pictures[0].values.textContent"
        )


@in_a_browser
def test_a_marked_word_is_marked_in_text_pictures_and_table(fresh):
    fresh.run("document.querySelector('#words .word').focus()")
    fresh.press("ArrowRight", 39)
    marks = fresh.run(
        "[document.querySelectorAll('.word.marked'), document.querySelectorAll('.dot.marked'),"
        " document.querySelectorAll('#rows .marked')].map((found) => found.length)"
    )
    assert marks == [1, 3, 1]
    assert fresh.run("page.pictures.pictures[0].svg.getAttribute('aria-label')").startswith(
        "Z, the first variant: The:"
    )


@in_a_browser
@pytest.mark.parametrize(
    "text", ["", " \n", "good " * 20_000, "شكرا not good", "\ud800 <script>"], ids=range(5)
)
def test_odd_texts_are_shown(text, fresh):
    fresh.ask("(text) => { document.getElementById('text').value = text; page.read() }", text)
    assert_shows(fresh, expected(text))
    assert len(fresh.run("document.getElementById('words').textContent")) < 1000


@in_a_browser
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_says_nothing_and_asks_nobody(width, scheme, browser, path):
    tab = browser.open(path, prefers_color_scheme=scheme)
    tab.size(width, 700)
    tab.run("page.take_out(2)")
    assert_fits_and_is_quiet(tab, path, width, scheme)


@in_a_browser
def test_of_many_classes_the_likeliest_are_listed_and_others_found_by_name(browser, tmp_path):
    classes = [f"class {i}" for i in range(300)]
    network = build(TINY, v=TOKENIZER.v, c=300)
    tab = browser.open(saved(tmp_path / "many.html", network, classes=classes))
    listed = list(shares(tab))
    logits = Predictor(
        file.unpack(saved(tmp_path / "many.wave", network, classes=classes).read_bytes())
    ).logits([TEXT])
    assert listed == [classes[k] for k in np.argsort(-logits[0])[:8]]
    assert tab.run("document.getElementById('rest').textContent") == "and 292 more, each less likely"
    tab.run("document.getElementById('filter').focus()")
    tab.type("class 29")
    assert set(shares(tab)) <= {"class 29", *(f"class 29{i}" for i in range(10))}


@in_a_browser
@pytest.mark.parametrize("part", ["cut", "changed"])
def test_a_damaged_page_says_so(part, browser, path, tmp_path):
    text = path.read_text()
    data = Parts(text).parts["file"]
    other = data[:-8] if part == "cut" else data[:-9] + ("A" if data[-9] != "A" else "B") + data[-8:]
    (tmp_path / "page.html").write_text(text.replace(data, other))
    tab = browser.open(tmp_path / "page.html", ready=False)
    tab.until("document.getElementById('about')?.textContent.includes('copy or export it again')")


@in_a_browser
def test_several_labels_are_marked_each_by_its_own_probability(browser, tmp_path):
    trained = Trained(NETWORK, TOKENIZER, CLASSES, N)
    logits = Predictor(file.unpack(saved(tmp_path / "one.wave", NETWORK).read_bytes())).logits([TEXT])[0]
    want = 1 / (1 + np.exp(-logits.astype(float)))
    threshold = float(np.sort(want)[:2].mean())  # two of three are above it
    export.save(tmp_path / "several.html", trained._replace(threshold=threshold), text=TEXT)
    tab = browser.open(tmp_path / "several.html")
    marked = {name for name, share in shares(tab).items() if share.endswith("✓")}
    assert marked == {CLASSES[k] for k in np.flatnonzero(want >= threshold)}
    assert len(marked) == 2
    assert list(shares(tab)) == [CLASSES[k] for k in np.argsort(-want)]
    for name, share in shares(tab).items():
        assert float(share.split(" %")[0]) == pytest.approx(100 * want[CLASSES.index(name)], abs=0.06)
    about = tab.run("document.getElementById('about').textContent")
    assert "A text may have several labels, or none: those from" in about
