"""A bar that shows how far a training is, its numbers, and the time left; it ticks while XLA compiles.

    with progress.bar(steps) as bar:
        for state, record in fit(...):
            bar.show(record)

It appears in a terminal and in a notebook, nowhere else, and is gone when the training ends.
"""

import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from wave_jax.training.loop import Record

__all__ = ["Bar", "bar"]

_TICK = 0.5  # seconds between two looks at the clock
_KNOWN = 8  # records whose pace counts: the first of a length compile, and the median leaves them out
_FORM = "{desc}{percentage:3.0f}% |{bar}| {n:,.0f}/{total:,.0f} steps [{elapsed}<{left}]{postfix}"


@contextmanager
def bar(steps: int, shown: bool | None = None) -> Iterator["Bar"]:
    """Show a bar of a training of so many steps for as long as the block lasts.

    `shown` as None shows it in a terminal and a notebook alone, True everywhere, False nowhere.
    """
    hidden = not (watched() if shown is None else shown)
    with _Line(total=steps, leave=False, disable=hidden, dynamic_ncols=True, bar_format=_FORM) as line:
        line.since, ended = time.monotonic(), threading.Event()
        clock = threading.Thread(target=line.tick, args=(ended,), daemon=True)
        if not hidden:
            clock.start()
        try:
            yield Bar(line)
        finally:
            ended.set()
            if not hidden:
                clock.join()


def watched() -> bool:
    """Return whether somebody sees what goes to standard error: in a terminal, or in a notebook."""
    in_notebook = type(sys.stderr).__module__.startswith("ipykernel.")
    return in_notebook or (sys.stderr is not None and sys.stderr.isatty())


class Bar:
    """A bar on the screen: `show` moves it to a record, `advance` by some steps."""

    def __init__(self, line: "_Line"):
        self._line = line

    def show(self, record: Record) -> None:
        """Move to the step of a record, and show its numbers."""
        self.advance(record.step - int(self._line.n))
        if record.valid is not None:
            self._line.valid = f", valid {100 * float(record.valid.accuracy):.2f} %"
        self._line.set_postfix_str(f"loss {record.loss:.3f}{self._line.valid}")

    def advance(self, steps: int) -> None:
        """Move by some steps that are done."""
        self._line.moved(steps)

    def write(self, text: str) -> None:
        """Print a line above the bar."""
        self._line.write(text)
        sys.stdout.flush()


class _Line(tqdm):
    """A line of tqdm that ticks, with the time left by the median pace, counted down from the last move."""

    paces: tuple[float, ...] = ()
    since: float = 0.0
    last: int = 0
    valid: str = ""

    def moved(self, steps: int) -> None:
        """Move by some steps, and remember how long one of them took."""
        now = time.monotonic()
        if steps > 0:
            self.paces = (*self.paces[1 - _KNOWN :], (now - self.since) / steps)
        self.since, self.last = now, steps
        self.update(steps)

    def tick(self, ended: threading.Event) -> None:
        """Let the clock go on until the event, also while no record comes."""
        while not ended.wait(_TICK):
            self.refresh()

    @property
    def format_dict(self) -> dict[str, Any]:
        """Add the time that is left; until the first steps are done, that XLA compiles them."""
        found = dict(super().format_dict)
        if not self.paces:
            return found | {"left": "compiling"}
        pace = statistics.median(self.paces)
        begun = min((time.monotonic() - self.since) / pace, self.last) if pace else 0
        return found | {"left": self.format_interval(pace * max(0, self.total - self.n - begun))}
