"""Run folders: resumed = uninterrupted, also after kill -9; damage, other models, full disks, devices."""

import contextlib
import logging
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiny import CONFIGS, build

from wave_jax.data import batches
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.errors import CheckpointError
from wave_jax.networks.wave_network import WaveConfig
from wave_jax.runs.folder import RunFolder, Settings, abstract_state, parameter_digest
from wave_jax.training import devices, loop
from wave_jax.training.loop import Record, TrainConfig
from wave_jax.training.step import init

TOKENIZER = Tokenizer.train(["the cat sat on the mat"] * 2, v=40)
V = 48  # more rows than the tokenizer's, shared evenly by eight devices
SETTINGS = Settings(
    network=WaveConfig(d=4, dropout=0.2, max_length=8),
    training=TrainConfig(epochs=4, batch=8, drop_tokens=0.3, patience=9),
    v=V,
    classes=["a", "b", "c"],
    max_length=8,
    tokenizer=TOKENIZER.digest,
    data={"name": "random", "size": 48},
)
RECORD = Record(1, 1, 0.5, 0.25, 1e-3, 2.0, 3.0)


def texts(count, seed):
    """Random texts, all of one padded length: so there is one program to compile."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 9, count))])
    ids, labels = rng.integers(5, V, offsets[-1]), rng.integers(0, 3, count)
    return batches.TokenArrays(ids.astype(np.uint16), offsets, labels.astype(np.int32))


def network():
    return SETTINGS.network.build(v=V, c=3, rngs=nnx.Rngs(0))


def run(folder, until=None, mesh=None):
    """Train in a folder, from its last step, at most to step `until`; the last state."""
    start, config = folder.resume() or network(), folder.settings.training
    state = None
    for state, record in loop.fit(start, texts(48, 0), config, valid=texts(16, 1), every=2, mesh=mesh):
        folder.append(record)
        folder.save(state, metric=record.valid and record.valid.accuracy)
        if until and record.step >= until:
            break
    return state


def state_at(step, seed=0):
    """A state of random numbers, without training."""
    fresh = init(network())
    rng = np.random.default_rng(seed)
    fresh = jax.tree.map(lambda x: jnp.asarray(abs(rng.normal(size=x.shape)), x.dtype), fresh)
    return fresh._replace(step=jnp.int32(step))


def create(path, settings=SETTINGS):
    return RunFolder.create(path, settings, TOKENIZER)


def same(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and jax.tree.all(
        jax.tree.map(lambda x, y: x.dtype == y.dtype and np.array_equal(x, y), a, b)
    )


def without_clock(records):
    return [record._replace(texts_per_second=0) for record in records]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder whose run was never interrupted: read it, or copy it."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    with create(path) as folder:
        run(folder)
    return path


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copied")
    return tmp_path / "copied"


# --- learning: resumed = uninterrupted ----------------------------------------------------------------------


@pytest.mark.parametrize("until", [6, 16])
def test_resumed_is_uninterrupted(whole, tmp_path, until):
    with create(tmp_path / "run") as folder:
        stopped = run(folder, until)
        assert int(stopped.step) == until < 24
    with RunFolder.open(tmp_path / "run") as folder:
        run(folder)
    through, resumed = RunFolder.open(whole), RunFolder.open(tmp_path / "run")
    assert through.steps == resumed.steps
    assert same(through.restore(), resumed.restore())
    assert without_clock(through.records()) == without_clock(resumed.records())


def test_records_after_the_step_are_dropped(tmp_path):
    with create(tmp_path / "run") as folder:
        for step in (1, 2, 3):
            folder.append(RECORD._replace(step=step))
            if step == 2:
                folder.save(state_at(2))
    with (tmp_path / "run" / "records.jsonl").open("a") as file:
        file.write('{"step": 4, "epo')  # killed while writing
    folder = RunFolder.open(tmp_path / "run")
    assert [record.step for record in folder.records()] == [1, 2, 3]
    folder.resume()
    assert [record.step for record in folder.records()] == [1, 2]
    folder.append(RECORD._replace(step=3))
    assert [record.step for record in folder.records()] == [1, 2, 3]
    folder.close()


KILLED = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from tests.runs import test_folder as t
append = t.RunFolder.append
def told(folder, record):
    append(folder, record)
    print(record.step, flush=True)
t.RunFolder.append = told
with t.RunFolder.open({path!r}) as folder:
    t.run(folder)
"""


def test_killed_at_random_moments(whole, tmp_path):
    """One program started again and again: killed three times, most likely inside of a save, then let go.

    `benchmarks.kill` kills many times more.
    """
    create(tmp_path / "run").close()
    script = KILLED.format(root=str(Path(__file__).parents[2]), path=str(tmp_path / "run"))
    rng = random.Random(0)
    for seen in (2, 1, 3):
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            steps = [int(process.stdout.readline()) for _ in range(seen)]
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
        assert process.returncode == -9
        assert steps[-1] < 24
    with RunFolder.open(tmp_path / "run") as folder:
        run(folder)
    through, resumed = RunFolder.open(whole), RunFolder.open(tmp_path / "run")
    assert same(through.restore(), resumed.restore())
    assert through.steps == resumed.steps
    assert without_clock(through.records()) == without_clock(resumed.records())


def test_what_is_saved_is_the_state_before_training_went_on(tmp_path):
    double = jax.jit(lambda state: jax.tree.map(lambda x: x + x, state), donate_argnums=0)
    with create(tmp_path / "run") as folder:
        state = state_at(2)
        want = jax.tree.map(np.array, state)
        folder.save(state)
        jax.block_until_ready(double(state))
        assert same(folder.restore(), want)


def test_the_state_of_a_failed_run_is_saved(tmp_path):
    with create(tmp_path / "run") as folder:
        bad = state_at(3)._replace(best=jnp.float32(jnp.nan))
        folder.save(bad)
        folder.save(bad)  # NonFinite may carry a state that the loop has saved already
        assert folder.steps == [3]
        assert np.isnan(folder.restore().best)


# --- what stays, and what comes back ------------------------------------------------------------------------


def test_the_best_and_the_last_three_stay(tmp_path):
    with create(tmp_path / "run") as folder:
        metrics = [None, 0.5, np.float32(0.75), jnp.float32(0.75), float("nan"), None, 0.25, None]
        for step, metric in enumerate(metrics):
            folder.save(state_at(step, seed=step), metric)
        assert folder.steps == [2, 5, 6, 7]
        assert folder.best == 2
    folder = RunFolder.open(tmp_path / "run")
    assert same(folder.network(), state_at(2, seed=2).network)
    assert same(folder.network(7), state_at(7, seed=7).network)
    assert same(folder.restore(), state_at(7, seed=7))
    assert same(folder.restore(5), state_at(5, seed=5))
    with folder:
        folder.resume()
        folder.save(state_at(8), 0.1)
        assert folder.steps == [2, 6, 7, 8]
        folder.save(state_at(9), 0.8)
        assert folder.steps == [7, 8, 9]


def test_without_a_metric_the_newest_network_is_taken(tmp_path):
    with create(tmp_path / "run") as folder:
        for step in (0, 1):
            folder.save(state_at(step, seed=step))
        assert folder.best is None
        assert same(folder.network(), state_at(1, seed=1).network)


def test_the_best_may_be_the_first(tmp_path):
    with create(tmp_path / "run") as folder:
        for step in (0, 1):
            folder.save(state_at(step, seed=step), 0.5)
        assert folder.best == 0
        assert same(folder.network(), state_at(0).network)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_network_comes_back_from_its_folder(tmp_path, kind):
    config = CONFIGS[kind]
    settings = replace(SETTINGS, network=config, v=TOKENIZER.v)
    network = build(config, v=TOKENIZER.v)
    with create(tmp_path / "run", settings) as folder:
        folder.save(init(network))
    found = RunFolder.open(tmp_path / "run")
    assert found.settings == settings
    assert found.tokenizer() == TOKENIZER
    assert same(found.network(), network)


def test_records_come_back(tmp_path):
    score = loop.Score(np.float32(0.1), np.int32(3), np.int32(4))
    with create(tmp_path / "run") as folder:
        folder.append(RECORD)
        folder.append(RECORD._replace(step=2, valid=score))
        assert folder.records() == [RECORD, RECORD._replace(step=2, valid=score)]


def test_the_digest_of_parameters_is_of_names_shapes_and_numbers():
    digests = {
        parameter_digest(tree)
        for tree in (
            {"a": jnp.ones(2)},
            {"b": jnp.ones(2)},
            {"a": jnp.ones((2, 1))},
            {"a": jnp.ones(2, jnp.int32)},
            {"a": jnp.array([1, 1 + 1e-7])},
        )
    }
    assert len(digests) == 5


# --- other devices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(8, 1), (1, 4), (8, 2)])
@pytest.mark.parametrize("shard_tables", [False, True])
def test_onto_another_number_of_devices(tmp_path, before, after, shard_tables):
    state = state_at(1)
    with create(tmp_path / "run") as folder:
        folder.save(devices.place(state, devices.data_mesh(before), shard_tables))
        like = devices.place(init(network()), devices.data_mesh(after), shard_tables)
        found = folder.restore(like=like)
        assert same(found, state)
        assert found.parameters.embedding[...].sharding == like.parameters.embedding[...].sharding
        assert same(folder.restore(), state)


PROCESS = """
import sys
import jax
jax.distributed.initialize("127.0.0.1:{port}", num_processes=2, process_id=int(sys.argv[1]))
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from tests.runs import test_folder as t
mesh = t.devices.data_mesh()
state = t.devices.place(t.state_at(1), mesh, shard_tables=True)
assert not state.parameters.embedding[...].is_fully_addressable
with t.create({path!r}) as folder:
    folder.append(t.RECORD)
    folder.save(state)
with t.RunFolder.open({path!r}) as folder:
    found = folder.resume(state)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        assert a.sharding == b.sharding
        for x, y in zip(a.addressable_shards, b.addressable_shards, strict=True):
            assert t.np.array_equal(x.data, y.data)
    folder.save(state._replace(step=t.devices.place(t.np.int32(2), mesh)))
    assert folder.steps == [1, 2]
"""


def test_two_processes_write_one_folder(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = PROCESS.format(port=port, root=str(Path(__file__).parents[2]), path=str(tmp_path / "run"))
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(i)],
            env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    errors = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    folder = RunFolder.open(tmp_path / "run")
    assert same(folder.restore(), state_at(2))
    assert folder.records() == [RECORD]


# --- damage -------------------------------------------------------------------------------------------------


def largest(path, step):
    files = [file for file in (path / "checkpoints" / str(step)).rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


def flip(file, at):
    raw = bytearray(file.read_bytes())
    raw[at] ^= 0x10
    file.write_bytes(raw)


def error_of(action):
    with pytest.raises(CheckpointError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def test_a_changed_file_is_named(tmp_path):
    with create(tmp_path / "run") as folder:
        folder.save(state_at(1))
    file = largest(tmp_path / "run", 1)
    flip(file, file.stat().st_size // 2)
    for read in (folder.restore, folder.network):
        found = error_of(read)
        assert f"Step 1 in {folder.path / 'checkpoints'} is damaged" in found
        assert file.name in found


def test_resuming_falls_back_to_an_intact_step_and_says_so(copied, whole, caplog):
    file = largest(copied, 24)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with caplog.at_level(logging.WARNING), RunFolder.open(copied) as folder:
        run(folder)
        assert "Step 24 in" in caplog.text
        assert "is put aside; going on from step 22." in caplog.text
        assert same(folder.restore(), RunFolder.open(whole).restore())
    assert (copied / "checkpoints" / "24.damaged").is_dir()
    assert without_clock(folder.records()) == without_clock(RunFolder.open(whole).records())


def test_where_every_step_is_damaged_nothing_is_moved(tmp_path):
    with create(tmp_path / "run") as folder:
        for step in (1, 2):
            folder.save(state_at(step))
    for step in (1, 2):
        (tmp_path / "run" / "checkpoints" / str(step) / "note.json").write_text("{")
    with RunFolder.open(tmp_path / "run") as folder:
        assert "Step 2 in" in error_of(folder.resume)
        assert folder.steps == [1, 2]


def test_what_a_killed_save_left_is_removed(copied):
    left = copied / "checkpoints" / "30.writing"
    (left / "arrays.orbax-checkpoint-tmp").mkdir(parents=True)
    with RunFolder.open(copied) as folder:
        assert folder.steps[-1] == 24
        folder.resume()
        assert not left.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_damaged_settings_and_tokenizer(copied, name):
    file = copied / name
    content = file.read_bytes()
    rng = np.random.default_rng(0)

    def reopen():
        folder = RunFolder.open(copied)
        assert folder.settings == SETTINGS
        assert folder.tokenizer() == TOKENIZER

    for at in rng.integers(0, len(content), 60):
        flip(file, at)
        with contextlib.suppress(CheckpointError):
            reopen()
        file.write_bytes(content)
    for damaged in (b"", content[: len(content) // 2], b"[]", b"\xff\xfe"):
        file.write_bytes(damaged)
        assert name in error_of(reopen)
    file.unlink()
    assert "missing" in error_of(reopen)


def test_a_damaged_record_names_its_line(copied):
    file = copied / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    for damaged in ("\n", "{}\n", '{"step": "a", "valid": 3}\n', "[1]\n", "1\n"):
        file.write_text(lines[0] + damaged + lines[1])
        assert "records.jsonl:2 was changed" in error_of(RunFolder.open(copied).records)


def test_damage_to_an_old_step_does_not_keep_from_the_others(copied, whole, caplog):
    want = RunFolder.open(whole)
    old = next(step for step in want.steps if step not in (want.best, 24))
    flip(copied / "checkpoints" / str(old) / "note.json", 40)
    for odd in ("70", "٧"):
        (copied / "checkpoints" / odd).touch()
    assert same(RunFolder.open(copied).network(), want.network())
    assert f"Step {old} in" in caplog.text
    assert "It does not count as the best" in caplog.text
    with RunFolder.open(copied) as folder:
        assert same(folder.resume(), want.restore())
        assert folder.steps == [step for step in want.steps if step != old]
    assert (copied / "checkpoints" / f"{old}.damaged").is_dir()


@pytest.fixture
def finished(copied):
    with RunFolder.open(copied) as folder:
        folder.resume()
        folder.finish({"accuracy": 0.5})
    return copied


def test_a_finished_run_does_not_answer_as_another(finished):
    kept = RunFolder.open(finished).kept
    other = next(step for step in RunFolder.open(finished).steps if step != kept)
    RunFolder.open(finished).trained()
    place = finished / "checkpoints"
    (place / str(kept)).rename(finished / "away")
    gone = "does not hold the step that metrics.json was measured on: put back a copy of it, or remove"
    assert gone in error_of(RunFolder.open(finished).network)
    shutil.copytree(place / str(other), place / str(kept))
    assert f"is step {other} under another name" in error_of(lambda: RunFolder.open(finished).restore(kept))
    shutil.rmtree(place)
    assert gone in error_of(RunFolder.open(finished).trained)


def test_links_in_a_folder_of_another_are_not_followed(copied, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").write_text("precious")
    (mine / "5.writing").mkdir()
    (copied / ".lock").unlink()
    (copied / ".lock").symlink_to(mine / "precious")
    assert "cannot be written" in error_of(RunFolder.open(copied).resume)
    (copied / ".lock").unlink()
    (copied / "checkpoints").rename(copied / "elsewhere")
    (copied / "checkpoints").symlink_to(mine)
    assert "is a link, which is not followed" in error_of(RunFolder.open(copied).resume)
    assert (mine / "precious").read_text() == "precious"
    assert (mine / "5.writing").is_dir()


def test_a_path_that_orbax_cannot_write_is_refused_before_training(tmp_path):
    assert "cannot hold saved steps" in error_of(lambda: create(tmp_path / "run[1]"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "records.jsonl"])
def test_what_is_no_file_or_nested_too_deep_is_refused(copied, name):
    file = copied / name

    def read():
        folder = RunFolder.open(copied)
        folder.tokenizer()
        folder.records()

    file.write_text("[" * 100_000 + "\n")
    assert name in error_of(read)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        file.unlink()
        make(file)
        assert name in error_of(read)


# --- another model, another run -----------------------------------------------------------------------------


def test_another_model(copied):
    wider = replace(SETTINGS, network=replace(SETTINGS.network, d=6))
    folder = RunFolder.open(copied)
    assert "network.d is 4, not 6" in error_of(lambda: folder.expect(wider))
    folder.expect(SETTINGS)
    found = error_of(lambda: folder.restore(like=abstract_state(wider)))
    assert "Step 24" in found
    assert "parameters.embedding is float32(48, 4) there, float32(48, 6) here" in found
    bag = abstract_state(replace(SETTINGS, network=CONFIGS["bag"]))
    assert "another model" in error_of(lambda: folder.restore(like=bag))


def test_files_of_two_runs(copied, tmp_path):
    with create(tmp_path / "other", replace(SETTINGS, training=TrainConfig(rate=0.5))):
        pass
    shutil.copy(tmp_path / "other" / "config.json", copied)
    assert "other settings" in error_of(RunFolder.open(copied).restore)
    assert "other settings" in error_of(RunFolder.open(copied).resume)


def test_another_vocabulary(copied):
    other = Tokenizer.train(["a dog ate"] * 2, v=40)
    assert "another tokenizer" in error_of(lambda: RunFolder.create(copied, SETTINGS, other))
    other.save(copied / "tokenizer.json")
    assert "not the tokenizer" in error_of(RunFolder.open(copied).tokenizer)
    assert "not the tokenizer" in error_of(RunFolder.open(copied).resume)


def test_a_folder_is_created_once(copied, tmp_path):
    assert "holds a run already" in error_of(lambda: create(copied))
    (tmp_path / "file").write_text("")
    assert "cannot be written" in error_of(lambda: create(tmp_path / "file" / "run"))
    assert "missing" in error_of(lambda: RunFolder.open(tmp_path))


def test_what_is_not_there(copied):
    folder = RunFolder.open(copied)
    assert "holds no step 3; there are" in error_of(lambda: folder.restore(3))
    shutil.rmtree(copied / "checkpoints")
    assert "holds no step" in error_of(folder.restore)
    assert "holds no step" in error_of(folder.network)


def test_reading_does_not_write(copied):
    folder = RunFolder.open(copied)
    assert "call `resume()`" in error_of(lambda: folder.save(state_at(99)))
    assert "call `resume()`" in error_of(lambda: folder.append(RECORD))


def test_a_run_that_did_not_resume_is_stopped(tmp_path):
    with create(tmp_path / "run") as folder:
        folder.save(state_at(5))
        assert "go on from `resume()`" in error_of(lambda: folder.save(state_at(2)))
        assert "go on from `resume()`" in error_of(lambda: folder.save(state_at(5, seed=1)))


def test_one_run_at_a_time(tmp_path):
    with create(tmp_path / "run") as first:
        first.save(state_at(1))
        second = RunFolder.open(tmp_path / "run")
        assert f"another run (process {os.getpid()})" in error_of(second.resume)
        assert "another run" in error_of(lambda: create(tmp_path / "run"))
    with second:
        assert same(second.resume(), state_at(1))


# --- the disk -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB, where mounting one is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


# Where one array cannot be written, Orbax closes its event loop while TensorStore may still write others.
@pytest.mark.filterwarnings("ignore:Exception ignored in. None:pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_fills_up_loses_nothing(small_disk, capfd):
    folder = create(small_disk / "run")
    folder.save(state_at(1))
    assert folder.steps == [1]
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(bytes(free - 8192))
    folder.save(state_at(2))
    assert "Step 2 could not be saved" in error_of(folder.close)
    assert same(RunFolder.open(small_disk / "run").restore(), state_at(1))
    assert "make room" in error_of(lambda: create(small_disk / "other"))
    (small_disk / "filler").unlink()
    with RunFolder.open(small_disk / "run") as folder:
        folder.resume()
        folder.save(state_at(2))
        assert folder.steps == [1, 2]
    assert capfd.readouterr().err == ""


def test_a_disk_too_small_is_refused_before_training(small_disk):
    big = replace(SETTINGS, v=100_000)
    assert "MB free, but the checkpoints take" in error_of(lambda: create(small_disk / "run", big))


def test_a_read_only_disk(small_disk):
    with create(small_disk / "run") as folder:
        folder.save(state_at(1))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    folder = RunFolder.open(small_disk / "run")
    assert same(folder.restore(), state_at(1))
    assert "cannot be written (Read-only" in error_of(folder.resume)
    assert "cannot be written (Read-only" in error_of(lambda: create(small_disk / "other"))
