"""A run at a terminal, in this process: its loop can be stopped."""

import os
import signal

import pytest
from tiny import DATA, PRESET

from wave_jax.cli import terminal
from wave_jax.runs import run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_the_loop_and_the_next_does_not(number):
    before = signal.getsignal(number)
    signal.signal(number, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    own = signal.getsignal(number)
    try:
        with terminal.stopping() as asked:
            assert not asked()
            os.kill(os.getpid(), number)
            assert asked()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is own
    finally:
        signal.signal(number, before)


def test_a_stopped_loop_has_saved_where_it_stopped(tmp_path, monkeypatch):
    prepared = run.prepare(DATA, PRESET)
    turns = run.train

    def with_a_signal(*arguments):
        for turn in turns(*arguments, every=1):
            if turn.record.step == 5:
                os.kill(os.getpid(), signal.SIGINT)
            yield turn

    monkeypatch.setattr(run, "train", with_a_signal)
    with run.run_folder(tmp_path / "run", prepared) as folder:
        assert terminal.train(prepared, folder) == 5
        assert folder.steps == [4, 5]
    monkeypatch.setattr(run, "train", turns)
    with run.run_folder(tmp_path / "run", prepared, resume=True) as folder:
        assert terminal.train(prepared, folder) is None
        assert folder.records()[-1].step == prepared.steps
