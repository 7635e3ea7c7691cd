"""Published corpora through TFDS, which is imported only when one is asked for.

TensorFlow is never needed: everything is kept as array_record, and archives are opened without it.
"""

import contextlib
import errno
import hashlib
import io
import os
import tempfile
import threading
import types
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from wave_jax.data.dbpedia import dbpedia_builder
from wave_jax.data.rows import Rows
from wave_jax.errors import DataError, one_line

__all__ = ["CORPORA", "Corpus", "Prepared", "data_folder", "prepare"]


class Corpus(NamedTuple):
    """A published corpus: its TFDS builder, the fields that make the text, and its published rows."""

    builder: str
    fields: tuple[str, ...]
    rows: dict[str, int]


CORPORA = {
    "ag_news": Corpus("ag_news_subset", ("title", "description"), {"train": 120_000, "test": 7_600}),
    "imdb": Corpus("imdb_reviews", ("text",), {"train": 25_000, "test": 25_000}),
    "dbpedia": Corpus("dbpedia14", ("title", "content"), {"train": 560_000, "test": 70_000}),
}


_OR_FOLDER = "give a folder of CSV files (train.csv, test.csv, labels.txt) instead of the name"
PATIENCE = 6  # seconds until a server must have begun to answer


def data_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """Return where published corpora are kept: as given, else $WAVE_JAX_DATA, else the user's cache folder.

    >>> data_folder("corpora").name
    'corpora'
    """
    if given := given or os.environ.get("WAVE_JAX_DATA"):
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "wave_jax"


class Prepared(NamedTuple):
    """A corpus on disk, ready to be read."""

    name: str
    builder: Any
    classes: tuple[str, ...]

    def read(self, part: str) -> Rows:
        """Read all rows of a split, counted against what TFDS wrote and what was published."""
        corpus, where = CORPORA[self.name], f"{self.name} {part}"
        cure = f"delete {self.builder.data_path} and load {self.name} again"
        try:
            written = self.builder.info.splits[part].num_examples
            source = self.builder.as_data_source(split=part).data_source
            blocks = (range(i, min(i + 1024, len(source))) for i in range(0, len(source), 1024))
            examples = [_plain(row, corpus.fields) for rows in blocks for row in source.__getitems__(rows)]
        except Exception as error:  # TFDS and the C++ reader of array_record raise all kinds
            raise DataError(f"{where} cannot be read ({one_line(error)}): {cure}.") from error
        if not len(examples) == written == corpus.rows[part]:
            raise DataError(
                f"{where}: {len(examples):,} rows read and {written:,} written, but"
                f" {corpus.rows[part]:,} published: {cure}."
            )
        texts, values = map(list, zip(*examples, strict=True))
        return Rows(texts, values, lambda row: f"{where}, row {row}", where)


def prepare(name: str, folder: Path) -> Prepared:
    """Prepare a published corpus: download it and write it as array_record the first time.

    All is made in a temporary folder beside and moved to its place when complete. An archive that the user
    has put into `folder/archives` is used instead of a download.
    """
    builder = _builder(name, folder / "tfds")
    if not builder.data_path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".preparing-", dir=folder) as work:
                _prepare(name, folder, Path(work), builder)
        except OSError as error:
            cure = "free space or set WAVE_JAX_DATA to another folder"
            raise DataError(f"{name} cannot be written to {folder} ({one_line(error)}): {cure}.") from error
        builder = _builder(name, folder / "tfds")
    return Prepared(name, builder, tuple(builder.info.features["label"].names))


def _prepare(name: str, folder: Path, work: Path, builder: Any) -> None:
    """Write an archive as array_record in `work`, and move that to where `builder` will look for it."""
    import tensorflow_datasets as tfds

    archive = _archive(name, builder.url_infos, folder / "archives", work)
    ours = _builder(name, work / "tfds")
    settings = tfds.download.DownloadConfig(manual_dir=archive.parent, try_download_gcs=False)
    try:
        # TFDS tells standard output where it writes, which is our temporary folder.
        with _without_tensorflow(), contextlib.redirect_stdout(io.StringIO()):
            ours.download_and_prepare(download_dir=work / "downloads", download_config=settings)
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.ENOENT:
            raise  # a full disk, say
        cure = f"put the published archive there, or {_OR_FOLDER}"
        raise DataError(
            f"{name}: {archive} has not the layout expected ({one_line(error)}): {cure}."
        ) from error
    builder.data_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        ours.data_path.rename(builder.data_path)
    except OSError:
        if not builder.data_path.exists():  # otherwise another process was faster, and wrote the same
            raise


def _archive(name: str, url_infos: dict[str, Any], manual: Path, work: Path) -> Path:
    """Return the archive that the user put in place, or else download it."""
    for info in url_infos.values():
        if (path := manual / info.filename).exists():
            _check(path, info)
            return path
    url, info = next(iter(url_infos.items()))
    path = work / info.filename
    try:
        _download(url, path, info.size)
        _check(path, info)
    except Exception as error:
        archives = " or ".join(
            f"{i.filename} ({i.size:,} bytes, sha256 {i.checksum})" for i in url_infos.values()
        )
        raise DataError(
            f"{name} could not be downloaded from {url} ({_reason(error)}). Either put {archives} into"
            f" {manual} and load again, or {_OR_FOLDER}."
        ) from error
    return path


def _reason(error: BaseException) -> str:
    """Return what went wrong, without the sentences that the HTTP library wraps around it."""
    while "(Caused by " in str(error) and error.__context__ is not None:
        error = error.__context__
    return one_line(error)


def _check(path: Path, info: Any) -> None:
    """Refuse an archive with the wrong content before anything reads it."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != info.checksum:
        raise DataError(
            f"{path} has sha256 {found} ({path.stat().st_size:,} bytes), not {info.checksum}"
            f" ({info.size:,} bytes): put the published archive there, or {_OR_FOLDER}."
        )


def _download(url: str, path: Path, size: int) -> None:
    """Download a URL with a progress bar. TFDS would try in silence for minutes without a network."""
    with _answer(url) as response, path.open("wb") as file:
        response.raise_for_status()
        with tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=None) as bar:
            for block in response.iter_content(1 << 20):
                file.write(block)
                bar.update(len(block))


def _answer(url: str) -> Any:
    """Return the answer to a request, or raise a TimeoutError; a thread asks, as name look-up may hang."""
    import requests  # comes with TFDS

    answer: Future[Any] = Future()

    def ask():
        try:
            answer.set_result(requests.get(url, stream=True, timeout=(PATIENCE, 30)))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(PATIENCE)
    except TimeoutError:
        raise TimeoutError(f"no answer within {PATIENCE} seconds") from None


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Let TFDS 4.9 open archives by `open`: for local files it does what tf.io.gfile does."""
    from tensorflow_datasets.core.download import extractor

    gfile = types.SimpleNamespace(GFile=open)
    before = extractor.tf
    extractor.tf = types.SimpleNamespace(
        io=types.SimpleNamespace(gfile=gfile), compat=types.SimpleNamespace(as_text=str)
    )
    try:
        yield
    finally:
        extractor.tf = before


def _plain(record: bytes, fields: tuple[str, ...]) -> tuple[str, str]:
    """Return text and label of a record. TFDS itself decodes field by field, in four times the time."""
    from tensorflow_datasets.proto import tf_example_pb2

    example: Any = tf_example_pb2.Example.FromString(record)  # pyright: ignore[reportAttributeAccessIssue]
    features = example.features.feature
    texts = (features[field].bytes_list.value[0].decode() for field in fields)
    return " ".join(texts), str(features["label"].int64_list.value[0])


def _builder(name: str, folder: Path) -> Any:
    """Make the TFDS builder of a corpus on array_record: parquet loses rows, tfrecord needs TensorFlow."""
    import tensorflow_datasets as tfds

    if name == "dbpedia":
        return dbpedia_builder()(data_dir=folder, file_format="array_record")
    return tfds.builder(CORPORA[name].builder, data_dir=folder, file_format="array_record")
