"""What is checked before a training begins: a loss of one's own, and a state that is gone on from."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wave_jax.data.batches import TokenArrays, gather

__all__ = ["check_loss", "check_state"]


def check_loss(loss: Callable, network: Any, train: TokenArrays) -> None:
    """Raise a ValueError if filler changes a loss: the rows of label -1 that make a last batch full.

    Args:
      loss: of (network, batch).
      network: that it is tried with.
      train: the texts, of which two are tried.
    """
    rows = np.arange(min(2, len(train.labels)))
    n = int(np.diff(np.asarray(train.offsets[: len(rows) + 1])).max())
    tried = jax.jit(loss)
    alone, filled = (float(tried(network, gather(train, some, n))) for some in (rows, np.append(rows, -1)))
    if not np.isclose(alone, filled, rtol=1e-3, atol=1e-6, equal_nan=True):
        raise ValueError(
            f"loss is {alone:.6g} of two texts and {filled:.6g} with a row of filler, whose label is -1: take"
            " jnp.where(batch.labels >= 0, losses, 0), and divide by the number of labels >= 0."
        )


def check_state(state: Any, fresh: Any) -> None:
    """Raise a ValueError if a state was made for another network or optimizer than the fresh one.

    Args:
      state: of an optimizer.
      fresh: what the optimizer makes of the network, or its shapes.
    """
    found, wanted = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (state, fresh))
    if len(found) != len(wanted):
        raise ValueError(
            f"The optimizer's state has {len(found)} arrays, and this network and optimizer need"
            f" {len(wanted)}: go on with those that the state is of."
        )
    for (path, have), (at, need) in zip(found, wanted, strict=True):
        if path != at or have.shape != need.shape or have.dtype != need.dtype:
            raise ValueError(
                "The optimizer's state is of another network or optimizer:"
                f" {jax.tree_util.keystr(path)} is {have.dtype}{have.shape},"
                f" and {jax.tree_util.keystr(at)} should be {need.dtype}{need.shape}."
            )
