"""The pretraining in small: a CLIP of random weights, trained on captions of the synthetic Europe, against a head."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geocell.files import new_folder, write_bytes, write_json
from geocell.heads.fit_config import FitConfig
from geocell.imagetext.templates import STREETCLIP_CAPTION
from geocell.pretraining.config import PretrainConfig
from geocell.quickstart.small_clip import save_small_clip
from geocell.quickstart.streetclip_result import HEAD, ZERO_SHOT, Chance, StreetClipResult
from geocell.zeroshot.settings import STREETCLIP_CITY, STREETCLIP_COUNTRY

if TYPE_CHECKING:
    import pandas as pd

    from geocell.features.locations import Locations
    from geocell.partitioners import Partition
    from geocell.pretraining.clip_model import ClipModel
    from geocell.pretraining.tables import CaptionTable
    from geocell.splits.splits import Splits
    from geocell.zeroshot.candidates import Candidates

TEMPLATES = (STREETCLIP_CAPTION, STREETCLIP_COUNTRY, STREETCLIP_CITY)
"""Captions of every image: the published one, and the two texts that zero-shot asks with."""

CONFIG = PretrainConfig(
    epochs=16, batch=64, accumulate=1, lr=1e-3, weight_decay=0.1, warmup=0.1, gradient_checkpointing=False,
    precision="float32", device="cpu",
)  # fmt: skip
"""Settings of a training from nothing: a thousandfold learning rate, small batches for more steps."""

_SPLITS = ("train", "val", "test")


class Captions(NamedTuple):
    """Captions of the images of each split, and what zero-shot chooses from.

    Attributes:
        train, val, test: captions, of all views.
        candidates: the towns that captions of `train` name, with their coordinates.
    """

    train: CaptionTable
    val: CaptionTable
    test: CaptionTable
    candidates: Candidates


def run_streetclip(
    out: Path,
    world: Path,
    splits: Splits,
    cells: Partition,
    *,
    seed: int = 0,
    config: PretrainConfig = CONFIG,
    say: Callable[[str], None],
) -> StreetClipResult:
    """Train a small CLIP on captions of training locations, and score it by zero-shot, and a head on its features.

    Nothing but training locations is trained on: by the CLIP, by the head and by the nearest neighbour. Validation
    locations give the curve, test locations what is reported. A trained model that is there already is kept.

    Args:
        out: folder of what is made, see `streetclip_result.PARTS`.
        world: folder that `make_world` wrote.
        splits: of its locations.
        cells: cells of the training locations, for the head.
        seed: of the start weights, the training and the fit.
        config: settings of the training, but for the seed.
        say: gets one line per stage and epoch.
    """
    from dataclasses import replace

    from geocell.encoders import load_encoder
    from geocell.encoding import encode
    from geocell.heads.zero_shot import ZeroShot
    from geocell.heads.zero_shot_folder import save_zero_shot
    from geocell.imagetext import load_image_text
    from geocell.plots.history_chart import PRETRAINING_PANELS, draw_history
    from geocell.quickstart.spread import SpreadEncoder
    from geocell.training.fit import fit_head

    out.mkdir(exist_ok=True)
    small = shrink(world, out / "small")
    captions = make_world_captions(small, splits)
    captions.train.table.to_parquet(out / "captions.parquet", index=False)
    captions.val.table.to_parquet(out / "val.parquet", index=False)
    write_json(out / "candidates.json", {"locations": captions.candidates.to_records()})
    history = train(out, captions, replace(config, seed=seed), say)
    picture = draw_history(
        out / "history.png", history, len(history), "A small CLIP, trained on captions", PRETRAINING_PANELS
    )
    say("encoding the images with it, and fitting a head on these features")
    name = str(out / "model")
    cache = encode(small, SpreadEncoder(load_encoder(name, device="cpu")), out / "cache", batch_size=64)
    data = {part: splits.select(cache.locations(), part) for part in _SPLITS}
    texts = ZeroShot.from_model(load_image_text(name, None, "cpu"), captions.candidates)
    save_zero_shot(texts, out / "zero-shot", overwrite=True)
    head = fit_head(data["train"], data["val"], cells, FitConfig(device="cpu", seed=seed))
    if head.training["interrupted"]:
        raise KeyboardInterrupt
    head.save(out / "head", overwrite=True)
    return StreetClipResult(
        folder=out,
        history=tuple(history),
        picture=picture,
        n_images=len(captions.train.places()),
        n_val_images=len(captions.val.places()),
        chance=chance_of(captions.candidates, data["test"]),
        rows=rows_of({ZERO_SHOT: texts, HEAD: head}, data["train"], data["test"]),
        comparison=compared(head, texts, data["test"]),
    )


def shrink(world: Path, out: Path) -> Path:
    """Copy the images of a world as the model's processor makes them, so that no epoch decodes the large ones.

    Returns:
        `out`, an imagefolder of PNG files with the same metadata.csv but for their names.
    """
    import io
    from concurrent.futures import ThreadPoolExecutor

    import pandas as pd
    from PIL import Image

    from geocell.compute.cores import usable_cores
    from geocell.files import write_text
    from geocell.quickstart.small_clip import SIDE

    if out.is_dir():
        return out
    table = pd.read_csv(world / "metadata.csv", keep_default_na=False)
    names = [str(Path(name).with_suffix(".png")) for name in table["file_name"]]
    with new_folder(out, marks=("metadata.csv",)) as folder:
        (folder / "images").mkdir()

        def copy(pair: tuple[str, str]) -> None:
            with Image.open(world / pair[0]) as image:
                file = io.BytesIO()
                image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "PNG", compress_level=1)
            write_bytes(folder / pair[1], [file.getvalue()])

        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(copy, zip(table["file_name"], names, strict=True)))
        write_text(folder / "metadata.csv", table.assign(file_name=names).to_csv(index=False))
    return out


def make_world_captions(small: Path, splits: Splits) -> Captions:
    """Return captions of every split: the country of its column, and the town and region around the coordinates."""
    from geocell.pretraining.captions import make_captions
    from geocell.pretraining.tables import CaptionTable
    from geocell.views.reading import read_rows

    frame, images, name = read_rows(small)
    made = []
    for part in _SPLITS:
        rows = frame[frame["location"].isin(set(splits.ids[part]))].reset_index(drop=True)
        made.append(CaptionTable(make_captions(rows, TEMPLATES, name).table, images, f"{name}, split {part}"))
    train, val, test = made
    return Captions(train, val, test, towns_of(train.table))


def towns_of(captions: pd.DataFrame) -> Candidates:
    """Return the towns that captions name, with the coordinates of the gazetteer."""
    from geocell.zeroshot.candidates import Candidate, Candidates, with_coordinates

    named = captions[["country", "city", "region"]].drop_duplicates()
    items = [Candidate(country, city, region=region) for country, city, region in named.itertuples(index=False)]
    return Candidates(tuple(with_coordinates(item for item in items if item.city and item.country)))


def train(out: Path, captions: Captions, config: PretrainConfig, say: Callable[[str], None]) -> list[dict[str, float]]:
    """Train `out/model` unless that is there from the same captions and settings; return its history."""
    from geocell.pretraining.caption_set import CaptionSet
    from geocell.pretraining.clip_model import ClipModel
    from geocell.pretraining.pretrain import pretrain
    from geocell.pretraining.result import save_trained
    from geocell.pretraining.validation import ZeroShotValidation

    captioned = CaptionSet.from_table(captions.train.table, captions.train.images)
    model, state = out / "model", out / "model.pretrain"
    if (known := kept_history(model, captioned.sha256, config)) is not None:
        return known
    if not (out / "start").is_dir():
        save_small_clip(out / "start", captioned.captions, config.seed)
    clip: ClipModel = ClipModel.load(str(out / "start"))
    chance = 1 / len(captions.candidates.countries)
    say(
        f"training a CLIP of {clip.model.num_parameters():,} random weights on {len(captioned):,} images with "
        f"{len(captioned.captions):,} captions; a country by chance: {100 * chance:.1f} %"
    )

    def log(row: Mapping[str, float]) -> None:
        say(
            f"epoch {row['epoch']:2.0f} of {config.epochs}: loss {row['train_loss']:.3f}, right country of "
            f"{100 * row['val_country']:.1f} % of validation images"
        )

    validate = ZeroShotValidation(captions.val, captions.candidates)
    progress = pretrain(clip, captioned, config, state=state, validate=validate, log=log)
    save_trained(model, clip, captioned, config, progress, overwrite=True)
    state.unlink(missing_ok=True)
    for stale in ("cache", "head", "zero-shot"):  # of an earlier model
        shutil.rmtree(out / stale, ignore_errors=True)
    return [dict(row) for row in progress.history]


def kept_history(model: Path, captions_sha256: str, config: PretrainConfig) -> list[dict[str, float]] | None:
    """Return the history of a trained model of these captions and settings, None where there is none."""
    from geocell.files import read_json
    from geocell.pretraining.result import RECORD_FILE, read_history

    history = read_history(model)
    if history is None:
        return None
    record = read_json(model / RECORD_FILE, "the record of a training")
    same = record.get("captions_sha256") == captions_sha256 and record.get("settings") == config.to_dict()
    return history if same else None


def chance_of(candidates: Candidates, test: Locations) -> Chance:
    """Return what answers without looking reach: a country at random, and always the one with most test locations."""
    from geocell.geo.countries import countries_of

    codes, counts = np.unique(countries_of(test.latlon), return_counts=True)
    n = len(candidates.countries)
    return Chance(n, 1 / n, str(codes[counts.argmax()]), float(counts.max() / counts.sum()))


def rows_of(heads: Mapping[str, Any], train: Locations, test: Locations) -> tuple[dict[str, Any], ...]:
    """Return scores of heads and of the baselines on test locations, with country accuracy, by name."""
    from dataclasses import replace

    from geocell.evaluation.baselines import majority_points, nearest_points
    from geocell.evaluation.countries import ACCURACY, same_country
    from geocell.evaluation.named_baselines import MAJORITY_LABEL, NEAREST_LABEL
    from geocell.evaluation.score import outcomes
    from geocell.metrics.outcomes import outcomes_of

    found = {name: outcomes(head, test, "centroid", "test") for name, head in heads.items()}
    points = {
        NEAREST_LABEL: nearest_points(train, test),
        MAJORITY_LABEL: majority_points(heads[HEAD].partition, len(test)),
    }
    for name, answers in points.items():
        further = {ACCURACY: same_country(answers, test.latlon)}
        found[name] = replace(outcomes_of(answers, test.latlon), further=further)
    return tuple(
        {
            "answer": name, "n_locations": len(test), "n_clusters": outcome.n_clusters, **outcome.values(),
            "intervals": {score: list(ends) for score, ends in outcome.intervals().items()},
        }
        for name, outcome in found.items()
    )  # fmt: skip


def compared(head: Any, texts: Any, test: Locations) -> Mapping[str, Sequence[float]]:  # noqa: ANN401 - answer like heads
    """Return score -> difference, low and high end of its interval, of the head less zero-shot."""
    from geocell.evaluation.comparison import compare

    found = compare(head, texts, test, "centroid", "test")
    return {name: (found.differences[name], *ends) for name, ends in found.intervals.items()}
