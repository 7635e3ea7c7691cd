"""The builder of DBpedia14; what it prepares is tested with the other corpora in test_published."""

from wave_jax.data.dbpedia import DBPEDIA_ARCHIVES, DBPEDIA_CLASSES, dbpedia_builder


def test_there_is_one_builder_with_fourteen_classes_and_both_archives():
    builder = dbpedia_builder()
    assert builder is dbpedia_builder()
    assert len(set(DBPEDIA_CLASSES.split())) == 14
    for url, (name, size, checksum) in DBPEDIA_ARCHIVES.items():
        info = builder.url_infos[url]
        assert (info.filename, int(info.size), info.checksum) == (name, size, checksum)
