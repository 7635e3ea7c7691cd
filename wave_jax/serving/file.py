"""The exported file: its bytes, its checks, and the arrays in it."""

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from wave_jax.choices import Combine, ReadOut

__all__ = [
    "ACTIVATIONS",
    "Content",
    "Dtype",
    "Formula",
    "fold_places",
    "fold_tokens",
    "pack",
    "restored",
    "unpack",
]

_FORMAT = 1


_MAGIC = b"WaveJAX\n"


_START = struct.Struct("<8sIIQ32s")  # magic, format, bytes of the header and of the body, SHA-256


Dtype = Literal["float32", "float16", "int8"]
_DTYPES: dict[str, type] = {name: np.dtype(name).type for name in get_args(Dtype)}


_LARGEST = 2**28  # bytes of a tokenizer


ACTIVATIONS = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2,
    "tanh": np.tanh,
}


class Formula(NamedTuple):
    """The settings of a network that its answers depend on; `configs.WaveConfig` explains them."""

    combine: str
    read_out: str
    pool: str
    activation: str
    voices: int


_KNOWN = {
    "combine": get_args(Combine),
    "read_out": get_args(ReadOut),
    "pool": ("cls", "mean"),
    "activation": tuple(ACTIVATIONS),
    "voices": range(1, 2**16),
}


class Content(NamedTuple):
    """The content of a file. docs/export.md lists the names of its arrays."""

    formula: Formula
    arrays: Mapping[str, np.ndarray]
    tokenizer: str  # its JSON
    classes: Sequence[str]
    max_length: int  # tokens of a text that are read
    digest: str  # of the network's parameters, before they were folded or rounded


def pack(content: Content) -> bytes:
    """Return the bytes of a file."""
    little = {name: x.astype(x.dtype.newbyteorder("<"), "C") for name, x in content.arrays.items()}
    header = content._asdict() | {
        "formula": content.formula._asdict(),
        "arrays": [(name, x.dtype.name, x.shape) for name, x in little.items()],
    }
    del header["tokenizer"]  # it ends the body
    raw = json.dumps(header).encode()
    body = b"".join([*(x.tobytes() for x in little.values()), zlib.compress(content.tokenizer.encode(), 9)])
    return _START.pack(_MAGIC, _FORMAT, len(raw), len(body), _checksum(raw, body)) + raw + body


def unpack(raw: bytes) -> Content:
    """Read what `pack` wrote; raise a ValueError for all else. Nothing is parsed before the checksum."""
    if not raw.startswith(_MAGIC[: len(raw)]):
        raise ValueError("no export of wave_jax wrote it.")
    if len(raw) < _START.size:
        raise ValueError(f"it ends after {len(raw)} bytes: copy or export it again.")
    _, version, header, body, checksum = _START.unpack_from(raw)
    if version != _FORMAT:
        raise ValueError(f"it is of format {version}, not {_FORMAT}: take the wave_jax that wrote it.")
    whole = _START.size + header + body
    if len(raw) != whole:
        raise ValueError(f"it has {len(raw):,} bytes, not {whole:,}: copy or export it again.")
    head, rest = raw[_START.size : _START.size + header], memoryview(raw)[_START.size + header :]
    if checksum != _checksum(head, rest):
        raise ValueError("it is damaged, as its SHA-256 shows: copy or export it again.")
    return _parsed(json.loads(head), rest)


def _checksum(header: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(header)
    digest.update(body)
    return digest.digest()


def _parsed(header: dict[str, Any], body: memoryview) -> Content:
    arrays = {}
    for name, dtype, shape in header["arrays"]:
        size = math.prod(shape) * _DTYPES[dtype]().itemsize
        part, body = body[:size], body[size:]
        arrays[name] = np.frombuffer(part, np.dtype(_DTYPES[dtype]).newbyteorder("<")).reshape(shape)
    formula = Formula(**header["formula"])
    for name, value in formula._asdict().items():
        if value not in _KNOWN[name]:
            raise ValueError(f"{name} {value!r}")
    tokenizer = zlib.decompressobj().decompress(body, _LARGEST).decode()
    return Content(**header | {"formula": formula, "arrays": arrays, "tokenizer": tokenizer})


def restored(arrays: Mapping[str, np.ndarray], name: str, rows: Any = slice(None)) -> np.ndarray:
    """Return rows of an array in float32; one of int8 has a scale per row beside it.

    >>> restored({"A": np.int8([[127], [-2]]), "A.scale": np.float32([[2], [0.5]])}, "A").tolist()
    [[254.0], [-1.0]]
    """
    x = arrays[name][rows].astype(np.float32)
    return x * arrays[f"{name}.scale"][rows] if f"{name}.scale" in arrays else x


def fold_tokens(arrays: Mapping[str, np.ndarray], ids: Any = slice(None)) -> np.ndarray:
    """Compute w·[A A'] + [b b'] of tokens: with `fold_places`, (w + p)·[A A'] + [b b']."""
    if "tokens" in arrays:
        return restored(arrays, "tokens", ids)
    return restored(arrays, "embedding", ids) @ restored(arrays, "variants") + arrays["variants_bias"]


def fold_places(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Compute p·[A A'] of positions; None if there are no positions."""
    if "places" in arrays:
        return restored(arrays, "places")
    if "positions" in arrays:
        return restored(arrays, "positions") @ restored(arrays, "variants")
    return None
