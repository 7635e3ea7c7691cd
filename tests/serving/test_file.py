"""The bytes of an exported file: any change, cut or addition is refused with a sentence."""

import json
import os
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY, build

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.errors import PredictorError
from wave_jax.runs.trained import Trained
from wave_jax.serving import export, predictor
from wave_jax.serving import file as format

TOKENIZER = Tokenizer.train(["the cat sat on the mat. 北京 élan", "dogs, cats and mats!"] * 2, v=60)


CLASSES = ["cats", "dogs", "北京"]


N = 8


def saved(path, **settings):
    network = build(replace(TINY, **settings), v=TOKENIZER.v)
    export.save(path, Trained(network, TOKENIZER, CLASSES, N))
    return network


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A good file."""
    path = tmp_path_factory.mktemp("files") / "good.wave"
    saved(path)
    return path


def refused(path, raw):
    path.write_bytes(raw)
    with pytest.raises(PredictorError) as error:
        predictor.load(path)
    assert str(error.value).startswith(f"{path} ")
    return str(error.value)


def test_a_byte_that_was_changed_is_noticed_wherever_it_is(file):
    raw = bytearray(file.read_bytes())
    for i in range(len(raw)):
        raw[i] ^= 1
        with pytest.raises(ValueError, match=r"it is damaged|it has|it is of format|no export"):
            format.unpack(bytes(raw))
        raw[i] ^= 1
    format.unpack(bytes(raw))


def test_a_file_cut_short_at_any_place_is_refused(file):
    raw = file.read_bytes()
    for size in range(len(raw)):
        with pytest.raises(ValueError, match="copy or export it again"):
            format.unpack(raw[:size])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "bytes, not"),
        (lambda raw: raw + b"\n", "bytes, not"),
        (lambda raw: b"", "ends after 0 bytes"),
        (lambda raw: b"PK\x03\x04" + raw, "no export of wave_jax wrote it"),
        (
            lambda raw: raw[:8] + struct.pack("<I", 3) + raw[12:],
            "format 3, not 1 or 2: take the wave_jax that wrote",
        ),
        (lambda raw: raw[:8] + struct.pack("<I", 2) + raw[12:], "of format 2, and its threshold is None"),
        (lambda raw: raw[:-9] + b"\x00" + raw[-8:], "damaged, as its SHA-256 shows"),
    ],
    ids=["shorter", "longer", "empty", "foreign", "newer", "of another format", "changed"],
)
def test_what_is_not_whole_is_refused_with_a_sentence(file, tmp_path, change, message):
    assert message in refused(tmp_path / "file", change(file.read_bytes()))


def test_what_is_missing(tmp_path):
    with pytest.raises(PredictorError, match=r"none\.wave cannot be read: No such file"):
        predictor.load(tmp_path / "none.wave")
    with pytest.raises(PredictorError, match="cannot be read: Is a directory"):
        predictor.load(tmp_path)


def without(content, name):
    return content._replace(arrays={key: x for key, x in content.arrays.items() if key != name})


def numbers(content, name, value):
    return content._replace(arrays={**content.arrays, name: np.full_like(content.arrays[name], value)})


def cut(content, name):
    return content._replace(arrays={**content.arrays, name: content.arrays[name][:-1]})


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content._replace(formula=content.formula._replace(read_out="product")),
        lambda content: content._replace(tokenizer="{}"),
        lambda content: content._replace(max_length=1),
        lambda content: content._replace(classes=CLASSES[:2]),
        lambda content: without(content, "classifier"),
        lambda content: cut(content, "feed_forward"),
        lambda content: cut(content, "embedding"),
        lambda content: content._replace(arrays={**content.arrays, "embedding": np.zeros((60, 6), complex)}),
        lambda content: content._replace(classes=[["cats"], "dogs", "北京"]),
        lambda content: content._replace(classes=["cats", "cats", "dogs"]),
        lambda content: content._replace(classes="abc"),
        lambda content: content._replace(max_length=8.0),
        lambda content: numbers(content, "classifier_bias", np.nan),
        lambda content: numbers(content, "norm_scale", np.inf),
        lambda content: numbers(content, "feed_forward", 3e38),
        lambda content: content._replace(arrays={**content.arrays, "more": np.zeros(2, "f4")}),
        lambda content: content._replace(arrays={**content.arrays, "norm_bias": np.zeros(10**6, "f4")}),
        lambda content: content._replace(arrays={**content.arrays, "norm_scale": np.zeros((0, 6), "f4")}),
    ],
    ids=[
        *("formula", "tokenizer", "length", "classes", "missing", "shape", "rows", "dtype"),
        *("lists", "equal classes", "a text of classes", "fraction", "NaN", "infinity", "overflow", "more"),
        *("wide", "nothing"),
    ],
)
def test_whole_but_not_as_written_here(file, tmp_path, change):
    refused(tmp_path / "file", format.pack(change(format.unpack(file.read_bytes()))))


def with_header(raw, change):
    """The bytes of a file whose header was changed, with the right checksum."""
    _, _, header, _, _ = format._START.unpack_from(raw)
    start = format._START.size
    body = raw[start + header :]
    head = change(raw[start : start + header])
    checksum = format._checksum(head, body)
    return format._START.pack(b"WaveJAX\n", 1, len(head), len(body), checksum) + head + body


def test_a_header_that_says_more_than_is_known(file, tmp_path):
    raw = with_header(file.read_bytes(), lambda head: json.dumps({**json.loads(head), "power": 9}).encode())
    assert "take the wave_jax that wrote it" in refused(tmp_path / "file", raw)
    raw = with_header(file.read_bytes(), lambda head: b"[" * 100_000)
    assert "nested too deep" in refused(tmp_path / "file", raw)
    raw = with_header(file.read_bytes(), lambda head: head + b" " * 2**24)
    assert "where 16,777,216 are read" in refused(tmp_path / "file", raw)


def peak(action):
    """The megabytes that Python and NumPy held at most."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda json: json.replace('"cat": ', '"zzz": 200000000,\n"cat": ', 1),
        lambda json: "[" + "[]," * (8 * 2**20) + "[]]",
        lambda json: json + " " * 2**27,
    ],
    ids=["rows", "lists", "spaces"],
)
def test_a_small_file_takes_little_memory(file, tmp_path, change):
    content = format.unpack(file.read_bytes())
    tokenizer = change(content.tokenizer)
    assert tokenizer != content.tokenizer
    raw = format.pack(content._replace(tokenizer=tokenizer))
    assert len(raw) < 2**20
    assert peak(lambda: refused(tmp_path / "bomb", raw)) < 60


def test_a_large_file_that_is_none_is_not_read(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**33)

    def load():
        with pytest.raises(PredictorError, match="no export of wave_jax wrote it"):
            predictor.load(tmp_path / "large")

    assert peak(load) < 1
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PredictorError, match="cannot be read: it is no file"):
        predictor.load(tmp_path / "pipe")


@pytest.mark.parametrize("size", ["1GB", "1 MiB", "", "-1MB", "0", "0.1", "MB", "1e6", True])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="size must be bytes, or a number with kB or MB"):
        format.bytes_in(size)


def test_sizes_are_read_as_they_are_written():
    assert [format.bytes_in(size) for size in (999, "999", "1kB", "1 kb", "2.5 MB", "3B")] == [
        999,
        999,
        1000,
        1000,
        2_500_000,
        3,
    ]
