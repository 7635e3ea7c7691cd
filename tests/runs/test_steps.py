"""Saved steps: what comes back is what was saved, or an error that says what is wrong; nothing in between."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from tiny import TINY, build

from wave_jax.disk import sealed, unsealed
from wave_jax.errors import CheckpointError
from wave_jax.runs import notes, steps

RNG = np.random.default_rng(0)
ARRAYS = {
    "a": jnp.asarray(RNG.normal(size=(40, 6)), jnp.float32),
    "b.c": jnp.asarray(RNG.normal(size=7), jnp.bfloat16),
    "d": jnp.asarray(RNG.normal(size=(2, 2, 2)), jnp.float16),
    "step": jnp.int32(3),
    "ids": jnp.arange(5, dtype=jnp.uint16),
    "flag": jnp.array(True),
    "odd": jnp.array([jnp.nan, jnp.inf, -0.0, 1e-45]),
}


def save(folder, step=1, arrays=ARRAYS):
    steps.write(folder, step, arrays, notes.Note("digest", 0.5, steps.describe(arrays))).finish()


def like(arrays):
    return {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in arrays.items()}


def error_of(action):
    with pytest.raises(CheckpointError) as caught:
        action()
    text = str(caught.value)
    assert text.startswith("Step 1 ")
    assert "\n" not in text
    assert len(text) < 600
    return text


def test_every_bit_comes_back(tmp_path):
    save(tmp_path)
    found = steps.load(tmp_path, 1, like(ARRAYS))
    assert steps.describe(found) == steps.describe(ARRAYS)
    assert found["b.c"].dtype == ml_dtypes.bfloat16
    assert all(isinstance(array, jax.Array) for array in found.values())
    assert notes.saved(tmp_path) == [1]


def test_a_folder_may_be_named_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(Path("."))
    assert steps.describe(steps.load(Path("."), 1, like(ARRAYS))) == steps.describe(ARRAYS)


def test_some_arrays_of_a_step(tmp_path):
    save(tmp_path)
    found = steps.load(tmp_path, 1, like({"d": ARRAYS["d"]}))
    assert list(found) == ["d"]
    assert np.array_equal(found["d"], ARRAYS["d"])


def test_names_of_a_network():
    names = steps.named(build(TINY))
    assert "embedding" in names
    assert "layers.0.variant1.kernel" in names
    assert len(names) == len(jax.tree.leaves(build(TINY)))


def test_only_unfinished_work_is_cleaned(tmp_path):
    kept = ["9", "12.damaged", "x.writing", "3.writing-notes"]
    for name in (*kept, "11.writing", "8.deleted"):
        (tmp_path / name / "state").mkdir(parents=True)
    steps.clean(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(kept)


def test_removed_and_put_aside(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    steps.remove(tmp_path, 1)
    steps.put_aside(tmp_path, 2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["2.damaged"]
    save(tmp_path, 2)
    steps.put_aside(tmp_path, 2)
    assert notes.saved(tmp_path) == []


def test_another_shape_dtype_or_name(tmp_path, capfd):
    save(tmp_path)
    for name, shape, dtype, there in (
        ("a", (40, 7), "float32", "a is float32(40, 6) there, float32(40, 7) here"),
        ("d", (2, 2, 2), "float32", "d is float16(2, 2, 2) there, float32(2, 2, 2) here"),
        ("e", (), "int32", "e is missing there, int32() here"),
    ):
        wanted = {**like(ARRAYS), name: jax.ShapeDtypeStruct(shape, dtype)}
        found = error_of(lambda wanted=wanted: steps.load(tmp_path, 1, wanted))
        assert f"is of another model: {there}; build" in found
    assert capfd.readouterr().err == ""


def test_a_changed_number_names_its_array(tmp_path):
    """As if disk or memory had changed it before the files' digests were taken."""
    save(tmp_path)
    file = tmp_path / "1" / "note.json"
    note = unsealed(file.read_bytes())
    note["arrays"]["b.c"][2] = "another"
    file.write_bytes(sealed(note))
    assert "damaged: the numbers of b.c are not" in error_of(lambda: steps.load(tmp_path, 1, like(ARRAYS)))


def test_any_damage_is_noticed_quietly(tmp_path, capfd):
    """Bytes flipped, files cut and removed all over a step: never other numbers, never noise."""
    save(tmp_path)
    files = [file for file in (tmp_path / "1").rglob("*") if file.is_file()]
    assert len(files) >= 8
    for file in files:
        content = file.read_bytes()
        flipped = bytearray(content or b"\0")
        flipped[RNG.integers(len(flipped))] ^= 1 << RNG.integers(8)
        for damaged in (bytes(flipped), content[: len(content) // 2], None):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            if damaged != content:
                found = error_of(lambda: steps.load(tmp_path, 1, like(ARRAYS)))
                assert f"is damaged: {file.relative_to(tmp_path / '1')}" in found
            file.write_bytes(content)
    steps.load(tmp_path, 1, like(ARRAYS))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "a\\b"])
def test_a_path_that_orbax_takes_for_a_pattern_is_refused(tmp_path, name):
    folder = tmp_path / name / "inside"
    folder.mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"cannot hold saved steps because of the .* in its path: take"):
        steps.check_path(folder)
    with pytest.raises(CheckpointError, match="cannot hold saved steps"):
        save(folder)
    assert list(folder.iterdir()) == []
    save(tmp_path)
    shutil.copytree(tmp_path / "1", folder / "1")
    with pytest.raises(CheckpointError, match="cannot hold saved steps"):
        steps.load(folder, 1, like(ARRAYS))


def test_a_step_that_orbax_did_not_merge_is_not_called_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "check_path", lambda folder: None)
    (tmp_path / "a[1]").mkdir()
    assert "Orbax has not merged" in error_of(lambda: save(tmp_path / "a[1]"))
    assert list((tmp_path / "a[1]").iterdir()) == []


def test_a_step_under_another_name_is_refused(tmp_path):
    save(tmp_path, 2)
    (tmp_path / "2").rename(tmp_path / "1")
    assert "is step 2 under another name; put back" in error_of(lambda: steps.load(tmp_path, 1, like(ARRAYS)))


def test_a_pipe_or_deep_json_in_place_of_a_file_is_damage(tmp_path):
    save(tmp_path)
    note, array = tmp_path / "1" / "note.json", next((tmp_path / "1").rglob("d/*"))
    content = note.read_bytes()
    note.write_text("[" * 100_000)
    assert "nested too deep" in error_of(lambda: notes.note_of(tmp_path, 1))
    note.unlink()
    os.mkfifo(note)
    assert "it is no file" in error_of(lambda: notes.note_of(tmp_path, 1))
    note.unlink()
    note.write_bytes(content)
    array.unlink()
    os.mkfifo(array)
    assert "cannot be read" in error_of(lambda: steps.load(tmp_path, 1, like(ARRAYS)))


def test_a_step_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert "could not be saved" in error_of(lambda: save(tmp_path / "file"))


def test_many_folders_are_written_at_a_time(tmp_path):
    folders = [tmp_path / str(i) for i in range(4)]
    for folder in folders:
        folder.mkdir()

    def save_some(folder):
        for step in range(1, 6):
            save(folder, step)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save_some, folders))
    for folder in folders:
        assert notes.saved(folder) == [1, 2, 3, 4, 5]
        assert steps.describe(steps.load(folder, 5, like(ARRAYS))) == steps.describe(ARRAYS)
