"""A bar that moves with records, ticks while nothing comes, and is seen only where somebody looks."""

import io
import re
import sys
import time

from wave_jax.training import progress
from wave_jax.training.loop import Record
from wave_jax.training.loss import Score


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal_of(monkeypatch):
    """Let standard error be a terminal; within a test, as pytest sets it anew for each phase."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "_TICK", 0.01)
    return sys.stderr


def record(step, valid=None):
    return Record(step, 1, 0.5, 0.0, 0.0, 0.0, 1.0, valid)


def test_it_ticks_while_compiling_and_says_so(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress.bar(40):
        end = time.monotonic() + 30
        while terminal.getvalue().count("<compiling]") < 3 and time.monotonic() < end:
            time.sleep(0.01)
    assert terminal.getvalue().count("| 0/40 steps [00:0") > 2


def test_it_shows_steps_numbers_and_the_time_left(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress.bar(40) as bar:
        bar.show(record(10, Score(8.0, 3, 4)))
        bar.show(record(20))
        bar.write("a line")
    shown = terminal.getvalue()
    assert re.search(r"25% \|.+\| 10/40 steps \[00:00<00:00\], loss 0\.500, valid 75\.00 %", shown)
    assert re.search(r"50% \|.+\| 20/40 steps \[00:00<00:00\], loss 0\.500, valid 75\.00 %", shown)
    assert shown.endswith("\r")  # and gone at the end


def test_the_time_left_is_of_the_median_pace_and_waits_for_a_late_record(monkeypatch):
    terminal_of(monkeypatch)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.bar(100) as bar:
        for seconds in (300, 2, 2):  # the first steps compile
            now[0] += seconds
            bar.advance(10)
        left = lambda: bar._line.format_dict["left"]
        assert left() == "00:14"
        now[0] += 1
        assert left() == "00:13"
        now[0] += 50  # another length compiles
        assert left() == "00:12"
        bar.advance(70)
        assert left() == "00:00"


def test_nothing_is_written_where_nobody_looks(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress.bar(2) as bar:
        bar.show(record(2))
    assert file.getvalue() == ""
    with progress.bar(2, shown=True) as bar:
        bar.show(record(2))
    assert "2/2 steps" in file.getvalue()


def test_a_notebook_is_looked_at_and_silence_can_be_asked_for(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress.bar(2, shown=False) as bar:
        bar.show(record(2))
    assert terminal.getvalue() == ""
    OutStream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    monkeypatch.setattr(sys, "stderr", OutStream())
    assert progress.watched()
    monkeypatch.setattr(sys, "stderr", None)
    assert not progress.watched()
