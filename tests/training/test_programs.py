"""Compiled programs are kept between processes, and a cache that is broken costs time, nothing else."""

import os
import subprocess
import sys

import pytest

from wave_jax.training import programs
from wave_jax.training.programs import Programs

FIT = """
import jax, logging, sys
logging.basicConfig(format="%(message)s")
from jax import monitoring
events = []
monitoring.register_event_listener(lambda name, **_: events.append(name.rpartition("/")[2]))
from wave_jax.training import compiled
jax.numpy.zeros(3).sum()  # compiled before anybody asked for a cache
f = compiled.few(2)(lambda x: x * 2 + 1)
print(f(jax.numpy.arange(3.0)).tolist(), events.count("cache_hits"), events.count("cache_misses"))
"""


def run(folder, code=FIT, **more):
    environment = {k: x for k, x in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment |= {"WAVE_JAX_PROGRAMS": str(folder)} | more
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.strip(), ran.stderr.strip()


def files(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_a_second_process_compiles_nothing_and_a_damaged_program_is_compiled_again(tmp_path):
    out, error = run(tmp_path)
    assert out.startswith("[1.0, 3.0, 5.0] 0 ")
    assert error == ""
    kept = files(tmp_path)
    assert kept
    loaded, error = run(tmp_path)
    assert loaded == f"[1.0, 3.0, 5.0] {len(kept)} 0"
    assert error == ""
    whole = [file.read_bytes() for file in kept]
    for file in kept:
        file.write_bytes(file.read_bytes()[:-1])
    out, error = run(tmp_path)
    assert out.startswith("[1.0, 3.0, 5.0] 0 ")
    assert error == ""
    assert files(tmp_path) == kept
    assert [len(file.read_bytes()) for file in kept] == [len(content) for content in whole]


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    out, error = run(tmp_path / "file")
    assert out.startswith("[1.0, 3.0, 5.0] 0 ")
    assert error.startswith(f"Compiled programs cannot be kept in {tmp_path}")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "more", [{"WAVE_JAX_PROGRAMS": "off"}, {"JAX_COMPILATION_CACHE_DIR": "mine"}], ids=["off", "the user's"]
)
def test_what_the_user_says_holds(tmp_path, more):
    code = FIT + "\nprint(jax.config.jax_compilation_cache_dir)"
    more = {name: str(tmp_path / x) if x == "mine" else x for name, x in more.items()}
    out, error = run(tmp_path / "ours", code, **more)
    assert out.splitlines()[1] == more.get("JAX_COMPILATION_CACHE_DIR", "None")
    assert error == ""
    assert not (tmp_path / "ours").exists()


def test_formulas_alone_set_nothing(tmp_path):
    code = (
        "import jax, wave_jax as wj; wj.encode(jax.numpy.ones((2, 3)));"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    assert run(tmp_path, code) == ("None", "")


def test_a_program_is_whole_or_absent(tmp_path):
    kept = Programs(tmp_path)
    assert kept.get("a") is None
    kept.put("a", b"program")
    assert kept.get("a") == b"program"
    content = (tmp_path / "a").read_bytes()
    for damaged in (b"", content[:-1], content + b"x", content[:40] + b"?"):
        (tmp_path / "a").write_bytes(damaged)
        assert kept.get("a") is None
        assert not (tmp_path / "a").exists()


def test_a_full_folder_is_named_once(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    kept = Programs(tmp_path)
    monkeypatch.setattr(programs.os, "replace", full)
    kept.put("a", b"program")
    kept.put("b", b"program")
    assert [record.getMessage() for record in caplog.records] == [
        f"Compiled programs cannot be kept in {tmp_path} (No space left on device):"
        " every process compiles its own."
    ]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WAVE_JAX_PROGRAMS", str(tmp_path))
    programs.folder().mkdir()
    programs.folder().chmod(0o777)
    before = programs.jax.config.jax_compilation_cache_dir
    programs.jax.config.update("jax_compilation_cache_dir", None)
    try:
        programs.keep.__wrapped__()
        assert programs.jax.config.jax_compilation_cache_dir is None
    finally:
        programs.jax.config.update("jax_compilation_cache_dir", before)
    assert "others may write there" in caplog.text


def test_the_oldest_go_first(tmp_path):
    kept = Programs(tmp_path)
    for i, key in enumerate("abcd"):
        kept.put(key, bytes(100))
        os.utime(tmp_path / key, (i, i))
    kept.get("a")  # used just now
    kept.trim(most=1000)
    assert len(files(tmp_path)) == 4
    kept.trim(most=500)
    assert [file.name for file in files(tmp_path)] == ["a"]
