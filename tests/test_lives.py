"""A long life in small: threads get the answers of one, and memory stays what it was (`benchmarks.lives`)."""

import gc
import random
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from tiny import DATA, PRESET

from wave_jax.runs import run
from wave_jax.serving import export, predictor
from wave_jax.serving.live import Answers

rng = random.Random(0)
ASKED = [
    [" ".join(rng.choices(["up", "fall", "x"], k=rng.randint(0, 40))) for _ in range(3)] for _ in range(40)
]


@pytest.fixture(scope="module")
def trained():
    return run.prepare(DATA, PRESET).start


@pytest.fixture(scope="module", params=["live", "file"])
def answering(request, trained, tmp_path_factory):
    """The same network, live and from its exported file."""
    if request.param == "live":
        return Answers(trained)
    path = tmp_path_factory.mktemp("lives") / "a.wave"
    export.save(path, trained)
    return predictor.load(path)


def test_eight_threads_get_the_answers_of_one(answering):
    alone = [answering.predict_proba(texts) for texts in ASKED]
    with ThreadPoolExecutor(8) as pool:
        for found, answers in zip(pool.map(answering.predict_proba, ASKED * 5), alone * 5, strict=True):
            np.testing.assert_array_equal(found, answers)


def test_answers_leave_no_array_behind(answering):
    def held():
        gc.collect()
        return len(jax.live_arrays())

    answering.predict_proba(ASKED[0])
    before = held()
    for texts in ASKED:
        answering.predict_proba(texts)
    assert held() == before
