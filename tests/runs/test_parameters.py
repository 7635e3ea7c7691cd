"""The settings of an estimator are those of a preset, by the same names, of the same kinds and meanings."""

import ast
import inspect
import itertools
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from conftest import unchecked

import wave_jax
from wave_jax.networks.configs import PAPER_MODULATION, WaveConfig
from wave_jax.runs import parameters
from wave_jax.runs.parameters import Parameters
from wave_jax.runs.presets import PRESETS, SMALL, Preset
from wave_jax.runs.settings import Settings
from wave_jax.training.config import TrainConfig

OWN = {"preset", "verbose", "size"}
SAID_OTHERWISE = {"valid", "class_weight"}  # in Python: no file, and a dict by label


def described(kind: type) -> dict[str, str]:
    """Return the meaning of each field, which stands below it."""
    body = ast.parse(inspect.getsource(kind)).body[0].body  # pyright: ignore[reportAttributeAccessIssue]
    pairs = itertools.pairwise(body)
    return {
        field.target.id: " ".join(ast.literal_eval(text.value).split())  # pyright: ignore
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def arguments(text: str) -> dict[str, str]:
    """Return what a docstring says of each argument."""
    listed = inspect.cleandoc(text).split("Args:")[1]
    found = re.findall(r"^  (\w+): (.+(?:\n    .+)*)", listed, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def test_every_setting_is_in_the_signature_and_in_the_documentation():
    said = arguments(Parameters.__init__.__doc__ or "")
    assert list(inspect.signature(Parameters).parameters) == list(said)
    meant = {**described(Preset), **described(WaveConfig), **described(TrainConfig)}
    for name in ("network", "training", "weights"):
        del meant[name]
    assert {*said} - OWN == {*meant}
    for name in {*meant} - SAID_OTHERWISE:
        assert meant[name].startswith(said[name].removesuffix(".")), name


def kinds_of(annotation: Any) -> set[Any]:
    """Return all that an annotation allows: types, and each choice of a literal."""
    if get_origin(annotation) is Literal:
        return {("choice", choice) for choice in get_args(annotation)}
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    return set().union(*map(kinds_of, parts)) if parts else {annotation}


def test_every_setting_is_of_the_kind_that_the_preset_asks_for():
    asked = {**get_type_hints(Preset), **get_type_hints(WaveConfig), **get_type_hints(TrainConfig)}
    for name, kind in get_type_hints(Parameters).items():
        if name not in OWN | SAID_OTHERWISE | {"_"}:
            assert kinds_of(kind) == kinds_of(asked[name]) | {("choice", "preset")}, name


def test_settings_that_are_not_given_are_those_of_the_preset():
    assert Parameters().chosen() == SMALL
    assert Parameters("paper-modulation").chosen() == PRESETS["paper-modulation"]
    given = Parameters(d=8, epochs=None, rate=np.float32(0.5), pairs=np.int64(3), verbose=True).chosen()
    assert (given.network.d, given.training.epochs, given.training.rate, given.pairs) == (8, None, 0.5, 3)
    assert type(given.pairs) is int
    assert Parameters("paper-modulation", epochs=None).chosen().training.epochs is None  # None is a value


def test_parameters_are_told_changed_and_shown():
    made = Parameters(epochs=3, verbose=False)
    told = made.get_params()
    assert list(told) == [field.name for field in fields(Parameters)]
    assert (told["epochs"], told["rate"], told["verbose"]) == (3, "preset", False)
    assert Parameters(**told).get_params() == told
    assert repr(made) == "Parameters(preset='small', verbose=False, epochs=3)"
    assert made.set_params(preset="paper-modulation", epochs="preset") is made
    assert made.chosen() == PRESETS["paper-modulation"]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("learning_rate", "it is called rate"),
        ("random_state", "it is called seed"),
        ("max_iter", "it is called epochs"),
        ("drop_token", "it is called drop_tokens"),
        ("colour", "it has preset, verbose, size, valid, "),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(name, cure):
    for use in (lambda **given: Parameters(**given), Parameters().set_params):
        with pytest.raises(ValueError, match=f"Parameters has no setting '{name}': {cure}"):
            use(**{name: 1})


def test_what_other_libraries_say_leads_to_a_setting():
    known = {field.name for field in fields(Parameters)}
    assert {*parameters._ELSEWHERE.values()} <= known
    assert not known & {*parameters._ELSEWHERE}


def test_a_value_that_does_not_fit_names_its_setting():
    for name, value in {"d": "x", "seed": None, "epochs": 2.5, "rate": "a", "batch": 8.0}.items():
        with unchecked(), pytest.raises(ValueError, match=f"{name} must be "):
            Parameters(**{name: value}).chosen()


def test_a_run_says_which_settings_make_it_again():
    network = WaveConfig(**{**vars(SMALL.network), "d": 8})
    training = TrainConfig(**{**vars(SMALL.training), "class_weight": "balanced", "seed": 3})
    data: Mapping[str, Any] = {"name": "x", "digest": "y"}
    settings = Settings(network, training, 9, ["a", "b"], 512, "", data)
    given = parameters.of_run(settings, "small")
    assert given == {"preset": "small", "d": 8, "class_weight": "balanced", "seed": 3}
    assert Parameters(**given).chosen().training == training
    paper = Settings(PAPER_MODULATION, TrainConfig(), 9, ["a", "b"], 128, "", data)
    assert parameters.of_run(paper, "paper-modulation") == {"preset": "paper-modulation"}
    assert parameters.of_run(paper, None)["preset"] == "small"


def test_the_classifier_takes_them():
    signature = inspect.signature(wave_jax.WaveClassifier)
    assert signature == inspect.signature(Parameters)
    assert signature.parameters["epochs"].default == "preset"


def test_the_page_lists_every_setting():
    page = (Path(__file__).parents[2] / "docs" / "classifier.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^|]+)` \| [^|]+ \|$", page, re.MULTILINE))
    values = {**vars(SMALL), **vars(SMALL.network), **vars(SMALL.training)}
    assert rows == {f.name: repr(values[f.name]) for f in fields(Parameters) if f.name not in OWN}
