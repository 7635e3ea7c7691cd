"""Published corpora: the real TFDS builders from tiny archives of the same layout, without a network."""

import io
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from wave_jax.data import datasets, published
from wave_jax.errors import DataError

FILES = {
    "ag_news": {
        "ag_news_csv/train.csv": "".join(f'"{i % 4 + 1}","Title, {i}","Says ""{i}"""\n' for i in range(40)),
        "ag_news_csv/test.csv": "".join(f'"{i % 4 + 1}","Test {i}","Says so"\n' for i in range(8)),
    },
    "imdb": {
        f"aclImdb/{part}/{kind}/{i}_1.txt": f"{part} {kind} {i}<br />été"
        for part, kinds in (("train", ("neg", "pos", "unsup")), ("test", ("neg", "pos")))
        for kind in kinds
        for i in range(10)
    },
    "dbpedia": {
        "dbpedia_csv/train.csv": "".join(f'{i % 14 + 1},"Title {i}"," Content {i}."\n' for i in range(140)),
        "dbpedia_csv/test.csv": "".join(f'{i % 14 + 1},"Test {i}"," Content."\n' for i in range(28)),
    },
}
ROWS = {
    "ag_news": {"train": 40, "test": 8},
    "imdb": {"train": 20, "test": 20},
    "dbpedia": {"train": 140, "test": 28},
}


def write_archive(path: Path, files: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))


def register(name, path: Path, monkeypatch):
    """Makes `path` the archive that the real builder expects; put back by monkeypatch."""
    from tensorflow_datasets.core.download import checksums

    found = checksums.compute_url_info(path)
    infos = published._builder(name, path.parent).url_infos
    for url, info in list(infos.items()):
        monkeypatch.setitem(infos, url, checksums.UrlInfo(found.size, found.checksum, info.filename))
    monkeypatch.setitem(published.CORPORA, name, published.CORPORA[name]._replace(rows=ROWS[name]))


def file_of(name, folder):
    return next(iter(published._builder(name, folder).url_infos.values())).filename


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Puts a tiny archive where a user would put the published one."""

    def put(name, files=None):
        path = tmp_path / "archives" / file_of(name, tmp_path)
        write_archive(path, files or FILES[name])
        register(name, path, monkeypatch)
        return path

    return put


@pytest.fixture
def no_network(monkeypatch):
    import requests

    def get(url, **_):
        raise requests.exceptions.ConnectionError(f"Failed to resolve {url}")

    monkeypatch.setattr(requests, "get", get)


def left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", published.CORPORA)
def test_prepares_the_real_builder_and_reads_every_row(name, archive, tmp_path, no_network, capsys):
    archive(name)
    data = datasets.load(name, data_dir=tmp_path)
    assert len(data.train) + len(data.valid) == ROWS[name]["train"]
    assert len(data.test) == ROWS[name]["test"]
    assert sorted({*data.train.labels, *data.valid.labels}) == list(range(len(data.classes)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archives", "tfds"]
    assert capsys.readouterr().out == ""
    again = datasets.load(name, data_dir=tmp_path)
    assert (again.digest, again.test.digest) == (data.digest, data.test.digest)


def test_texts_and_labels_are_those_of_the_archives(archive, tmp_path):
    for name in published.CORPORA:
        archive(name)
    pairs = {
        name: {
            (text, data.classes[label])
            for split in (data.train, data.valid, data.test)
            for text, label in zip(split.texts, split.labels, strict=True)
        }
        for name in published.CORPORA
        for data in [datasets.load(name, data_dir=tmp_path)]
    }
    assert {('Title, 7 Says "7"', "Sci/Tech"), ("Test 0 Says so", "World")} < pairs["ag_news"]
    assert {("train pos 3<br />été", "pos"), ("test neg 9<br />été", "neg")} < pairs["imdb"]
    assert {("Title 1  Content 1.", "EducationalInstitution"), ("Test 13  Content.", "WrittenWork")} < pairs[
        "dbpedia"
    ]
    assert [len(p) for p in pairs.values()] == [48, 40, 168]


def test_dbpedia_takes_either_of_its_two_archives(archive, tmp_path, no_network):
    first = archive("dbpedia")
    first.rename(first.with_name("dbpedia_csv.tar.gz"))
    assert len(datasets.load("dbpedia", data_dir=tmp_path).test) == 28


def test_rows_lost_on_the_way_are_noticed(archive, tmp_path, monkeypatch):
    archive("ag_news")
    datasets.load("ag_news", data_dir=tmp_path)
    rows = {"train": 41, "test": 9}
    monkeypatch.setitem(published.CORPORA, "ag_news", published.CORPORA["ag_news"]._replace(rows=rows))
    with pytest.raises(
        DataError, match=r"ag_news train: 40 rows read and 40 written, but 41 published: delete"
    ):
        datasets.load("ag_news", data_dir=tmp_path)


@pytest.mark.parametrize("fault", ["fewer", "cut"])
def test_rows_lost_on_the_disk_are_noticed(fault, archive, tmp_path):
    archive("ag_news")
    datasets.load("ag_news", data_dir=tmp_path)
    (train,) = tmp_path.glob("tfds/ag_news_subset/1.0.0/*train.array_record*")
    (test,) = tmp_path.glob("tfds/ag_news_subset/1.0.0/*test.array_record*")
    train.write_bytes(test.read_bytes() if fault == "fewer" else train.read_bytes()[:-100])
    with pytest.raises(
        DataError, match=r"ag_news train( cannot be read|: 8 rows read).*delete .*1\.0\.0 and load"
    ):
        datasets.load("ag_news", data_dir=tmp_path)


def test_a_prepared_folder_that_lacks_a_file_is_named(archive, tmp_path):
    archive("imdb")
    datasets.load("imdb", data_dir=tmp_path)
    (found,) = tmp_path.glob("tfds/**/dataset_info.json")
    found.unlink()
    with pytest.raises(DataError, match=r"delete .*plain_text.1\.0\.0 and load imdb again"):
        datasets.load("imdb", data_dir=tmp_path)


def test_the_test_split_is_not_read_before_it_is_asked_for(archive, tmp_path):
    archive("ag_news")
    datasets.load("ag_news", data_dir=tmp_path)
    (test,) = tmp_path.glob("tfds/ag_news_subset/1.0.0/*test.array_record*")
    test.unlink()
    data = datasets.load("ag_news", data_dir=tmp_path)
    with pytest.raises(DataError, match="ag_news test cannot be read"):
        _ = data.test


@pytest.mark.parametrize("name", published.CORPORA)
def test_without_a_network_both_ways_out_are_named(name, tmp_path, no_network):
    info = next(iter(published._builder(name, tmp_path).url_infos.values()))
    with pytest.raises(DataError) as caught:
        datasets.load(name, data_dir=tmp_path)
    message = str(caught.value)
    for part in (name, info.filename, info.checksum, str(tmp_path / "archives"), "folder of CSV files"):
        assert part in message
    assert left(tmp_path) == []


def test_an_archive_with_other_content_is_refused(archive, tmp_path):
    path = archive("imdb")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{path} has sha256 .* not .*put the published archive there"):
        datasets.load("imdb", data_dir=tmp_path)
    assert left(tmp_path) == ["archives", "archives/aclImdb_v1.tar.gz"]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("ag_news", {"other/train.csv": ""}),
        ("dbpedia", {"dbpedia_csv/train.csv": "1,a,b\n"}),
        ("dbpedia", FILES["dbpedia"] | {"dbpedia_csv/train.csv": "1,a\n"}),
    ],
)
def test_an_archive_of_another_layout_is_refused(name, files, archive, tmp_path):
    archive(name, files)
    with pytest.raises(DataError, match=r"has not the layout expected .*folder of CSV files"):
        datasets.load(name, data_dir=tmp_path)
    assert left(tmp_path) == ["archives", f"archives/{file_of(name, tmp_path)}"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"ag_news cannot be written to .*set WAVE_JAX_DATA"):
        datasets.load("ag_news", data_dir=tmp_path / "file")


@pytest.fixture
def serve(monkeypatch):
    """A server on this machine that answers every request, whatever its URL, with the same."""
    import requests

    servers, get = [], requests.get

    def start(body: bytes, status=200, wait=0.0, length=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(wait)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        here = f"http://127.0.0.1:{server.server_port}/archive"
        monkeypatch.setattr(requests, "get", lambda url, **settings: get(here, **settings))

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_downloads_prepares_and_cleans_up(serve, tmp_path, monkeypatch):
    source = tmp_path / "source.tar.gz"
    write_archive(source, FILES["ag_news"])
    register("ag_news", source, monkeypatch)
    serve(source.read_bytes())
    data = datasets.load("ag_news", data_dir=tmp_path / "data")
    assert len(data.test) == 8
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["tfds"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"body": b"<html>quota</html>"}, "has sha256"),
        ({"body": b"", "status": 404}, "404"),
        ({"body": b"half", "length": 1000}, "IncompleteRead"),
        ({"body": b"late", "wait": 1.0}, "no answer within 0.2 seconds"),
    ],
)
def test_a_download_that_fails_says_why_and_what_to_do(answer, reason, serve, tmp_path, monkeypatch):
    source = tmp_path / "source.tar.gz"
    write_archive(source, FILES["ag_news"])
    register("ag_news", source, monkeypatch)
    serve(**answer)
    monkeypatch.setattr(published, "PATIENCE", 0.2)
    with pytest.raises(DataError, match=rf"could not be downloaded from .*{reason}.* Either put ag_news_csv"):
        datasets.load("ag_news", data_dir=tmp_path / "data")
    assert left(tmp_path / "data") == []


def test_two_at_once_do_not_disturb_each_other(archive, tmp_path, monkeypatch):
    archive("ag_news")
    prepare = published._prepare

    def overtaken(name, folder, work, builder):
        prepare(name, folder, folder / "elsewhere", builder)
        prepare(name, folder, work, builder)

    monkeypatch.setattr(published, "_prepare", overtaken)
    assert len(datasets.load("ag_news", data_dir=tmp_path).test) == 8


def test_the_data_folder_is_given_or_set_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("WAVE_JAX_DATA", str(tmp_path / "set"))
    assert published.data_folder(tmp_path / "given") == tmp_path / "given"
    assert published.data_folder() == tmp_path / "set"
    monkeypatch.delenv("WAVE_JAX_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert published.data_folder() == tmp_path / "wave_jax"


def test_tfds_is_imported_only_when_asked_for():
    code = (
        "import sys, wave_jax.data.datasets;print('tensorflow_datasets' in sys.modules, 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"False False\n"


def test_a_name_that_no_server_has_is_said_in_a_short_sentence(tmp_path, monkeypatch):
    source = tmp_path / "source.tar.gz"
    write_archive(source, FILES["ag_news"])
    register("ag_news", source, monkeypatch)

    def unknown(*_):
        try:
            raise OSError("Failed to resolve 'host'")
        except OSError:
            raise ConnectionError("Max retries exceeded with url: /uc (Caused by OSError('Failed'))")  # noqa: B904

    monkeypatch.setattr(published, "_download", unknown)
    with pytest.raises(DataError, match=r" \(OSError: Failed to resolve 'host'\)\. Either put ag_news_csv"):
        datasets.load("ag_news", data_dir=tmp_path / "data")
