"""The command that exports a head as a graph for products."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geocell.cli.answerers import Decode, open_answerer
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.encoders.manifest import GraphFormat

if TYPE_CHECKING:
    from geocell.exporting.export import ExportedModel

_LARGE = 0.01


def export_model(
    head: str,
    /,
    *,
    out: Path,
    to: GraphFormat = "onnx",
    with_encoder: bool = False,
    photos: Path | None = None,
    cache: Path | None = None,
    encoder: str | None = None,
    decode: Decode | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Export a head as one graph that runs without geocell, with a manifest and a report of parity.

    The graph goes from the features of an image, or from its pixels, to the probabilities of the cells, calibrated
    where the head is; its batch size is free. `manifest.json` says how to feed it and what its cells are;
    `parity.json`, how its answers differ from those of the library. With its encoder, an ONNX graph is an encoder of
    every command: `--encoder FOLDER`.

    Args:
        head: folder of the head, or user/repo@revision on the Hub.
        out: folder to write.
        to: onnx, or pt2, the archive of torch.export.
        with_encoder: start at pixels instead of features.
        photos: folder or table of photographs to measure parity on.
        cache: feature cache to measure parity on instead, for a graph that reads features; without either it is
            measured on random numbers.
        encoder: where to load the head's encoder from; another one is refused.
        decode: the decoder that the manifest states; that of the calibration when left out, centroid without one.
        overwrite: replace an existing export.
        json: print one JSON object.
    """
    from geocell.decoders.table import as_decoder
    from geocell.exporting import export as exports
    from geocell.features import FeatureCache

    with usage_errors():
        decoder = None if decode is None else as_decoder(decode)
    if photos is not None and cache is not None:
        raise UsageError("parity is measured on --photos or on --cache, got both: leave one out.")
    if with_encoder and cache is not None:
        raise UsageError("a graph with its encoder reads pixels, and a cache has features: pass --photos instead.")
    loaded, _ = open_answerer(head)
    locations = None if cache is None else FeatureCache.open(cache).locations(in_memory=False)
    done = exports.export_model(
        loaded,
        out,
        to=to,
        with_encoder=with_encoder,
        photos=photos,
        locations=locations,
        encoder=encoder,
        decode=decoder,
        overwrite=overwrite,
    )
    if done.parity.largest_difference > _LARGE:
        note(f"a probability differs from the library's by {done.parity.largest_difference:.3f}: see parity.json")
    emit({"folder": str(done.folder), "manifest": _facts(done), "parity": done.parity.to_dict()}, _text(done), json)


def _facts(done: ExportedModel) -> dict[str, object]:
    """Return the manifest without its cells, which are many."""
    value = done.manifest.to_dict()
    return {**{key: part for key, part in value.items() if key != "cells"}, "n_cells": len(value["cells"])}


def _text(done: ExportedModel) -> str:
    manifest, parity = done.manifest, done.parity
    shape = " × ".join(map(str, ("batch", *manifest.input_shape)))
    skipped = f", {parity.skipped} could not be read" if parity.skipped else ""
    license_ = manifest.license or "unknown: read it before you ship them"
    return (
        f"{done.folder}: {manifest.graph_file}, {manifest.graph_bytes / 1e6:.1f} MB\n"
        f"  {manifest.input_name} ({shape}) → probabilities of {len(manifest.cells):,} cells\n"
        f"  licence of the weights of {manifest.encoder.name}: {license_}\n"
        f"  parity with the library on {parity.rows:,} rows ({parity.source}{skipped}), {parity.runtime}:\n"
        f"    largest difference of a probability  {parity.largest_difference:.2g}\n"
        f"    same most probable cell              {parity.top1:.1%}\n"
        f"    same five most probable cells        {parity.top5:.1%}\n"
        f"    point of {parity.decoder} within 1 km        {parity.decoded_within_1_km:.1%}, "
        f"at most {parity.decoded_max_km:,.3g} km apart"
    )
