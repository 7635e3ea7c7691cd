"""Random changes of files: by bytes, or by a value whose digest is then made right again."""

import gzip
import json
import random
from typing import Any

import numpy as np

from wave_jax.disk import sealed, unsealed
from wave_jax.serving import file

ODD = [None, True, -1, 0, 2**31, 10**30, 1e308, float("nan"), 0.5, "", "x" * 999, [], {}, [[1]], "[CLS]"]


def of_bytes(rng: random.Random, raw: bytes) -> bytes:
    """Flip, cut, repeat, insert or remove some bytes."""
    a, b = sorted(rng.randrange(len(raw) + 1) for _ in range(2))
    piece = rng.choice([rng.randbytes(rng.randint(1, 9)), b"\0", b"\n", b'"', b"[" * 9, b"9" * 9, raw[a:b]])
    return rng.choice(
        [raw[:a] + piece + raw[a:], raw[:a] + raw[b:], raw[:a], raw[:a] + piece + raw[a + len(piece) :]]
    )


def of_json(rng: random.Random, content: Any) -> Any:
    """Change one value of what JSON holds, remove it, or put another beside it."""
    if not isinstance(content, list | dict) or not content or rng.random() < 0.2:
        return rng.choice(ODD)
    content = content.copy()
    key = rng.choice(list(content) if isinstance(content, dict) else range(len(content)))
    if rng.random() < 0.15:
        del content[key]
    elif rng.random() < 0.15 and isinstance(content, dict):
        content[rng.choice(["more", "", "type"])] = rng.choice(ODD)
    else:
        content[key] = of_json(rng, content[key])
    return content


def crafted_json(rng: random.Random, raw: bytes) -> bytes:
    return json.dumps(of_json(rng, json.loads(raw))).encode()


def crafted_seal(rng: random.Random, raw: bytes) -> bytes:
    content = of_json(rng, unsealed(raw))
    return sealed(content) if isinstance(content, dict) else json.dumps(content).encode()


def crafted_export(rng: random.Random, raw: bytes) -> bytes:
    """Change a value of an exported file, and give it the right SHA-256."""
    content = file.unpack(raw)
    name = rng.choice(["arrays", "tokenizer", "classes", "max_length", "digest", "formula"])
    if name == "arrays":
        key = rng.choice(list(content.arrays))
        x = content.arrays[key]
        odd = np.array(rng.choice([0, 1, 127, np.nan, np.inf, 3e38, -3e38]))
        made = rng.choice(
            [np.full_like(x, odd if x.dtype != np.int8 else 1), x[:-1], x.T, x.reshape(-1), x[:0]]
        )
        return file.pack(content._replace(arrays={**content.arrays, key: made}))
    if name == "tokenizer":
        tokenizer = json.dumps(of_json(rng, json.loads(content.tokenizer)))
        return file.pack(content._replace(tokenizer=tokenizer))
    if name == "formula":
        changed = content.formula._replace(**{rng.choice(content.formula._fields): rng.choice(ODD)})
        return file.pack(content._replace(formula=changed))
    return file.pack(content._replace(**{name: of_json(rng, getattr(content, name))}))


def packed(rng: random.Random, raw: bytes) -> bytes:
    return gzip.compress(of_bytes(rng, gzip.decompress(raw)), 1)
