"""A finished run written at once: settings, tokenizer, records, the network kept and its numbers."""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wave_jax.errors import CheckpointError
from wave_jax.runs.card import card
from wave_jax.runs.folder import RunFolder
from wave_jax.runs.settings import Settings
from wave_jax.runs.trained import Trained
from wave_jax.training.loop import Record
from wave_jax.training.step import init

__all__ = ["whole_folder", "write"]


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Name a folder to fill beside a free place, where it stands whole when the block has ended."""
    if path.exists():
        raise CheckpointError(f"{path} exists already: name another folder.")
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def write(
    path: str | os.PathLike[str],
    settings: Settings,
    trained: Trained,
    records: Sequence[Record],
    metrics: Mapping[str, Any],
) -> None:
    """Write the run folder of a training in memory; it appears whole or not at all.

    Args:
      path: the folder, which must not exist yet.
      settings: those of the run.
      trained: the network kept, with its tokenizer.
      records: the records of training.
      metrics: the numbers of the run.
    """
    path, state = Path(path), init(trained.network)
    state = state._replace(step=state.step + records[-1].step)
    with whole_folder(path) as beside, RunFolder.create(beside, settings, trained.tokenizer) as folder:
        for record in records:
            folder.append(record)
        folder.save(state)
        (beside / "README.md").write_text(card(path.name, settings, metrics), "utf-8")
        folder.finish(metrics)
