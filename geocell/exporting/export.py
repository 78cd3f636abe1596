"""Exporting a head as a folder that holds its graph, a manifest and a report of parity."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from geocell._version import __version__
from geocell.decoders.base import Decoder
from geocell.decoders.table import AnyDecoder, as_decoder
from geocell.encoders import Encoder, encoder_for
from geocell.encoders.manifest import (
    GRAPH_FILES,
    MANIFEST_FILE,
    PARITY_FILE,
    GraphFormat,
    Manifest,
    read_manifest,
)
from geocell.encoders.torch_encoder import TorchEncoder
from geocell.exporting.graph import ExportGraph, open_written, require_onnx, write_graph
from geocell.exporting.parity import MOST_ROWS, Parity, Rows, feature_rows, measure, photo_rows, random_features
from geocell.features.locations import Locations
from geocell.files import new_folder, require_new, write_json
from geocell.geo.gazetteer import Gazetteer
from geocell.heads.card import known_license
from geocell.heads.hashes import file_sha256
from geocell.heads.head import Head
from geocell.heads.protocol import HeadLike, default_decoder
from geocell.images.transforms import PillowTransform
from geocell.prediction.inputs import require_some
from geocell.prediction.predictions import town_names

EXPORT_PARTS = (MANIFEST_FILE, PARITY_FILE, *GRAPH_FILES.values())


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A folder that `export_model` wrote.

    Attributes:
        folder: where it is.
        manifest: what its graph reads and answers.
        parity: how it differs from the library.
    """

    folder: Path
    manifest: Manifest
    parity: Parity

    def __repr__(self) -> str:
        """Return folder and format."""
        return f"<ExportedModel {self.manifest.format} {self.folder}>"


def export_model(  # noqa: PLR0913 - the flags of the command
    head: HeadLike,
    out: str | Path,
    *,
    to: GraphFormat = "onnx",
    with_encoder: bool = False,
    photos: str | Path | None = None,
    locations: Locations | None = None,
    encoder: str | None = None,
    decode: AnyDecoder | None = None,
    overwrite: bool = False,
) -> ExportedModel:
    """Export a head as one graph: encoder if asked for, LayerNorm, Linear, temperature and bias, softmax.

    Args:
        head: one head.
        out: folder to write: the graph, `manifest.json` and `parity.json`.
        to: `onnx`, or `pt2` for `torch.export.load`.
        with_encoder: start at pixels instead of features.
        photos: folder or table of photographs on which the graph is compared with the library.
        locations: locations of a cache for that comparison instead, where the graph reads features; without either it
            is made on random numbers.
        encoder: where to load the encoder from, when not from where the head's features were made.
        decode: the decoder that the manifest states; that of the head's calibration when omitted, else `centroid`.
        overwrite: whether to replace an earlier export.

    Raises:
        FileExistsError: when `out` exists and `overwrite` is false.
        FileNotFoundError: when there are no such photographs.
        ImportError: for ONNX without the extra `onnx`.
        ValueError: for what cannot be exported: several heads, zero-shot classifiers, encoders of your own, decoders
            that need more than probabilities.
    """
    single = require_head(head)
    decoder = exportable_decoder(single, decode)
    if to not in get_args(GraphFormat):
        raise ValueError(f"to must be one of {', '.join(get_args(GraphFormat))}, got {to!r}.")
    if photos is not None and locations is not None:
        raise ValueError("parity is measured on photos or on locations of a cache, got both: leave one out.")
    if with_encoder and locations is not None:
        raise ValueError("a graph with its encoder reads pixels, and a cache has features: pass photos instead.")
    if photos is not None:
        require_some([photos])
    if to == "onnx":
        require_onnx()
    target = Path(out)
    require_new(target, overwrite, (MANIFEST_FILE,), EXPORT_PARTS)
    loaded = encoder_for(single.encoder, "cpu", encoder) if with_encoder or photos is not None else None
    graph = ExportGraph(single, exportable_encoder(loaded) if with_encoder else None).eval()
    with new_folder(target, overwrite=overwrite, marks=(MANIFEST_FILE,), parts=EXPORT_PARTS) as folder:
        draft = _manifest(single, decoder, to, loaded if with_encoder else None)
        file = folder / draft.graph_file
        write_graph(graph, file, to, draft.input_shape)
        manifest = replace(draft, graph_sha256=file_sha256(file), graph_bytes=file.stat().st_size)
        write_json(folder / MANIFEST_FILE, manifest.to_dict())
        manifest = read_manifest(folder)
        rows = _rows(single, manifest, loaded, photos, locations)
        parity = measure(single, rows, open_written(folder, manifest), single.prepare(decoder), to)
        write_json(folder / PARITY_FILE, parity.to_dict())
    return ExportedModel(target, manifest, parity)


def require_head(head: HeadLike) -> Head:
    """Return the one head that this is.

    Raises:
        ValueError: for several heads, or a zero-shot classifier.
    """
    if isinstance(head, Head):
        return head
    raise ValueError(
        f"an exported graph is one head, got {type(head).__name__}: export each head of a combination, and make a head "
        "of a zero-shot classifier with `geocell zero-shot-head`."
    )


def exportable_decoder(head: Head, decode: AnyDecoder | None) -> Decoder:
    """Return the decoder that a manifest states.

    Raises:
        ValueError: for one that needs more than probabilities, centroids and shares.
    """
    decoder = as_decoder(default_decoder(head) if decode is None else decode)
    if more := sorted(decoder.needed - {"shares"}):
        raise ValueError(
            f"a decoder of an exported model must need probabilities and centroids alone, and {decoder.spec} needs "
            f"{' and '.join(more)}: choose centroid or within:200, say."
        )
    head.prepare(decoder)
    return decoder


def exportable_encoder(encoder: Encoder | None) -> TorchEncoder:
    """Return the encoder if it can be part of a graph.

    Raises:
        ValueError: for encoders of one's own, several joined, test-time augmentation, or other image processors.
    """
    if not isinstance(encoder, TorchEncoder) or not isinstance(encoder.preprocess, PillowTransform):
        name = type(encoder).__name__ if encoder is None else encoder.info.name
        raise ValueError(  # noqa: TRY004 - the head's encoder, not an argument
            "the encoder of a graph must be one model of transformers, or EfficientNet-Lite0, whose images Pillow "
            f"resizes, without augmentation, got {name}: leave the encoder out, and run it yourself."
        )
    return encoder


def _manifest(head: Head, decoder: Decoder, to: GraphFormat, encoder: Encoder | None) -> Manifest:
    cells, learned = head.partition, head.calibration
    info = head.encoder if encoder is None else encoder.info
    places = town_names(cells.centroids) if Gazetteer.installed() else []
    named = [{"name": name, "label": label} for name, label in zip(cells.names, cells.labels, strict=True)]
    transform = None if encoder is None else encoder.preprocess
    return Manifest(
        to,
        "",
        0,
        replace(info, source="" if Path(info.source).is_absolute() else info.source),
        known_license(info.name) or "",
        transform if isinstance(transform, PillowTransform) else None,
        encoder.normalisation if isinstance(encoder, TorchEncoder) else None,
        tuple(cell | ({"place": places[row]} if places else {}) for row, cell in enumerate(named)),
        cells.centroids,
        decoder_json(decoder, head),
        1.0 if learned is None else learned.temperature,
        learned is not None and learned.bias is not None,
        head.config.fusion,
        head.sha256,
        cells.sha256,
        __version__,
    )


def decoder_json(decoder: Decoder, head: Head) -> dict[str, Any]:
    """Return what a manifest says of a decoder: its name with parameters, each of them, and the shares it needs."""
    parameters = {
        part.name: getattr(decoder, part.name)
        for part in fields(decoder)
        if part.init and isinstance(getattr(decoder, part.name), int | float)
    }
    known = head.calibration.shares if "shares" in decoder.needed and head.calibration is not None else {}
    shares = {str(km): share for km, share in known.items()}
    return {"spec": decoder.spec, "summary": decoder.summary, "parameters": parameters, "shares": shares}


def _rows(
    head: Head, manifest: Manifest, encoder: Encoder | None, photos: str | Path | None, locations: Locations | None
) -> Rows:
    """Return what the graph and the library are compared on."""
    if encoder is not None:
        return photo_rows(photos, encoder, manifest)
    if locations is None:
        return random_features(head.encoder.dim)
    head.encoder.require_same(locations.encoder, "the head", "the locations")
    some = locations.take(np.arange(min(len(locations), MOST_ROWS)))
    features = some.mean_features() if head.config.fusion == "feature" else some.view_features()
    return feature_rows(features, "features of a cache")
