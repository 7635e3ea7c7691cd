"""Many devices give what one gives: eight in this process, and two processes over loopback."""

import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from tiny import TINY, build

from wave_jax.data import batches
from wave_jax.data.batches import TokenArrays
from wave_jax.training import devices
from wave_jax.training.adam import Pace
from wave_jax.training.loop import TrainConfig, fit
from wave_jax.training.schedule import of_a_step
from wave_jax.training.step import NOTHING, TOGETHER, Program, Work, init, train_block

V = 128
NETWORK = build(replace(TINY, dropout=0.3), v=V)
CONFIG = TrainConfig(epochs=2, batch=8, rate=1e-2, smoothing=0.1, drop_tokens=0.3)


def tokens():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, 26)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = rng.integers(2, 16, offsets[-1]).astype(np.uint16)
    return TokenArrays(ids, offsets, rng.integers(0, 3, 26).astype(np.int32))


def parameters(mesh=None, shard_tables=False):
    """The network after two epochs, as NumPy arrays, and its last record."""
    *_, (state, record) = fit(
        NETWORK, tokens(), CONFIG, valid=tokens(), every=4, mesh=mesh, shard_tables=shard_tables
    )
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.network)], record


def assert_equal_to_one_device(got):
    (arrays, record), (want, want_record) = got, parameters()
    for a, b in zip(arrays, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert record.loss == pytest.approx(want_record.loss, rel=1e-5)
    assert record.valid.correct == want_record.valid.correct


@pytest.mark.parametrize("shard_tables", [False, True])
def test_eight_devices_are_one_device(shard_tables):
    assert_equal_to_one_device(parameters(devices.data_mesh(), shard_tables))


def test_a_mesh_of_two_axes_will_do():
    mesh = jax.make_mesh((2, 4), ("host", "chip"), axis_types=(AxisType.Auto,) * 2)
    assert_equal_to_one_device(parameters(mesh))


def test_a_state_moves_to_another_number_of_devices():
    seen = None
    for state, record in fit(NETWORK, tokens(), CONFIG, every=2, mesh=devices.data_mesh()):
        if record.step == 2:
            seen = jax.tree.map(np.asarray, state)
            break
    *_, (state, _) = fit(seen, tokens(), CONFIG, every=2, mesh=devices.data_mesh(2))
    want, _ = parameters()
    for a, b in zip(jax.tree.leaves(state.network), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shard_tables", [False, True])
def test_a_step_reduces_all_gradients_at_once_and_moves_no_table(shard_tables):
    mesh = devices.data_mesh()
    state = devices.place(init(NETWORK), mesh, shard_tables)
    on_device = devices.place(batches.to_device(tokens()), mesh)
    rows = np.zeros((TOGETHER, 8), np.int32)
    work = Work(rows, Pace(*np.zeros((3, TOGETHER))), np.int32(4), np.uint32(0))
    program = Program(8, of_a_step(CONFIG), mesh, shard_tables)
    compiled = train_block.jitted.lower(state, NOTHING, on_device, work, program).compile()
    found = re.findall(
        r"= (\S.*?) (all-reduce|all-gather|all-to-all|reduce-scatter)(?:-start)?\(", compiled.as_text()
    )
    assert {kind for _, kind in found} == {"all-reduce"}
    gradients = [shapes for shapes, _ in found if shapes.count("f32[6,6]") == 2]  # both variants' kernels
    assert len(gradients) == 1
    leaves = len(jax.tree.leaves(NETWORK))
    assert gradients[0].count("f32[") == leaves + 1  # and the loss
    # Besides: how many texts there are and are right, and the rows of a table that is spread.
    assert len(found) == (3 if shard_tables else 2)
    assert all(f"f32[{V}," not in shapes for shapes, _ in found)


def test_tables_are_sharded_by_rows_with_their_moments():
    mesh = devices.data_mesh()
    state = devices.place(init(NETWORK), mesh, shard_tables=True)
    for table in (state.parameters.embedding, state.optimizer.mu.embedding, state.optimizer.nu.embedding):
        assert table[...].sharding.spec == PartitionSpec(("data",))
        assert table[...].addressable_shards[0].data.shape == (V // 8, 6)
    assert state.parameters.classifier.kernel[...].sharding.spec == PartitionSpec()


def test_what_does_not_divide_is_named():
    mesh = devices.data_mesh()
    with pytest.raises(ValueError, match="batch must be a multiple of the 8 devices of the mesh, got 6"):
        fit(NETWORK, tokens(), replace(CONFIG, batch=6), mesh=mesh)
    with pytest.raises(ValueError, match="table of 11 rows cannot be shared evenly by 8 devices"):
        devices.place(build(TINY, v=11), mesh, shard_tables=True)
    with pytest.raises(ValueError, match=r"count must be in 1\.\.8"):
        devices.data_mesh(9)


PROCESS = """
import sys
sys.path.append("tests")
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
import numpy as np
from tests.training import test_devices as t
arrays, record = t.parameters(t.devices.data_mesh())
assert t.devices.data_mesh().size == 4
np.savez(sys.argv[3], *arrays, loss=record.loss, correct=record.valid.correct)
"""


def test_two_processes_are_one_device(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    root = Path(__file__).parents[2]
    settings = os.environ | {"JAX_NUM_CPU_DEVICES": "2"}
    files = [tmp_path / f"{i}.npz" for i in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, address, str(i), str(file)],
            cwd=root,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for i, file in enumerate(files)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()
    want, record = parameters()
    for file in files:
        got = np.load(file)
        for i, b in enumerate(want):
            np.testing.assert_allclose(got[f"arr_{i}"], b, rtol=1e-4, atol=1e-5)
        assert float(got["loss"]) == pytest.approx(record.loss, rel=1e-5)
        assert int(got["correct"]) == record.valid.correct
