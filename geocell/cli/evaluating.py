"""The command that scores a model of images and texts on a table of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geocell.cli.output import emit, note, usage_errors
from geocell.cli.pretraining import require_folder
from geocell.views import ColumnNames
from geocell.zeroshot.settings import ZeroShotSettings

Flat = Parameter(name="*")


def evaluate(
    model: str,
    /,
    *,
    test: str,
    candidates: Path,
    images: Path | None = None,
    revision: str | None = None,
    settings: Annotated[ZeroShotSettings, Flat] = ZeroShotSettings(),
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    text_cache: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Score a model of images and texts on a table of images: country, city, and distances where it has coordinates.

    City accuracy is joint: the country has to be right too; the accuracy given the right country stands beside it.

    Args:
        model: Hub id or folder of a CLIP or SigLIP, a folder that pretrain wrote, or efficientnet-lite0.
        test: table of images with the columns country and city, or coordinates.
        candidates: .csv, .tsv or .json file of the cities that zero-shot chooses from.
        images: folder that image paths are relative to; that of the table when left out.
        revision: branch, tag or commit of the model on the Hub.
        settings: how candidates are asked for.
        columns: columns that are not spelled as usual.
        text_cache: folder of embeddings of texts; below the user's cache folder when left out.
        device: where the model computes: auto, cpu, cuda or mps.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.files import counted
    from geocell.imagetext import load_image_text
    from geocell.imagetext.text_cache import text_cache_folder
    from geocell.pretraining.evaluate import evaluate as evaluate_model
    from geocell.pretraining.evaluate import has_coordinates
    from geocell.pretraining.tables import require_images
    from geocell.reports.zero_shot import accuracy_text, zero_shot_text
    from geocell.views.reading import read_rows
    from geocell.zeroshot.candidate_files import read_candidates, read_cities

    with usage_errors():
        choose_device(device)
        require_folder(images)
    frame, source, name = read_rows(test, columns, root=images)
    located = has_coordinates(frame, name, columns)
    require_images(frame["image"], source, name)
    cities = read_candidates(candidates) if located else read_cities(candidates)
    note(f"loading {model}")
    loaded = load_image_text(model, revision, device)
    found = evaluate_model(
        loaded, frame, source, cities, settings, columns, device=device, cache=text_cache or text_cache_folder()
    )
    value = {"model": loaded.text_identity, "n_candidates": len(cities), **found.to_dict()}
    text = zero_shot_text(model, value) if located else accuracy_text(value["zero_shot"], found.n_images, "image")
    if found.problems:
        reference, reason = next(iter(found.problems.items()))
        note(f"{counted(len(found.problems), 'image')} could not be read (the first: {reference}: {reason})")
    emit(value, text, json)
