"""BERT's weights from a local folder, in the form that Hugging Face writes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open

from wave_jax.networks.bert import Bert
from wave_jax.networks.configs import BertConfig, weights_file
from wave_jax.networks.layers import Linear

__all__ = ["is_whole", "load", "word_embeddings"]


def load(folder: str | Path, c: int, rngs: nnx.Rngs) -> Bert:
    """Load the BERT of a folder, with a fresh classifier for c classes; its weights become float32.

    A folder may lack a pooler, as a BERT for sentence vectors does: a warning says that it starts at random.
    """
    model = BertConfig.read(folder).build(c=c, rngs=rngs)
    parts = list(_parts(model))
    if not any(name.startswith("pooler.") for name in _names(folder)):
        warnings.warn(f"{folder} holds no pooler: it starts at random, as the classifier does.", stacklevel=2)
        parts = [part for part in parts if not part[0].startswith("pooler")]
    # A Linear of PyTorch keeps its weight as (out, in).
    weights = _read(folder, {name: p.shape[::-1] if turned else p.shape for name, p, turned in parts})
    for name, parameter, turned in parts:
        parameter[...] = jnp.asarray(weights[name].T if turned else weights[name])
    return model


def is_whole(folder: str | Path) -> bool:
    """Return whether a folder holds the layers of a BERT, and not its words alone."""
    return "encoder.layer.0.output.dense.weight" in _names(folder)


def word_embeddings(folder: str | Path) -> np.ndarray:
    """Load the table of words (vocab_size, hidden_size) alone, for `TransformerConfig.build(words=...)`."""
    config, name = BertConfig.read(folder), "embeddings.word_embeddings.weight"
    return _read(folder, {name: (config.vocab_size, config.hidden_size)})[name]


def _parts(model: Bert) -> Iterator[tuple[str, nnx.Param, bool]]:
    """Yield each parameter but the classifier's: its name in the file, itself, whether it is transposed."""
    yield "embeddings.word_embeddings.weight", model.embedding, False
    yield "embeddings.position_embeddings.weight", model.positions, False
    yield "embeddings.token_type_embeddings.weight", model.types, False
    modules = {"embeddings.LayerNorm": model.norm, "pooler.dense": model.pooler}
    for i, layer in enumerate(model.layers):
        at = f"encoder.layer.{i}"
        modules |= {
            f"{at}.attention.self.query": layer.query,
            f"{at}.attention.self.key": layer.key,
            f"{at}.attention.self.value": layer.value,
            f"{at}.attention.output.dense": layer.output,
            f"{at}.attention.output.LayerNorm": layer.attention_norm,
            f"{at}.intermediate.dense": layer.up,
            f"{at}.output.dense": layer.down,
            f"{at}.output.LayerNorm": layer.norm,
        }
    for name, module in modules.items():
        is_linear = isinstance(module, Linear)
        yield f"{name}.weight", module.kernel if is_linear else module.scale, is_linear
        yield f"{name}.bias", module.bias, False


def _read(folder: str | Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read these weights of a folder's model.safetensors, after checking their names and shapes."""
    with _opened(folder) as (file, stored, names):
        found = {name: tuple(stored.get_slice(at).get_shape()) for name, at in names.items()}
        _check_shapes(file, shapes, found)
        return {name: stored.get_tensor(names[name]).astype(np.float32) for name in shapes}


def _names(folder: str | Path) -> set[str]:
    """Return the names of a folder's weights, in their newer form."""
    with _opened(folder) as (_, _, names):
        return set(names)


@contextmanager
def _opened(folder: str | Path) -> Iterator[tuple[Path, Any, dict[str, str]]]:
    """Open a folder's model.safetensors: its path, itself, and its names by their newer form."""
    file = weights_file(folder, "model.safetensors")
    try:
        with safe_open(file, framework="np") as stored:
            yield file, stored, {_plain(name): name for name in stored.keys()}  # noqa: SIM118 (no dict)
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged ({error}): download it again.") from None


def _check_shapes(
    file: Path, expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]
) -> None:
    wrong = [
        f"{name} must be {shape}, is {found.get(name, 'missing')}"
        for name, shape in expected.items()
        if found.get(name) != shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"{file} does not fit the config.json beside it: {'; '.join(wrong[:3])}{more}."
            " Take both from the same BERT model."
        )


def _plain(name: str) -> str:
    """Remove the model's prefix from a weight's name, and give a norm's scale and bias their newer names."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
