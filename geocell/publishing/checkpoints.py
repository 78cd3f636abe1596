"""Heads that others published as pickled checkpoints, made folders of ours: read safely, strictly, and labelled."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocell.encoders.info import EncoderInfo
from geocell.files import DamagedFileError, one_sentence, reading, scratch_folder
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead, tensor_shapes
from geocell.hub.client import download
from geocell.hub.names import HubName
from geocell.partitioners.base import Partition
from geocell.partitioners.cells import INFO_FILE

CHECKPOINT_FILE = "best.pt"
_WRAPPER = "model"


@dataclass(frozen=True)
class Published:
    """A published head and where it is from.

    Attributes:
        checkpoint: the pickled checkpoint.
        cells: its `geocell_info.json`.
        source: repository or file, for people.
        path: of the checkpoint in that repository.
        revision: commit of the repository; "" for a file.
        license: of the head, as the Hub spells it; "unknown" for a file.
        scores: numbers copied from the authors, in percent and km.
    """

    checkpoint: Path
    cells: Path
    source: str
    path: str
    revision: str = ""
    license: str = "unknown"
    scores: Mapping[str, Any] = field(default_factory=dict)


def published_files(checkpoint: Path, cells: Path) -> Published:
    """Return a published head whose two files are here.

    Raises:
        FileNotFoundError: when one of them is missing.
    """
    for what, path in (("checkpoint", checkpoint), (INFO_FILE, cells)):
        if not path.is_file():
            raise FileNotFoundError(f"a published head needs its {what}, and there is none at {path}.")
    return Published(checkpoint, cells, checkpoint.name, checkpoint.name)


def fetch_published(name: HubName, head: str, cells: str = "") -> Published:
    """Fetch a published head from the Hub: the checkpoint, and the cells that belong to it.

    Args:
        name: repository and revision.
        head: folder of the checkpoint in it, or the checkpoint itself.
        cells: path of its `geocell_info.json`; known for the heads of `published.toml`.

    Raises:
        FileNotFoundError: for no such repository, revision or file.
        ValueError: when `cells` is neither given nor known.
    """
    table = known_heads()
    path = head if head.endswith(".pt") else f"{head.rstrip('/')}/{CHECKPOINT_FILE}"
    known = table["heads"].get(path.removesuffix(f"/{CHECKPOINT_FILE}")) if name.repo == table["repository"] else None
    if not cells and known is None:
        raise ValueError(
            f"{name.repo} must say which cells {head} is on: name its {INFO_FILE} in the "
            f"repository; without it geocell knows these heads of {table['repository']}: {', '.join(table['heads'])}."
        )
    if known is not None:
        cells = cells or table["cells"].format(partition=known["partition"])
    snapshot = download(name, [path, cells])
    for file in (path, cells):
        if not (snapshot.folder / file).is_file():
            raise FileNotFoundError(f"{name} has no file {file}: look at its list of files for the right path.")
    facts = {} if known is None else {"license": table["license"], "scores": known["published"]}
    return Published(snapshot.folder / path, snapshot.folder / cells, name.repo, path, snapshot.commit, **facts)


def known_heads() -> dict[str, Any]:
    """Return the content of `published.toml`: the heads that are known by their path."""
    return tomllib.loads(files("geocell.publishing").joinpath("published.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A published head that was read: tensors of one head, and its cells.

    Attributes:
        published: where it is from.
        weights: name -> tensor, of the names and shapes that a head of D features on C cells has.
        partition: the C cells, which only decode.
        sha256: of the file of the checkpoint.
    """

    published: Published
    weights: Mapping[str, Tensor]
    partition: Partition
    sha256: str

    @property
    def dim(self) -> int:
        """D of the features that it reads."""
        return len(self.weights["head.0.weight"])


@one_sentence()
def read_published(published: Published) -> Checkpoint:
    """Read a published head. Nothing in it is run, and every tensor must be accounted for.

    A checkpoint is a state dict with `head.0.weight`, `head.0.bias` (LayerNorm), `head.2.weight`, `head.2.bias`
    (Linear), or has one under `model`; what stands beside `model` is left out.

    Raises:
        ValueError: when it is not such a checkpoint, could run code, or the two files differ in their cells.
    """
    partition = _read_cells(published.cells)
    expected = published.scores.get("cells", len(partition))
    weights = _read_checkpoint(published.checkpoint)
    found = {name: tuple(value.shape) for name, value in weights.items()}
    (dim,) = found.get("head.0.weight", (0,)) if len(found.get("head.0.weight", ())) == 1 else (0,)
    wanted = tensor_shapes(dim, len(partition), FitConfig())
    if len(found.get("head.2.weight", ())) == 2 and found["head.2.weight"][0] != len(partition):
        raise ValueError(
            f"{published.checkpoint} has {found['head.2.weight'][0]:,} cells and {published.cells} has "
            f"{len(partition):,}: they are not of one head, look for the {INFO_FILE} it was trained with."
        )
    if len(partition) != expected:
        raise ValueError(
            f"{published.path} is published with {expected:,} cells, got {len(partition):,}: fetch it again."
        )
    if found != wanted or dim == 0:
        names = {name: tuple("C" if n == len(partition) else "D" for n in shape) for name, shape in wanted.items()}
        raise ValueError(
            f"{published.checkpoint} must hold exactly the tensors {_shapes(names)} with C = {len(partition):,}, got "
            f"{_shapes(found)}: it is no head of this kind."
        )
    with published.checkpoint.open("rb") as file:
        return Checkpoint(published, weights, partition, hashlib.file_digest(file, "sha256").hexdigest())


def import_head(published: Published | Checkpoint, encoder: EncoderInfo) -> Head:
    """Make a head of a published checkpoint; see `read_published`. Half precision becomes float32.

    Args:
        published: the files and where they are from, or what `read_published` made of them.
        encoder: the encoder whose features it reads, by its authors' word: the file does not say.

    Raises:
        ValueError: when it is not such a checkpoint, could run code, the two files differ in their cells, or the
            encoder has features of another size.
    """
    checkpoint = published if isinstance(published, Checkpoint) else read_published(published)
    source, n_cells = checkpoint.published, len(checkpoint.partition)
    if encoder.dim != checkpoint.dim:
        raise ValueError(
            f"{source.checkpoint} reads features of {checkpoint.dim} numbers, and {encoder.name} has {encoder.dim}: it "
            f"is not on features of {encoder.name}."
        )
    module = GeoHead(encoder.dim, n_cells)
    module.load_state_dict({name: value.float() for name, value in checkpoint.weights.items()}, strict=True)
    origin = {
        "source": source.source,
        "checkpoint": source.path,
        "revision": source.revision,
        "sha256": checkpoint.sha256,
        "license": source.license,
        "published": dict(source.scores),
    }
    return Head(module, checkpoint.partition, encoder, FitConfig(), {"origin": origin})


def _read_cells(path: Path) -> Partition:
    """Return the partition that only decodes, of a `geocell_info.json` by any name."""
    with scratch_folder("cells") as folder:  # its partition.json may lie beside it, of another version
        shutil.copyfile(path, folder / INFO_FILE)
        try:
            return Partition.load(folder)
        except ValueError as error:
            raise ValueError(str(error).replace(str(folder / INFO_FILE), str(path))) from error


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint; a pickle that wants to run anything is refused before it does.

    The memory that they take is bounded by the size of the file: entries of its archive must be stored as they are,
    tensors must not repeat what is in it, and all of them together must fit into it.
    """
    import pickle

    with reading(path, "a checkpoint of torch.save"):
        try:
            _require_stored(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickles that it then refuses
                value = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DamagedFileError(
                f"{path} must be a checkpoint of tensors and plain values alone, and is none, or could run code: "
                "nothing in it was run; ask its author for the state dict, or for safetensors."
            ) from error
        except OSError as error:  # an offset in a damaged archive, say
            raise ValueError(str(error)) from error
        state = value.get(_WRAPPER, value) if isinstance(value, Mapping) else value
        if not isinstance(state, Mapping) or not all(isinstance(k, str) and _is_float(v) for k, v in state.items()):
            raise DamagedFileError(
                f"{path} must be a state dict of floats, or have one under {_WRAPPER!r}, got something else."
            )
        _require_within(path, state.values())
    return dict(state)


def _require_within(path: Path, tensors: Iterable[Tensor]) -> None:
    """Refuse tensors larger than their file: the format before archives can name storages without their content."""
    storages = {storage.data_ptr(): storage.nbytes() for storage in (value.untyped_storage() for value in tensors)}
    claimed, size = sum(storages.values()), path.stat().st_size
    if claimed > size:
        raise DamagedFileError(
            f"{path} has {size:,} bytes and claims tensors of {claimed:,} bytes: it is damaged, copy it again from its "
            "origin."
        )


def _require_stored(path: Path) -> None:
    """Refuse an archive with compressed entries, which torch.save never writes and which may be of any size."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise DamagedFileError(
                f"{path} must be a checkpoint of torch.save, got an archive with compressed entries: ask its author "
                "for the state dict."
            )


def _is_float(value: object) -> bool:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    if value.layout != torch.strided or value.is_meta:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _shapes(tensors: Mapping[str, tuple[object, ...]]) -> str:
    return ", ".join(f"{name} [{', '.join(map(str, shape))}]" for name, shape in sorted(tensors.items())) or "nothing"
