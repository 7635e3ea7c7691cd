"""Which device holds what: batches are sharded over all devices of a mesh, the rest is replicated.

A mesh of None means one device, and every function here then leaves things as they are.
"""

from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from wave_jax.errors import check_setting
from wave_jax.networks.layers import Embedding

__all__ = ["check_batch", "constrain", "data_mesh", "place", "shard"]


def data_mesh(count: int | None = None) -> Mesh:
    """Make a mesh with one axis of `count` devices, or of all devices in all processes.

    >>> data_mesh(1).size
    1
    """
    devices = jax.devices()
    count = len(devices) if count is None else count
    check_setting("count", count, 1 <= count <= len(devices), f"in 1..{len(devices)}, the devices there are")
    return jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,), devices=devices[:count])


def check_batch(b: int, mesh: Mesh | None) -> None:
    """Raise a ValueError if a batch of b texts cannot be shared evenly by the devices of the mesh."""
    fits = mesh is None or b % mesh.size == 0
    check_setting("batch", b, fits, f"a multiple of the {mesh.size if mesh else 1} devices of the mesh")


def place(tree: Any, mesh: Mesh | None, shard_tables: bool = False) -> Any:
    """Put arrays on every device of the mesh.

    With `shard_tables`, each device holds its rows of the embedding tables, and of whatever has their shape
    in the optimizer.
    """
    if mesh is None:
        return tree
    return jax.tree.map(_put, tree, _shardings(tree, mesh, shard_tables))


def _put(x: Any, sharding: NamedSharding) -> jax.Array:
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
        return jax.device_put(x, sharding)
    values = np.asarray(x)  # every process has them all and takes its own
    return jax.make_array_from_callback(values.shape, sharding, lambda part: values[part])


def constrain(tree: Any, mesh: Mesh | None, shard_tables: bool = False) -> Any:
    """Keep results, inside of jit, where `place` put them."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, _shardings(tree, mesh, shard_tables))


def shard(tree: Any, mesh: Mesh | None) -> Any:
    """Shard the first axis, of texts, over all devices, inside of jit."""
    if mesh is None:
        return tree
    whole = jax.lax.optimization_barrier(tree)  # else what made it is cut too, and gathered for other uses
    return jax.lax.with_sharding_constraint(whole, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))


def _shardings(tree: Any, mesh: Mesh, shard_tables: bool) -> Any:
    whole, by_rows = PartitionSpec(), PartitionSpec(mesh.axis_names)

    def of(leaf: Any) -> Any:
        table = shard_tables and isinstance(leaf, Embedding)
        if table and leaf[...].shape[0] % mesh.size:
            raise ValueError(
                f"A table of {leaf[...].shape[0]} rows cannot be shared evenly by {mesh.size} devices:"
                " make v and max_length multiples of them."
            )
        return jax.tree.map(lambda _: NamedSharding(mesh, by_rows if table else whole), leaf)

    return jax.tree.map(of, tree, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
