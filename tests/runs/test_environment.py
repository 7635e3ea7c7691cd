"""Devices and versions, as a result records them."""

import os
import platform
import re

import jax

from wave_jax.runs.environment import PACKAGES, device, versions


def test_devices_are_counted_by_kind():
    assert re.fullmatch(rf"{len(jax.devices())} x cpu of {len(os.sched_getaffinity(0))} cores", device())


def test_versions_are_of_python_and_of_what_a_result_depends_on():
    found = versions()
    assert list(found) == ["python", *PACKAGES]
    assert found["python"] == platform.python_version()
    assert found["jax"] == jax.__version__
