"""DBpedia14, the corpus that TFDS lacks, as a TFDS builder over the published archive."""

import functools
import io
import tarfile
from pathlib import Path
from typing import Any, cast

from wave_jax.data.csv_files import records

__all__ = ["DBPEDIA_ARCHIVES", "DBPEDIA_CLASSES"]

# Two packings of the data of Zhang et al. (2015); the first is downloaded, either may be put in place.
# Sizes and checksums as Hugging Face `datasets` recorded them for its dbpedia_14.
DBPEDIA_ARCHIVES = {
    "https://s3.amazonaws.com/fast-ai-nlp/dbpedia_csv.tgz": (
        "dbpedia_csv.tgz",
        68_341_743,
        "42db5221ddedddb673a4cabcc5f3a7d869714c878bcfe4ba94b29d14aa38e417",
    ),
    "https://drive.google.com/uc?export=download&id=0Bz8a_Dbh9QhbQ2Vic1kxMmZZQ1k": (
        "dbpedia_csv.tar.gz",
        68_341_698,
        "cad5773f85d7501bb2783833768bc624641cdddf7056000a06f12bcd0239a310",
    ),
}


DBPEDIA_CLASSES = (
    "Company EducationalInstitution Artist Athlete OfficeHolder MeanOfTransportation Building"
    " NaturalPlace Village Animal Plant Album Film WrittenWork"
)


@functools.cache
def dbpedia_builder() -> Any:
    """Make the builder that TFDS lacks: a class in a function, so that TFDS is imported when it is needed."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.checksums import UrlInfo
    from tensorflow_datasets.core.units import Size

    class Dbpedia14(tfds.core.GeneratorBasedBuilder):
        """DBpedia ontology classification, Zhang, Zhao and LeCun (2015)."""

        VERSION = tfds.core.Version("1.0.0")
        MANUAL_DOWNLOAD_INSTRUCTIONS = "wave_jax downloads the archive and hands it over as a manual one."
        url_infos = {  # noqa: RUF012 - a class attribute of TFDS too
            url: UrlInfo(size=Size(size), checksum=sha, filename=file)
            for url, (file, size, sha) in DBPEDIA_ARCHIVES.items()
        }

        def _info(self):
            label = tfds.features.ClassLabel(names=DBPEDIA_CLASSES.split(" "))
            features = {"label": label, "title": tfds.features.Text(), "content": tfds.features.Text()}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            files = [dl_manager.manual_dir / file for file, _, _ in DBPEDIA_ARCHIVES.values()]
            archive = Path(next(file for file in files if file.exists()))
            return {part: self._generate_examples(archive, part) for part in ("train", "test")}

        def _generate_examples(self, archive, part):
            with tarfile.open(archive) as tar:  # read where it lies: nothing is unpacked
                member = next((m for m in tar if m.isfile() and Path(m.name).name == f"{part}.csv"), None)
                if member is None:
                    raise ValueError(f"there is no {part}.csv inside")
                file = cast(io.BufferedIOBase, tar.extractfile(member))
                for line, fields in records(file, archive / member.name):
                    number, title, content = fields
                    yield line, {"label": int(number) - 1, "title": title, "content": content}

    return Dbpedia14
