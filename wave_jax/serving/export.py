"""A trained Wave Network as one small file that `predictor` answers from, or as StableHLO for XLA.

    with RunFolder.open("runs/first") as folder:
        export.save("news.wave", folder.trained(), dtype="int8")
        export.save("news.html", folder.trained(), dtype="int8")  # the same as a page for any browser

docs/export.md describes the bytes of the file and what is promised, docs/page.md the page.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from wave_jax.data.batches import TokenArrays
from wave_jax.data.tokens import Tokens
from wave_jax.disk import write_whole
from wave_jax.errors import check_setting
from wave_jax.networks.layers import sinusoidal
from wave_jax.networks.trace import Network
from wave_jax.networks.wave_network import WaveLayer, WaveNetwork
from wave_jax.runs.folder import parameter_digest
from wave_jax.runs.trained import Trained
from wave_jax.serving import file, page
from wave_jax.serving.file import Content, Dtype, Formula
from wave_jax.serving.predictor import Predictor
from wave_jax.training import evaluate

__all__ = ["Exported", "Loss", "save", "size", "stablehlo"]

# What most numbers of a file are in; the others, vectors and small matrices, stay float32.
_ROUNDED = ("embedding", "tokens", "variants", "feed_forward")
_LARGEST, _HALF = float(np.finfo(np.float32).max), 65504  # the largest numbers of float32 and float16
_TINY = 1e-30  # a row of smaller numbers is 0 in int8, where a scale would lose its digits


class Loss(NamedTuple):
    """The file compared with the network, over texts."""

    texts: int
    changed: float
    """Share of the texts that get another answer."""
    largest: float
    """The largest difference of a logit."""
    before: float
    """Accuracy of the network over the texts with a label; NaN where none has one."""
    after: float
    """Accuracy of the file over the same texts."""


class Exported(NamedTuple):
    """What was written."""

    size: int
    """Bytes of the file or the page."""
    folded: bool
    """Whether it holds rows per token; otherwise weights, which are folded when it is loaded."""
    digest: str
    """The network's `runs.folder.parameter_digest`."""
    loss: Loss | None
    """Over the tokens that were handed in."""


def save(
    path: str | os.PathLike[str],
    trained: Trained,
    *,
    dtype: Dtype = "float32",
    valid: TokenArrays | None = None,
    text: str = "",
) -> Exported:
    """Write the file of a trained network, or a page that holds the file if the name ends in .html.

    Args:
      path: the file.
      trained: the network, with its tokenizer and classes.
      dtype: what most numbers are rounded to.
      valid: texts as tokens; what rounding costs is measured on them.
      text: the text that a page opens with.
    """
    content = _content(trained, dtype)
    raw = file.pack(content)
    loss = None if valid is None else _loss(_checked(trained), Predictor(file.unpack(raw)), valid)
    if Path(path).suffix == ".html":
        raw = page.write(raw, trained.tokenizer.rules, text)
    write_whole(path, raw, flushed=True)
    return Exported(len(raw), "tokens" in content.arrays, content.digest, loss)


def size(trained: Trained, dtype: Dtype = "int8") -> int:
    """Return the bytes that the file of a trained network has."""
    return len(file.pack(_content(trained, dtype)))


def stablehlo(network: Network, n: int) -> bytes:
    """Write a network with its parameters as a program for XLA, for CPU, CUDA and TPU.

    `jax.export.deserialize` reads it. It turns ids (b, n) int32 and mask (b, n) bool into logits (b, c), for
    any b.
    """
    (b,) = jax.export.symbolic_shape("b")
    ids, mask = jax.ShapeDtypeStruct((b, n), jnp.int32), jax.ShapeDtypeStruct((b, n), jnp.bool_)
    program = jax.jit(lambda ids, mask: network(ids, mask))
    return bytes(jax.export.export(program, platforms=("cpu", "cuda", "tpu"))(ids, mask).serialize())


def _content(trained: Trained, dtype: Dtype) -> Content:
    """Return what is in the file of a trained network."""
    check_setting("dtype", dtype, dtype in get_args(Dtype), "float32, float16 or int8")
    network, (_, tokenizer, classes, max_length, threshold) = _checked(trained), trained
    n = tokenizer.longest(max_length)
    weights = _weights(network, tokenizer.v, n)
    arrays = _rounded(min(weights, _folded(weights, n), key=_numbers), dtype)
    answers = tuple(classes), max_length, parameter_digest(network), threshold
    return Content(_formula(network), arrays, tokenizer.to_json(), *answers)


def _checked(trained: Trained) -> WaveNetwork:
    """Return the network, or raise a ValueError if no file can hold it."""
    network, tokenizer, classes, max_length, _ = trained
    if not isinstance(network, WaveNetwork) or (network.config.layers, network.config.levels) != (1, "input"):
        raise ValueError(
            f"Only a Wave Network of one layer at input level folds into a file, not {network.config}:"
            " keep its run folder, or use `export.stablehlo`."
        )
    config, own = network.config, type(network) is not WaveNetwork or type(network.layers[0]) is not WaveLayer
    if own or callable(config.combine) or callable(config.read_out):
        raise ValueError(
            "A file holds the formulas of this library alone, not a combine, read_out, layer or network of"
            " one's own: use `export.stablehlo`."
        )
    c, v, places = network.classifier.out_features, network.v, network.positions
    names = len(classes) == c and all(isinstance(name, str) for name in classes)
    check_setting("classes", classes, names, f"{c} names, one per logit")
    check_setting("tokenizer", tokenizer, tokenizer.v <= v, f"of at most the network's {v} rows")
    longest = 2**16 if places is None else len(places)
    check_setting("max_length", max_length, 3 <= max_length <= longest, f"in 3..{longest}")
    return network


def _formula(network: WaveNetwork) -> Formula:
    config = network.config
    return Formula(config.combine, config.read_out, config.pool, config.activation, config.voices)


def _weights(network: WaveNetwork, v: int, n: int) -> dict[str, np.ndarray]:
    """Return the parameters that answers depend on: the tokenizer's rows, its texts' positions."""
    layer = network.layers[0]
    variants = layer.variant1, layer.variant2
    weights = {
        "embedding": network.embedding[:v],
        "variants": jnp.concatenate([variant.matrix for variant in variants], axis=1),
        "variants_bias": jnp.concatenate([variant.bias[...] for variant in variants]),  # pyright: ignore
        "feed_forward": layer.feed_forward.matrix,
        "feed_forward_bias": layer.feed_forward.bias,
        "norm_scale": layer.norm.scale,
        "norm_bias": layer.norm.bias,
        "classifier": network.classifier.kernel / network.config.voices,
        "classifier_bias": network.classifier.bias,
    }
    places = network.positions
    if places is not None:
        weights["positions"] = places[:n]
    elif network.config.positions == "sinusoidal":
        weights["positions"] = sinusoidal(n, network.config.d)
    weights = {name: np.asarray(x[...], np.float32) for name, x in weights.items()}
    for name, x in weights.items():
        if not np.isfinite(x).all():
            raise ValueError(f"The network's {name} holds NaN or infinity: export an earlier step.")
    return weights


def _folded(weights: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Return rows per token and position instead of weights, if their squares fit into float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        tables = {"tokens": file.fold_tokens(weights), "places": file.fold_places(weights)}
    tables = {name: x for name, x in tables.items() if x is not None}
    largest = sum(float(np.abs(x).max()) for x in tables.values())
    if not n * largest**2 <= _LARGEST:  # NaN is no good either
        raise ValueError(f"Tokens of {largest:.3g} have squares beyond float32: export an earlier step.")
    parts = ("embedding", "variants", "variants_bias", "positions")
    return tables | {name: x for name, x in weights.items() if name not in parts}


def _rounded(arrays: Mapping[str, np.ndarray], dtype: Dtype) -> dict[str, np.ndarray]:
    """Round the arrays to `dtype`. int8 has a scale per row: a large token costs the others nothing."""
    rounded = dict(arrays)
    for name in (name for name in _ROUNDED if name in arrays and dtype != "float32"):
        x = arrays[name]
        largest = np.abs(x).max(axis=1, keepdims=True)
        if dtype == "int8":
            scale = np.where(largest >= _TINY, largest / np.float32(127), np.float32(1))
            rounded |= {name: np.rint(x / scale).astype(np.int8), f"{name}.scale": scale}
        elif largest.max() <= _HALF:
            rounded[name] = x.astype(np.float16)
        else:
            raise ValueError(f"float16 cannot hold {largest.max():.3g}, in {name}: take float32 or int8.")
    return rounded


def _numbers(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(x.size for x in arrays.values())


def _loss(network: WaveNetwork, file: Predictor, tokens: TokenArrays) -> Loss:
    before = evaluate.predict(network, tokens)
    after = file.answer(Tokens(np.asarray(tokens.ids), np.asarray(tokens.offsets)))
    logits, labels = np.stack([before, after]), np.asarray(tokens.labels)
    if file.threshold is None:
        answers, truth = logits.argmax(axis=-1)[..., None], labels[:, None]
    else:
        answers, truth = evaluate.probabilities(logits, True) >= file.threshold, tokens.targets
    right = (answers == truth).all(axis=-1)[:, labels >= 0]
    accuracy = right.mean(axis=-1).tolist() if right.size else (math.nan, math.nan)
    changed, largest = (answers[0] != answers[1]).any(axis=-1).mean(), np.abs(after - before).max()
    return Loss(len(labels), float(changed), float(largest), *accuracy)
