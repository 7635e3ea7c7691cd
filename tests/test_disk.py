"""Whole files, and a cache that is never stale and never trusted when damaged."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.disk import cached, key_of, write_whole

ARRAYS = {"ids": np.arange(1000, dtype=np.uint16), "offsets": np.array([0, 4, 1000])}


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def never():
    raise AssertionError("made again")


def test_made_once(tmp_path):
    folder = tmp_path / "new" / "folder"
    assert equal(cached(folder, "k", lambda: ARRAYS), ARRAYS)
    assert equal(cached(folder, "k", never), ARRAYS)
    assert [path.name for path in folder.iterdir()] == ["k.npz"]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_made_again(tmp_path, share):
    cached(tmp_path, "k", lambda: ARRAYS)
    path = tmp_path / "k.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert equal(cached(tmp_path, "k", lambda: ARRAYS), ARRAYS)
    assert path.read_bytes() == whole
    assert equal(cached(tmp_path, "k", never), ARRAYS)


def test_no_flipped_bit_reaches_the_arrays(tmp_path):
    cached(tmp_path, "k", lambda: ARRAYS)
    path = tmp_path / "k.npz"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert equal(cached(tmp_path, "k", lambda: ARRAYS), ARRAYS), place


def test_a_file_of_other_arrays_is_not_trusted(tmp_path):
    other = {"ids": np.zeros(3)}
    cached(tmp_path, "other", lambda: other)
    os.rename(tmp_path / "other.npz", tmp_path / "k.npz")
    assert equal(cached(tmp_path, "k", lambda: ARRAYS), ARRAYS)


def test_nothing_is_pickled(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        cached(tmp_path, "objects", lambda: {"ids": np.array([{}], object)})
    assert not (tmp_path / "objects.npz").exists()


def test_two_processes_at_once(tmp_path):
    code = (
        "import sys, numpy as np; from wave_jax.disk import cached\n"
        "for i in range(60):\n"
        "    made = cached(sys.argv[1], f'k{i % 3}', lambda: {'ids': np.full(50_000, i % 3)})\n"
        "    assert (made['ids'] == i % 3).all()\n"
        "    if i % 5 == int(sys.argv[2]):\n"
        "        open(f'{sys.argv[1]}/k{i % 3}.npz', 'r+b').truncate(1000)\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, tmp_path, str(i)]) for i in (1, 2)]
    assert [process.wait() for process in both] == [0, 0]
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cache folder .*file cannot be written .* name another one"):
        cached(tmp_path / "file", "k", lambda: ARRAYS)


def test_the_archive_is_numpys_own(tmp_path):
    cached(tmp_path, "k", lambda: ARRAYS)
    with np.load(tmp_path / "k.npz", allow_pickle=False) as archive:
        assert equal(dict(archive), ARRAYS)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_keys_tell_texts_apart(a, b):
    assert (key_of(a, 1) == key_of(b, 1)) == (a == b)


def test_keys_tell_settings_apart():
    assert (
        len({key_of(["a"]), key_of(["a"], 1), key_of(["a"], 2), key_of(["a"], "1"), key_of(["\ud800"])}) == 5
    )
