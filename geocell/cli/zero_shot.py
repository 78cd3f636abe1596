"""Commands that locate images by texts without any training, and make heads of words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from geocell.cli.answerers import Decode
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.cli.sources import cache_locations, drawn_clusters, split_name
from geocell.evaluation.published import PublishedBenchmark
from geocell.imagetext.templates import STREETCLIP_CAPTION
from geocell.zeroshot.settings import ZeroShotSettings

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.imagetext import ImageTextModel
    from geocell.zeroshot.candidates import Candidates

Flat = Parameter(name="*")
Texts = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]


def zero_shot(
    *,
    out: Path | None = None,
    cache: Path | None = None,
    splits: Path | None = None,
    split: str | None = None,
    cluster: str | None = None,
    encoder: str | None = None,
    revision: str | None = None,
    candidates: Path | None = None,
    countries: str = "",
    per_country: int = 30,
    per_region: int | None = None,
    apart_km: float = 15.0,
    settings: Annotated[ZeroShotSettings, Flat] = ZeroShotSettings(),
    at_once: bool = False,
    decode: Decode = "centroid",
    benchmark: PublishedBenchmark | None = None,
    text_cache: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Locate images without training, by the texts of candidate cities: the country first, then the city in it.

    The defaults are StreetCLIP's published protocol. With --cache the locations of a cache are scored: country and city
    accuracy, and all distances, from features that are there already. With --out the classifier becomes a folder that
    score, compare, decode, calibrate and predict take like a head's.

    Args:
        out: folder to write the classifier to.
        cache: feature cache of a CLIP or SigLIP encoder, or of efficientnet-lite0 (extra towers).
        splits: splits.json; without it every location of the cache is scored.
        split: which split of it; test when left out.
        cluster: what was drawn together, for the intervals: place (coordinates to 0.01°), location, country, cell:R, or
            a column; what the splits kept together when left out, else place.
        encoder: Hub id or folder of the model, or efficientnet-lite0; that of the cache when left out, else StreetCLIP.
        revision: branch, tag or commit of the model on the Hub, without a cache, which records its own.
        candidates: .csv, .tsv or .json file of cities; the largest of every country in the gazetteer when left out.
        countries: English names or codes, separated by commas, of the countries of the gazetteer that are candidates.
        per_country: how many cities of a country of the gazetteer.
        per_region: how many cities of a state or province of the gazetteer instead.
        apart_km: cities of the gazetteer this near to a larger one are left out, as its districts.
        settings: how candidates are asked for.
        at_once: ask for all cities at once, without the country first.
        decode: the decoder of the distances.
        benchmark: show what was published on im2gps or im2gps3k too.
        text_cache: folder of embeddings of texts; below the user's cache folder when left out.
        device: where texts are embedded: auto, cpu, cuda or mps.
        overwrite: replace an existing folder.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import as_decoder
    from geocell.evaluation.published import published_scores
    from geocell.evaluation.zero_shot import score_zero_shot
    from geocell.files import counted, require_new
    from geocell.heads.zero_shot import ZeroShot
    from geocell.heads.zero_shot_folder import MARKS, PARTS, save_zero_shot
    from geocell.imagetext.text_cache import text_cache_folder
    from geocell.reports.published import published_json, published_text
    from geocell.reports.zero_shot import zero_shot_text

    with usage_errors():
        if out is None and cache is None:
            raise ValueError("zero-shot needs --cache to score, --out to write, or both, and has neither.")
        if cache is not None and revision is not None:
            raise ValueError(f"a cache records the revision of its encoder, got --revision {revision}: leave it out.")
        if candidates is not None and (countries or per_region is not None):
            raise ValueError(
                "--countries and --per-region are of the gazetteer: leave out one of them and --candidates."
            )
        decoder = as_decoder(decode)
        choose_device(device)
        if at_once:
            settings = replace(settings, country_templates=(), region_templates=())
    name = split_name(splits, split, "test")
    if cache is None and (splits is not None):
        raise UsageError("--splits names locations of a cache: pass --cache too.")
    if out is not None:
        require_new(out, overwrite, MARKS, PARTS)
    places = _candidates(candidates, countries, per_country, per_region, apart_km)
    locations = None if cache is None else cache_locations(cache, splits, name)
    note(f"loading the texts' model, {counted(len(places), 'candidate')} in {len(places.countries):,} countries")
    model = texts_model(None if locations is None else locations.encoder, encoder, revision, device)
    made = ZeroShot.from_model(model, places, settings, text_cache or text_cache_folder())
    made.prepare(decoder)
    if out is not None:
        save_zero_shot(made, out, overwrite)
    value: dict[str, object] = {
        "model": made.text_identity, "settings": settings.to_dict(), "n_candidates": len(places),
        "n_countries": len(places.countries), "out": None if out is None else str(out),
    }  # fmt: skip
    text = [f"{made.encoder.name} over {len(places):,} cities of {len(places.countries):,} countries"]
    if locations is not None:
        clusters = drawn_clusters(locations, cluster, splits)
        scores = score_zero_shot(made, locations, decoder, name, device, cluster=clusters).to_dict()
        value["scores"] = scores
        text += ["", zero_shot_text(made.encoder.name, scores)]
    if benchmark is not None:
        rows = published_scores(benchmark)
        value["published"] = published_json(rows)
        text += ["", published_text(rows)]
    if out is not None:
        text += ["", f"{out}: score, compare, decode, calibrate and predict take it like a head"]
    emit(value, "\n".join(text), json)


def zero_shot_head(
    partition: Path,
    /,
    *,
    cache: Path,
    out: Path,
    splits: Path | None = None,
    scale_split: str | None = None,
    encoder: str | None = None,
    templates: Texts = (STREETCLIP_CAPTION,),
    text_cache: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Make a head of words: the captions of a partition's cells are its weights, and no location is trained on.

    A caption names the town nearest to the centroid of its cell, the region and the country (extra gazetteer). The
    result is a head like any other, and `fit-head --init` starts from it. Texts are surer of cells than they are right,
    so that a start for a fit should be scaled to its training locations by `--scale-split train`.

    Args:
        partition: folder of the partition.
        cache: feature cache, of whose features two constants are taken; where they are is not used.
        out: folder of the head.
        splits: splits.json, for --scale-split.
        scale_split: split at whose locations a temperature is fitted, a single number; they count as training
            locations of the head afterwards. The scale is the model's own when left out.
        encoder: where the model of the cache's encoder is, when not where the cache says.
        templates: captions of a cell, with parts in brackets that are left out where a name is not known; embeddings of
            several are averaged.
        text_cache: folder of embeddings of texts; below the user's cache folder when left out.
        device: where texts are embedded: auto, cpu, cuda or mps.
        overwrite: replace an existing head.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.files import require_new
    from geocell.heads.folder import HEAD_FILES, HEAD_MARKS
    from geocell.heads.words_head import head_from_words
    from geocell.imagetext.templates import CaptionTemplate
    from geocell.imagetext.text_cache import text_cache_folder
    from geocell.partitioners.base import Partition

    with usage_errors():
        choose_device(device)
        for template in templates:
            CaptionTemplate(template)
    if (splits is None) != (scale_split is None):
        raise UsageError("--scale-split needs --splits, and --splits is for --scale-split alone: give both or none.")
    require_new(out, overwrite, HEAD_MARKS, HEAD_FILES)
    cells = Partition.load(partition, partitioner)
    locations = cache_locations(cache, None, "all")
    labelled = None if scale_split is None else cache_locations(cache, splits, scale_split)
    note(f"loading the texts' model of {locations.encoder.name}")
    model = texts_model(locations.encoder, encoder, None, device)
    texts = text_cache or text_cache_folder()
    head = head_from_words(model, cells, locations, templates, labelled=labelled, cache=texts)
    head.save(out, overwrite=overwrite)
    words = head.training["words"]
    text = (
        f"{out}: {len(cells):,} {cells.kind} cells by {words['n_captions']:,} captions\n"
        f"  its logits are off those of the texts by {words['logit_error']:.2g} of {words['logit_spread']:.2g} (root "
        f"mean square), and {100 * words['agreement']:.1f} % of {words['n_features']:,} locations have the same first "
        "cell"
    )
    if scaled := words.get("scaled"):
        text += (
            f"\n  at temperature {scaled['temperature']:.2g}, which makes the cells of {scaled['n_locations']:,} "
            f"locations of the split {scale_split} most likely"
        )
    emit({"head": str(out), "training": dict(head.training)}, text, json)


def _candidates(
    path: Path | None, countries: str, per_country: int, per_region: int | None, apart_km: float
) -> Candidates:
    from geocell.zeroshot.candidate_files import read_candidates
    from geocell.zeroshot.candidates import gazetteer_candidates

    if path is not None:
        return read_candidates(path)
    names = [name.strip() for name in countries.split(",") if name.strip()] or None
    with usage_errors():
        return gazetteer_candidates(per_country, countries=names, per_region=per_region, apart_km=apart_km)


def texts_model(info: EncoderInfo | None, encoder: str | None, revision: str | None, device: str) -> ImageTextModel:
    """Return the model of images and texts of an encoder that a cache records, else by name; StreetCLIP without one."""
    from geocell.encoders import STREETCLIP
    from geocell.imagetext import image_text_for, load_image_text

    if info is not None:
        return image_text_for(info, device, encoder)
    return load_image_text(encoder or STREETCLIP, revision, device)
