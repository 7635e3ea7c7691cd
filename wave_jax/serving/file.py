"""The exported file: its bytes, its checks, and the arrays in it."""

import hashlib
import json
import math
import os
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from wave_jax.choices import Combine, ReadOut
from wave_jax.disk import open_regular

__all__ = [
    "ACTIVATIONS",
    "Content",
    "Dtype",
    "Formula",
    "bytes_in",
    "fold_places",
    "fold_tokens",
    "pack",
    "read",
    "restored",
    "unpack",
]

_ONE, _SEVERAL = 1, 2  # formats: of networks with one label a text, and with several, which have a threshold


_MAGIC = b"WaveJAX\n"


_START = struct.Struct("<8sIIQ32s")  # magic, format, bytes of the header and of the body, SHA-256


Dtype = Literal["float32", "float16", "int8"]
_DTYPES: dict[str, type] = {name: np.dtype(name).type for name in get_args(Dtype)}


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6}


_HEADER = 2**24  # bytes of a header at most
_PER_ROW, _SLACK = 128, 2**20  # bytes of a tokenizer at most: for each row, and besides


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
    threshold: float | None = None  # of several labels a text; None if a text has one


def bytes_in(size: int | str) -> int:
    """Return a size in bytes.

    >>> bytes_in("1MB"), bytes_in("2.5 kB"), bytes_in(640)
    (1000000, 2500, 640)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]*)", str(size).strip(), re.IGNORECASE)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or isinstance(size, bool) or float(found[1]) * unit < 1:
        raise ValueError(f"size must be bytes, or a number with kB or MB, as 500kB or 1.5MB, got {size!r}.")
    return int(float(found[1]) * unit)


def pack(content: Content) -> bytes:
    """Return the bytes of a file."""
    little = {name: x.astype(x.dtype.newbyteorder("<"), "C") for name, x in content.arrays.items()}
    header = content._asdict() | {
        "formula": content.formula._asdict(),
        "arrays": [(name, x.dtype.name, x.shape) for name, x in little.items()],
    }
    del header["tokenizer"]  # it ends the body
    if content.threshold is None:
        del header["threshold"]  # so that earlier versions read the file
    version = _ONE if content.threshold is None else _SEVERAL
    raw = json.dumps(header).encode()
    body = b"".join([*(x.tobytes() for x in little.values()), zlib.compress(content.tokenizer.encode(), 9)])
    return _START.pack(_MAGIC, version, len(raw), len(body), _checksum(raw, body)) + raw + body


def read(path: str | os.PathLike[str]) -> Content:
    """Read a file; one whose first bytes are not those of an export of its size is not read any further."""
    with open_regular(path) as file:
        _header(file.read(_START.size), os.fstat(file.fileno()).st_size)
        file.seek(0)
        return unpack(file.read())


def unpack(raw: bytes) -> Content:
    """Read what `pack` wrote; raise a ValueError for all else. Nothing is parsed before the checksum.

    Memory and time stay within a multiple of the file's size, whatever its header says.
    """
    version, header, checksum = _header(raw[: _START.size], len(raw))
    head, rest = raw[_START.size : _START.size + header], memoryview(raw)[_START.size + header :]
    if checksum != _checksum(head, rest):
        raise ValueError("it is damaged, as its SHA-256 shows: copy or export it again.")
    try:
        content = _parsed(json.loads(head), rest)
    except RecursionError:
        raise ValueError("its header is nested too deep.") from None
    if (version == _SEVERAL) != (content.threshold is not None):
        raise ValueError(
            f"it is of format {version}, and its threshold is {content.threshold}: export it again."
        )
    return content


def _header(start: bytes, size: int) -> tuple[int, int, bytes]:
    """Return format, bytes of the header, and checksum, if a file of this start and size may be whole."""
    if not start.startswith(_MAGIC[: len(start)]):
        raise ValueError("no export of wave_jax wrote it.")
    if len(start) < _START.size:
        raise ValueError(f"it ends after {len(start)} bytes: copy or export it again.")
    _, version, header, body, checksum = _START.unpack(start)
    if version not in (_ONE, _SEVERAL):
        raise ValueError(
            f"it is of format {version}, not {_ONE} or {_SEVERAL}: take the wave_jax that wrote it."
        )
    whole = _START.size + header + body
    if size != whole:
        raise ValueError(f"it has {size:,} bytes, not {whole:,}: copy or export it again.")
    if header > _HEADER:
        raise ValueError(f"its header has {header:,} bytes, where {_HEADER:,} are read.")
    return version, header, checksum


def _checksum(header: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(header)
    digest.update(body)
    return digest.digest()


def _parsed(header: dict[str, Any], body: memoryview) -> Content:
    arrays = {}
    for name, dtype, shape in header["arrays"]:
        if not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"{name} has the shape {shape}.")
        size = math.prod(shape) * _DTYPES[dtype]().itemsize
        part, body = body[:size], body[size:]
        arrays[name] = np.frombuffer(part, np.dtype(_DTYPES[dtype]).newbyteorder("<")).reshape(shape)
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds NaN or infinity: export it again.")
    formula = Formula(**header["formula"])
    for name, value in formula._asdict().items():
        if value not in _KNOWN[name]:
            raise ValueError(f"{name} {value!r}")
    v = _check_shapes(arrays, formula)
    tokenizer = _decompressed(body, _SLACK + _PER_ROW * v).decode()
    content = Content(**header | {"formula": formula, "arrays": arrays, "tokenizer": tokenizer})
    _check_names(content)
    return content


def _decompressed(body: memoryview, most: int) -> bytes:
    """Return the tokenizer that ends a file; a small file may hold gigabytes."""
    inside = zlib.decompressobj()
    try:
        content = inside.decompress(body, most)
    except zlib.error as error:
        raise ValueError(f"its tokenizer cannot be decompressed ({error}).") from None
    if not inside.eof or inside.unused_data:
        raise ValueError(f"its tokenizer does not end with the file, or has more than {most:,} bytes.")
    return content


def _check_shapes(arrays: Mapping[str, np.ndarray], formula: Formula) -> int:
    """Return the rows of the vocabulary; raise a ValueError if the arrays do not fit together."""
    (d,), (c,) = arrays["norm_bias"].shape, arrays["classifier_bias"].shape
    rows, places = ("tokens", "places") if "tokens" in arrays else ("embedding", "positions")
    width = 2 * d if rows == "tokens" else d
    v, n = len(arrays[rows]), len(arrays.get(places, ()))
    wanted = {
        "norm_bias": (d,),
        "norm_scale": (d,),
        "feed_forward": (2 * d if formula.read_out == "real_imag" else d, d),
        "feed_forward_bias": (d,),
        "classifier": (d, c),
        "classifier_bias": (c,),
        rows: (v, width),
        **({"variants": (d, 2 * d), "variants_bias": (2 * d,)} if rows == "embedding" else {}),
        **({places: (n, width)} if n else {}),
    }
    scales = {f"{name}.scale": (wanted[name][0], 1) for name in wanted if arrays[name].dtype == np.int8}
    if (found := {name: x.shape for name, x in arrays.items()}) != wanted | scales:
        raise ValueError(f"its arrays are {found}, where {wanted | scales} belong together.")
    return v


def _check_names(content: Content) -> None:
    """Raise a ValueError unless the classes are names and the length is one."""
    names, length = content.classes, content.max_length
    if not (
        isinstance(names, list) and all(isinstance(x, str) for x in names) and len({*names}) == len(names)
    ):
        raise ValueError("its classes are not a list of different names.")
    if type(length) is not int or not 3 <= length <= 2**16 or not isinstance(content.digest, str):
        raise ValueError(f"its texts are cut to {length!r:.40}, or its digest is no text.")
    threshold = content.threshold
    if threshold is not None and not (type(threshold) is float and 0 <= threshold <= 1):
        raise ValueError(f"its threshold is {threshold!r:.40}, no probability.")


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
