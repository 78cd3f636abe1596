"""The command that says what labels fit images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.cli.sources import cache_locations, split_name
from geocell.cli.zero_shot import Texts, texts_model


def classify(
    *images: str,
    labels: str = "",
    labels_file: Path | None = None,
    template: Texts = ("{label}",),
    encoder: str | None = None,
    cache: Path | None = None,
    splits: Path | None = None,
    split: str | None = None,
    top_k: int = 5,
    out: Path | None = None,
    text_cache: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Say how probable each of some labels is for images: countries, climates, anything that a text can say.

    An image that cannot be read is a row with its reason. Exit status 1 when no image could be read.

    Args:
        images: images, folders of images, tables, WebDataset shards, or URLs of them.
        labels: two labels or more, separated by commas.
        labels_file: text file with a label per line instead, for labels that have commas.
        template: texts that say {label}; embeddings of several are averaged.
        encoder: Hub id or folder of a CLIP or SigLIP model, or efficientnet-lite0; StreetCLIP when left out, or the
            encoder of the cache.
        cache: feature cache whose locations are classified instead of images.
        splits: splits.json of that cache; without it every location.
        split: which split of it; test when left out.
        top_k: how many labels of each image are printed.
        out: .csv table to write, with the probability of every label.
        text_cache: folder of embeddings of texts; below the user's cache folder when left out.
        device: where the model computes: auto, cpu, cuda or mps.
        overwrite: replace an existing file.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.encoders import STREETCLIP
    from geocell.files import require_new
    from geocell.imagetext.text_cache import text_cache_folder
    from geocell.prediction.classify import classify_inputs, classify_locations, require_labels
    from geocell.reports.zero_shot import classification_text

    with usage_errors():
        names = _labels(labels, labels_file)
        require_labels(names, template)
        choose_device(device)
        if (cache is None) == (not images):
            raise ValueError("classify needs images or --cache, one of them: see --help.")
        if top_k < 1:
            raise ValueError(f"--top-k must be at least 1, got {top_k}.")
        if out is not None and out.suffix.lower() != ".csv":
            raise ValueError(f"--out must be a .csv file, got {out}.")
    if cache is None and splits is not None:
        raise UsageError("--splits names locations of a cache: pass --cache instead of images.")
    if out is not None:
        require_new(out, overwrite)
    texts = text_cache or text_cache_folder()
    if cache is not None:
        locations = cache_locations(cache, splits, split_name(splits, split, "test"))
        found = classify_locations(
            texts_model(locations.encoder, encoder, None, device), locations, names, template, texts
        )
    else:
        note(f"loading {encoder or STREETCLIP}")
        found = classify_inputs(
            images, names, templates=template, model=encoder or STREETCLIP, device=device, cache=texts
        )
    try:
        emit(found.to_dict(), classification_text(found, top_k), json)
    finally:  # a full disk must not lose what is printed, and a closed pipe not what is saved
        if out is not None:
            note(f"wrote {found.save(out)}")
    if not any(item.probabilities for item in found.items):
        raise ValueError(f"at least one image must be readable, got none of {len(found.items)}: see the reasons above.")


def _labels(text: str, path: Path | None) -> Sequence[str]:
    from geocell.files import reading

    if (path is None) == (not text.strip()):
        raise ValueError("classify needs --labels or --labels-file, one of them.")
    if path is None:
        return [label.strip() for label in text.split(",") if label.strip()]
    if not path.is_file():
        raise FileNotFoundError(f"--labels-file must be a file with a label per line, and there is none at {path}.")
    if path.stat().st_size > 1 << 20:
        raise ValueError(f"--labels-file must have at most 1,048,576 bytes, got {path.stat().st_size:,}: {path}.")
    with reading(path, "a file with a label per line, in UTF-8"):
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
