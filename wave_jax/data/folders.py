"""The files of a folder of texts: which of them holds which split, and the names of the classes."""

import re
from pathlib import Path

from wave_jax.data import csv_files
from wave_jax.data.columns import read
from wave_jax.data.rows import Columns, Rows, class_names, joined_rows
from wave_jax.data.table_files import FORMATS
from wave_jax.errors import DataError

__all__ = ["NAMES", "folder_classes", "read_split", "split_files"]

NAMES = {"train": ("train",), "valid": ("dev", "valid", "validation"), "test": ("test",)}
"""What the files of each split are called, apart from their ends."""


def split_files(folder: Path, part: str) -> list[Path]:
    """Find the files of one split, as train.csv, train.jsonl.gz or train-00000-of-00002.parquet.

    Only numbered files are several: they are read in their order.
    """
    ends = "|".join(map(re.escape, FORMATS))
    named = re.compile(rf"(?:{'|'.join(NAMES[part])})(-\d+(?:-of-\d+)?)?(?:{ends})(?:\.gz)?")
    found = [(path, named.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    matches = [(path, match) for path, match in found if match]
    if len(matches) > 1 and not all(match[1] for _, match in matches):
        first, second = (path.name for path, _ in matches[:2])
        raise DataError(f"{folder} holds both {first} and {second}: remove one of them.")
    return [path for path, _ in matches]


def read_split(files: list[Path], columns: Columns) -> Rows:
    """Read the rows of a split from its files."""
    return joined_rows([read(path, columns) for path in files])


def folder_classes(folder: Path) -> tuple[str, ...] | None:
    """Read the names in a folder's labels.txt (or classes.txt, as Zhang et al. call it), if there is one."""
    for path in (folder / "labels.txt", folder / "classes.txt"):
        if path.is_file():
            with path.open("rb") as file:
                return class_names(list(csv_files.lines(file, path)), str(path))
    return None
