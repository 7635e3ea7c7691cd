"""How many bytes an exported file will have, before training, and the preset whose file fits into so many.

    preset = fitted(dataset, SMALL, bytes_in("1MB"))
    prepared = run.prepare(dataset, preset)                         # trained as any other

The file's bytes depend on the texts, the settings and the names of the classes alone: training changes none.
"""

import bisect
import os
from dataclasses import replace

import jax
import numpy as np
from flax import nnx

from wave_jax.data.datasets import Dataset
from wave_jax.data.tokenizer import Tokenizer
from wave_jax.runs import run
from wave_jax.runs.presets import Preset, filled, max_length, within
from wave_jax.runs.trained import Trained
from wave_jax.serving import export

__all__ = ["bytes_of", "fitted", "measured"]

_STEP = 8  # numbers that a network gets narrower by at a time
_ROWS = 128  # of the smallest vocabulary that is tried
_WORDS = 16  # of them for words and stems, at least
_THRESHOLD = 0.123456  # as long in a file as any other


def bytes_of(dataset: Dataset, preset: Preset, tokenizer: Tokenizer) -> int:
    """Return the bytes of the int8 file of a run, before its network is made.

    Args:
      dataset: the texts of the run.
      preset: its settings.
      tokenizer: its tokenizer.
    """
    v, c, several = tokenizer.v, len(dataset.classes), preset.training.labels == "several"
    network = jax.tree.map(
        lambda x: jax.device_put(np.zeros(x.shape, x.dtype)),
        nnx.eval_shape(lambda: within(preset, v, c).build(v=v, c=c, rngs=nnx.Rngs(0))),
    )
    threshold = _THRESHOLD if several else None
    return export.size(Trained(network, tokenizer, dataset.classes, max_length(preset.network), threshold))


def measured(trained: Trained, most: int | None = None) -> int | None:
    """Return the bytes of the int8 file of a trained network; None if no file holds it.

    Raise an AssertionError if they are more than `fitted` has promised.
    """
    try:
        found = export.size(trained)
    except ValueError:
        if most is not None:
            raise
        return None
    if most is not None and found > most:
        raise AssertionError(f"The file has {found:,} bytes, and {most:,} were promised.")
    return found


def fitted(
    dataset: Dataset, preset: Preset, most: int, folder: str | os.PathLike[str] | None = None
) -> Preset:
    """Return the preset, or a smaller one whose exported int8 file has `most` bytes at most.

    Rows and width shrink alike: of the widths eight numbers apart, the widest is taken whose rows fit in as
    large a share of those that the texts fill as its numbers are of the preset's, or else the narrowest. It
    gets all rows that fit, for words, stems and pairs by one share. On validation texts of five corpora,
    fewer rows alone, or a narrower network alone, was worse.

    Args:
      dataset: the texts.
      preset: the preset.
      most: bytes of the file.
      folder: cache of tokenizers, as `run.prepare` has it.
    """
    room = _Room(dataset, preset, folder)
    if room.bytes(room.widest, room.rows) <= most:
        return preset
    enough = bisect.bisect_left(
        room.widths[:-1], True, key=lambda d: room.estimate(d, most) * room.widest >= d * room.rows
    )
    d = room.widths[enough]
    least = room.bytes(d, room.least)
    if least > most:
        raise ValueError(
            f"No file of these texts has {most:,} bytes: the smallest, of {room.least:,} rows of {d} numbers,"
            f" has {least:,} (size)."
        )
    rows = room.estimate(d, most)
    while (found := room.bytes(d, rows)) > most:
        over = (found - most) * (room.rows - room.least) // (room.bytes(d, room.rows) - least)
        rows = max(room.least, rows - max(1, over, rows // 200))
    return room.preset(d, rows)


class _Room:
    """The files of a preset with fewer rows and narrower networks: their presets and their bytes."""

    def __init__(self, dataset: Dataset, preset: Preset, folder: str | os.PathLike[str] | None):
        self._dataset, self._preset, self._folder = dataset, preset, folder
        self._tokenizers: dict[tuple[int, int, int], Tokenizer] = {}
        self._bytes: dict[tuple[int, int], int] = {}
        whole = self._tokenizer(preset)
        self._full, self.rows = filled(preset, whole), whole.v
        self.least = min(_ROWS, self.rows)
        self.widest = getattr(within(preset, whole.v, len(dataset.classes)), "d", 0)
        below = range((self.widest - 1) // _STEP * _STEP, 0, -_STEP)
        self.widths = (self.widest, *below)

    def preset(self, d: int, rows: int) -> Preset:
        """Return the preset of this width with so many rows, shared as they are in the whole."""
        if rows == self.rows:
            return replace(self._preset, network=replace(self._preset.network, d=d))
        stems, pairs = (x * rows // self.rows for x in (self._full.stems, self._full.pairs))
        v = max(_WORDS, rows - pairs)
        return replace(self._full, network=replace(self._preset.network, d=d), v=v, stems=stems, pairs=pairs)

    def bytes(self, d: int, rows: int) -> int:
        """Return the bytes of the file of this width with so many rows."""
        if (d, rows) not in self._bytes:
            preset = self.preset(d, rows) if d else self._preset
            self._bytes[d, rows] = bytes_of(self._dataset, preset, self._tokenizer(preset))
        return self._bytes[d, rows]

    def estimate(self, d: int, most: int) -> int:
        """Estimate how many rows fit: every row is taken to need as many bytes as another; 0 if none do."""
        low, high = self.bytes(d, self.least), self.bytes(d, self.rows)
        room = (most - low) * (self.rows - self.least) // max(1, high - low)
        return min(self.rows, self.least + room) if low <= most else 0

    def _tokenizer(self, preset: Preset) -> Tokenizer:
        key = preset.v, preset.stems, preset.pairs
        if key not in self._tokenizers:
            self._tokenizers[key] = run.tokenizer_of(self._dataset, preset, self._folder)
        return self._tokenizers[key]
