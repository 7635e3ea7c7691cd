"""A trained network as a folder of safetensors, in the form of the Hugging Face Hub: saved, read and pushed.

    hub.save("news", saved)                         # weights, config.json, tokenizer.json and a card
    hub.load("news"), hub.load("someone/news")      # a folder, or a repository of the Hub
    hub.push("someone/news", saved)

docs/checkpoints.md says what is in the folder. Only what speaks with the Hub needs `huggingface_hub`.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import save as to_bytes

from wave_jax.data.tokenizer import Tokenizer
from wave_jax.disk import flush, read_regular
from wave_jax.errors import CheckpointError, first_few
from wave_jax.networks.trace import Network
from wave_jax.runs import records, steps
from wave_jax.runs.card import card
from wave_jax.runs.condition import WEIGHTS
from wave_jax.runs.folder import parameter_digest
from wave_jax.runs.saved import whole_folder
from wave_jax.runs.settings import Settings
from wave_jax.training.loop import Record

__all__ = ["Saved", "load", "push", "save"]

_MOST = 2**33  # bytes of weights that are read


class Saved(NamedTuple):
    """All that is kept of a run: what its folder holds, but one step alone."""

    settings: Settings
    network: Network
    """Without the temperature, which is among the metrics."""
    tokenizer: Tokenizer
    metrics: Mapping[str, Any]
    records: Sequence[Record]


def save(path: str | os.PathLike[str], saved: Saved, *, license: str = "unknown") -> None:
    """Write the folder of a network, which must not exist yet; it appears whole or not at all.

    Args:
      path: the folder.
      saved: the network, and all that belongs to it.
      license: name of a licence for the card, as the Hub lists them.
    """
    path = Path(path)
    with whole_folder(path) as beside:
        beside.mkdir(parents=True)
        _write(beside, path.name, saved, license)
        flush(beside)


def push(repository: str, saved: Saved, *, private: bool = False, license: str = "unknown") -> str:
    """Write a network into a repository of the Hub, made if there is none; return its address.

    Args:
      repository: name of the repository, as `someone/news`.
      saved: the network, and all that belongs to it.
      private: whether a repository that is made is private.
      license: name of a licence for the card, as the Hub lists them.
    """
    api = _library(f"Pushing to {repository}").HfApi()
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), repository, saved, license)
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="A network of wave_jax")
    return str(address)


def load(path: str | os.PathLike[str]) -> Saved:
    """Read the folder that `save` wrote, or that of a repository of the Hub if there is no such folder."""
    folder = Path(path)
    if not folder.exists():
        if not _is_repository(str(path)):
            raise CheckpointError(f"{path} does not exist: name a folder, or a repository as someone/news.")
        folder = Path(
            _library(f"{path} is no folder, and reading it from the Hub").snapshot_download(str(path))
        )
    settings = Settings.read(folder / "config.json")
    arrays, metadata = _weights(folder / WEIGHTS)
    with _named(folder / "tokenizer.json"):
        tokenizer = Tokenizer.read(folder / "tokenizer.json")
    if tokenizer.digest != settings.tokenizer:
        raise CheckpointError(f"{folder / 'tokenizer.json'} is of another network: put back its own.")
    network = _filled(settings, arrays, folder / WEIGHTS)
    with _named(folder / WEIGHTS):
        metrics = json.loads(metadata["metrics"])
        if parameter_digest(network) != metadata["digest"]:
            raise ValueError("its numbers do not agree with their SHA-256")
        return Saved(settings, network, tokenizer, metrics, records.loads(metadata["records"]))


def _write(folder: Path, name: str, saved: Saved, license: str) -> None:
    arrays = {name: np.asarray(array) for name, array in steps.named(saved.network).items()}
    metadata = {
        "format": "wave_jax",
        "digest": parameter_digest(saved.network),
        "metrics": json.dumps(dict(saved.metrics)),
        "records": records.dumps(saved.records),
    }
    (folder / WEIGHTS).write_bytes(to_bytes(arrays, metadata))
    saved.tokenizer.save(folder / "tokenizer.json")
    (folder / "README.md").write_text(
        card(name, saved.settings, saved.metrics, license, "from_pretrained"), "utf-8"
    )
    saved.settings.save(folder / "config.json")


def _weights(file: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays of a file and what is noted beside them."""
    from safetensors.numpy import load as from_bytes

    with _named(file):
        raw = read_regular(file, _MOST)
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        return from_bytes(raw), header["__metadata__"]


def _filled(settings: Settings, arrays: Mapping[str, np.ndarray], file: Path) -> Network:
    """Return the network of these settings with these parameters."""
    v, c = settings.v, len(settings.classes)
    empty = jax.eval_shape(lambda: settings.network.build(v=v, c=c, rngs=nnx.Rngs(0)))
    wanted = {name: (leaf.shape, str(leaf.dtype)) for name, leaf in steps.named(empty).items()}
    found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    wrong = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    if wrong:
        raise CheckpointError(f"{file} is of another network than config.json: {first_few(wrong)} differ.")
    return jax.tree.unflatten(jax.tree.structure(empty), [jax.device_put(arrays[name]) for name in wanted])


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say in one sentence what is wrong with a file."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read ({error.strerror or error}): copy it again.") from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged or of another kind ({error}): copy it again.") from None


def _is_repository(name: str) -> bool:
    owner, _, rest = name.partition("/")
    return bool(owner and rest) and "/" not in rest and not name.startswith(".")


def _library(what: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise CheckpointError(f"{what} needs huggingface_hub: pip install huggingface_hub.") from None
    return huggingface_hub
