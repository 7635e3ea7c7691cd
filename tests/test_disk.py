"""Whole files, and a cache that is never stale and never trusted when damaged."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wave_jax.disk import cached, key_of, read_regular, sealed, unsealed, whole_file, write_whole

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


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path, caplog):
    (tmp_path / "file").touch()
    for _ in range(2):
        assert equal(cached(tmp_path / "file", "k", lambda: ARRAYS), ARRAYS)
    assert caplog.text.count(f"Nothing is cached in {tmp_path / 'file'} (File exists)") == 1


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_what_others_may_have_written_is_not_read(tmp_path, caplog, mode):
    cached(tmp_path / "shared", "k", lambda: {"ids": np.zeros(3)})  # of the right checksum, and yet not ours
    (tmp_path / "shared").chmod(mode)
    assert equal(cached(tmp_path / "shared", "k", lambda: ARRAYS), ARRAYS)
    assert "others may write there: take their right away by `chmod go-w`" in caplog.text
    (tmp_path / "shared").chmod(0o755)
    (tmp_path / "shared" / "k.npz").chmod(0o666)
    assert equal(cached(tmp_path / "shared", "k", lambda: ARRAYS), ARRAYS)
    (tmp_path / "shared" / "k.npz").unlink()
    os.mkfifo(tmp_path / "shared" / "k.npz")
    assert equal(cached(tmp_path / "shared", "k", lambda: ARRAYS), ARRAYS)


def test_a_new_cache_is_for_its_owner_alone(tmp_path):
    cached(tmp_path / "new", "k", lambda: ARRAYS)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


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


def test_a_file_written_in_parts_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a"
    with whole_file(path, flushed=True) as file:
        file.write(b"ne")
        assert not path.exists()
        file.write(b"w")
    assert path.read_bytes() == b"new"
    with pytest.raises(OSError, match="of others") as caught, whole_file(path):
        raise OSError(5, "of others", "elsewhere")
    assert caught.value.filename == "elsewhere"
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


def test_a_file_that_is_written_again_keeps_its_permissions(tmp_path):
    path = tmp_path / "secret"
    path.touch(0o600)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)


def test_a_link_is_replaced_and_a_device_is_left_alone(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="is no file: name another one") as caught:
            write_whole(path, b"new")
        assert caught.value.filename == str(path)
    assert not list(tmp_path.glob("*.part"))


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "a.wave", b"")
    assert caught.value.filename == str(tmp_path / "none" / "a.wave")


def test_only_files_of_some_size_are_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    assert read_regular(path) == b"1234"
    with pytest.raises(OSError, match="it has 4 bytes, where 3 are read"):
        read_regular(path, most=3)
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="it is no file"):
            read_regular(odd)


def test_deep_json_is_a_value_error():
    with pytest.raises(ValueError, match="nested too deep"):
        unsealed(b"[" * 100_000)
    assert unsealed(sealed({"a": 1}), "a") == {"a": 1}
    with pytest.raises(ValueError, match="it lacks b"):
        unsealed(sealed({"a": 1}), "a", "b")


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_keys_tell_texts_apart(a, b):
    assert (key_of(a, 1) == key_of(b, 1)) == (a == b)


def test_keys_tell_settings_apart():
    assert (
        len({key_of(["a"]), key_of(["a"], 1), key_of(["a"], 2), key_of(["a"], "1"), key_of(["\ud800"])}) == 5
    )
