"""A movie of one text's tokens on the circle along training, as one HTML page that fetches nothing.

    frames = [frame(network, one)]                          # `one`: a batch of the text
    for state, record in fit(network, train, config, every=4):
        frames.append(frame(state.network, one, record.step))
    Path("movie.html").write_bytes(page(frames, tokens, classes))

The scripts are plain JavaScript in `browser/`; the page's policy allows them and its style alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Complex, Float

from wave_jax import web
from wave_jax.data.batches import Batch
from wave_jax.networks.trace import Network

__all__ = ["Frame", "frame", "page", "turning"]

_FOLDER = Path(__file__).parent / "browser"
_WAVES = ("Z1", "Z2", "Z")
_SCRIPTS = ("circle", "movie")  # in the order that they are read
_DIGITS = 4


class Frame(NamedTuple):
    """One text at one moment of training; of several layers, the last one's waves."""

    step: int
    Z1: Complex[np.ndarray, "n d"]
    Z2: Complex[np.ndarray, "n d"]
    Z: Complex[np.ndarray, "n d"]
    shares: Float[np.ndarray, " c"]
    """Probabilities of the classes."""


def frame(network: Network, batch: Batch, step: int = 0) -> Frame:
    """Return what a network makes of the first text of a batch, padding left out."""
    length = int(np.sum(batch.mask[0]))
    found = jax.device_get(_seen(network, batch))
    if found is None:
        raise ValueError(f"{type(network).__name__} has no waves: a movie is of a Wave Network.")
    (Z1, Z2, Z), shares = found
    return Frame(step, Z1[:length], Z2[:length], Z[:length], shares)


@jax.jit
def _seen(network: Network, batch: Batch) -> Any:
    """Return the waves and the probabilities of the first text; None of a network without waves."""
    trace = network.trace(batch.ids, batch.mask, batch.segments)
    if trace.Z is None:
        return None
    waves = [getattr(trace, name) for name in _WAVES]
    last = [Z[-1] if isinstance(Z, tuple) else Z for Z in waves]
    return [Z[0] for Z in last], jax.nn.softmax(trace.logits[0])


def turning(frames: Sequence[Frame], most: int = 8) -> list[int]:
    """Return the dimensions in which the tokens' phases turn most from the first frame to the last."""
    first, last = frames[0], frames[-1]
    turns = sum(
        np.abs(np.angle(getattr(last, name)) - np.angle(getattr(first, name))).mean(axis=0)
        for name in ("Z1", "Z2")
    )
    return np.argsort(-np.asarray(turns), kind="stable")[:most].tolist()


def page(
    frames: Sequence[Frame],
    tokens: Sequence[str],
    classes: Sequence[str],
    dims: Sequence[int] | None = None,
) -> bytes:
    """Return the movie as a page: a button and a slider move all tokens through training.

    Args:
      frames: the moments, in the order of training.
      tokens: name of each token.
      classes: names of the classes.
      dims: the dimensions that can be chosen; those of `turning` if not given.
    """
    _check(frames, tokens, classes)
    dims, d = turning(frames) if dims is None else list(dims), frames[0].Z.shape[1]
    if not dims or not all(0 <= k < d for k in dims):
        raise ValueError(f"dims must be some of 0..{d - 1}, got {dims}.")
    film = {
        "tokens": list(tokens),
        "classes": list(classes),
        "dims": [k + 1 for k in dims],
        "steps": [int(each.step) for each in frames],
        "shares": [np.round(each.shares, _DIGITS).tolist() for each in frames],
        "waves": {name: [_numbers(getattr(each, name), dims) for each in frames] for name in _WAVES},
    }
    style = _read("movie.css")
    script = "\n".join(['"use strict";', *(_read(f"{name}.js") for name in _SCRIPTS)])
    parts = {
        "style": style,
        "script": script,
        "policy": web.policy(style, script),
        "film": json.dumps(film, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c"),
    }
    return web.filled(_read("movie.html"), parts)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _check(frames: Sequence[Frame], tokens: Sequence[str], classes: Sequence[str]) -> None:
    """Raise a ValueError for frames that are no movie of these tokens and classes."""
    if len(frames) < 2:
        raise ValueError(
            f"A movie needs two frames at least, got {len(frames)}: one before training, one after."
        )
    for i, each in enumerate(frames):
        if len(each.Z) != len(tokens) or len(each.shares) != len(classes):
            raise ValueError(
                f"Frame {i} has {len(each.Z)} tokens and {len(each.shares)} classes, but names are given for"
                f" {len(tokens)} and {len(classes)}."
            )
        if not all(np.isfinite(stage).all() for stage in each[1:]):
            raise ValueError(f"Frame {i}, of step {each.step}, holds NaN or infinite numbers: leave it out.")


def _numbers(Z: Complex[np.ndarray, "n d"], dims: Sequence[int]) -> list[list[list[float]]]:
    """Return real and imaginary parts to a few digits, as [dimension][token]."""
    chosen: Any = np.asarray(Z)[:, list(dims)].T
    return [[[float(f"{x:.{_DIGITS}g}") for x in (z.real, z.imag)] for z in row] for row in chosen]
