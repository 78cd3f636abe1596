"""Commands that train a model of images and texts on captions of places."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.output import Interrupted, emit, note, require_state, usage_errors
from geocell.imagetext.templates import STREETCLIP_CAPTION
from geocell.pretraining.config import PretrainConfig
from geocell.views import ColumnNames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geocell.pretraining.checkpoint import Progress

Flat = Parameter(name="*")
Texts = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
_EXAMPLES = 3


def captions(
    table: str,
    /,
    *,
    out: Path,
    template: Texts = (STREETCLIP_CAPTION,),
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write captions of a table of images: of its columns city, region, country, continent, or of its coordinates.

    Args:
        table: CSV, TSV, JSON lines or Parquet table with the paths of images, and with places or coordinates.
        out: the .parquet table to write: a row per caption, with `image`, `caption`, what it names and its place.
        template: texts with {city}, {region}, {country}, {continent}; a part in [brackets] is left out where its field
            is missing or was named before. With several, an image has several captions, of which one is drawn each
            time.
        columns: columns that are not spelled as usual.
        overwrite: replace an existing file.
        json: print one JSON object.
    """
    from geocell.files import atomic_path, counted, require_new
    from geocell.images.sources import FileImages
    from geocell.imagetext.templates import CaptionTemplate
    from geocell.pretraining.captions import make_captions, unknown_countries
    from geocell.views.reading import read_rows

    with usage_errors():
        for text in template:
            CaptionTemplate(text)
        if out.suffix.lower() != ".parquet":
            raise ValueError(f"--out must be a .parquet file, got {out}.")
    require_new(out, overwrite)
    frame, images, name = read_rows(table, columns)
    if not isinstance(images, FileImages):
        raise ValueError(  # noqa: TRY004 - of what was read
            f"captions are of a table of image files, and {name} holds images itself: give it to pretrain as it is, "
            "which makes captions on the way."
        )
    made, skipped = make_captions(frame, template, name, columns)
    with atomic_path(out) as temporary:
        made.to_parquet(temporary, index=False)
    unknown = unknown_countries(made)
    _note_unknown(unknown, name)
    n_images = made["image"].nunique()
    examples = made["caption"].drop_duplicates().head(_EXAMPLES).tolist()
    text = f"{out}: {counted(len(made), 'caption')} of {counted(n_images, 'image')}"
    text += "".join(f"\n  {caption}" for caption in examples)
    text += "".join(f"\n  {counted(n, 'row')} without a caption: {reason}" for reason, n in skipped.items())
    value = {
        "out": str(out), "n_captions": len(made), "n_images": n_images, "skipped": skipped, "examples": examples,
        "unknown_countries": list(unknown),
    }  # fmt: skip
    emit(value, text, json)


def pretrain(
    *,
    train: str,
    out: Path,
    val: str | None = None,
    images: Path | None = None,
    model: str = "openai/clip-vit-large-patch14-336",
    revision: str | None = None,
    template: Texts = (STREETCLIP_CAPTION,),
    candidates: Path | None = None,
    holdout_countries: str = "",
    config: Annotated[PretrainConfig, Flat] = PretrainConfig(),
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    workers: int | None = None,
    image_timeout: float = 60.0,
    resume: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Train a CLIP on images and captions of their places, as StreetCLIP was; after every epoch, score it by zero-shot.

    The state of the training is in OUT.pretrain until it has ended, written about every minute and at Ctrl-C:
    `--resume` continues from it to the same bytes. Under `torchrun -m geocell pretrain …` the processes share every
    contrastive batch. The result is a folder of transformers, which --encoder, zero-shot and evaluate take.

    Args:
        train: what `geocell captions` wrote, or a table of images with places or coordinates.
        out: folder of the trained model.
        val: such a table to score on: the shares of its images whose country, and whose city, zero-shot finds.
        images: folder that image paths are relative to; that of each table when left out.
        model: Hub id or folder of the CLIP to start from.
        revision: branch, tag or commit of it on the Hub.
        template: texts of the captions of a table that has none; see `geocell captions`.
        candidates: .csv, .tsv or .json file of the cities that zero-shot chooses from; when left out, the 30 cities of
            each country that the tables name most often.
        holdout_countries: English names or codes of countries, separated by commas, whose images are not trained on;
            country accuracy is then reported for them and for the others, all countries being candidates.
        config: settings of the training.
        columns: columns that are not spelled as usual.
        workers: processes that decode images; 0 decodes in threads; left out, the number of images and cores decide.
        image_timeout: seconds that reading and decoding one image may take.
        resume: continue a training that was interrupted.
        overwrite: replace an existing model, and the state of an interrupted training.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.compute.ranks import process_rank
    from geocell.encoding import require_settings
    from geocell.files import folder_lock, require_new
    from geocell.imagetext.templates import CaptionTemplate
    from geocell.pretraining.lora import require_peft
    from geocell.pretraining.result import MODEL_FILES, MODEL_MARKS
    from geocell.pretraining.tables import country_list

    with usage_errors():
        choose_device(config.device)
        require_settings(batch_size=config.batch, workers=workers, shard_rows=1, image_timeout=image_timeout)
        for text in template:
            CaptionTemplate(text)
        held_out = country_list(holdout_countries)
        require_folder(images)
        if val is None and (held_out or candidates is not None):
            raise ValueError("--holdout-countries and --candidates are of validation: pass --val too.")
    if config.lora:
        require_peft()
    first = process_rank() == 0
    with folder_lock(out) if first else nullcontext():
        state = out.absolute().with_name(f"{out.name}.pretrain")
        require_state(state, "training", resume, overwrite)
        overwrite = overwrite or resume  # a training that was killed at its end has saved its model
        require_new(out, overwrite, MODEL_MARKS, MODEL_FILES)
        if first and not resume:
            state.unlink(missing_ok=True)
        kept = state if first or resume else None
        try:
            value = _pretrain(
                train=train,
                val=val,
                images=images,
                model=model,
                revision=revision,
                template=template,
                columns=columns,
                candidates=candidates,
                held_out=held_out,
                config=config,
                workers=workers,
                image_timeout=image_timeout,
                state=kept,
                out=out,
                overwrite=overwrite,
            )
        except KeyboardInterrupt as error:
            raise Interrupted(_kept(state)) from error
        if not first:
            return
        state.unlink(missing_ok=True)
    emit(value, _pretrain_text(out, value), json)


def _pretrain(
    *,
    train: str,
    val: str | None,
    images: Path | None,
    model: str,
    revision: str | None,
    template: tuple[str, ...],
    columns: ColumnNames,
    candidates: Path | None,
    held_out: Mapping[str, str],
    config: PretrainConfig,
    workers: int | None,
    image_timeout: float,
    state: Path | None,
    out: Path,
    overwrite: bool,
) -> dict[str, Any]:
    """Train a model and save it, and return the result; of several processes the first one saves."""
    from geocell.compute.ranks import process_rank
    from geocell.pretraining.caption_set import CaptionSet
    from geocell.pretraining.captions import unknown_countries
    from geocell.pretraining.clip_model import ClipModel
    from geocell.pretraining.pretrain import pretrain as train_clip
    from geocell.pretraining.result import save_trained
    from geocell.pretraining.tables import read_captions
    from geocell.pretraining.validation import ZeroShotValidation, cities_of
    from geocell.zeroshot.candidate_files import read_cities

    first = process_rank() == 0
    whole = read_captions(train, images, template, columns)
    if first:
        _note_unknown(unknown_countries(whole.table), whole.source)
    kept = whole.without(held_out)
    captioned = CaptionSet.from_table(kept.table, kept.images)
    validate = None
    if val is not None:
        scored = read_captions(val, images, template, columns)
        cities = read_cities(candidates) if candidates else cities_of([whole.places(), scored.places()])
        validate = ZeroShotValidation(
            scored, cities, held_out=tuple(held_out), workers=workers, image_timeout=image_timeout
        )
    if first:
        note(f"loading {model}")
    clip = ClipModel.load(model, revision)
    progress = train_clip(
        clip, captioned, config,
        state=state, validate=validate, workers=workers, image_timeout=image_timeout, log=_note_epoch,
    )  # fmt: skip
    if first:
        save_trained(
            out, clip, captioned, config, progress,
            held_out=tuple(held_out.values()), overwrite=overwrite,
        )  # fmt: skip
    return {
        "model": str(out), "n_images": len(captioned), "n_captions": len(captioned.captions),
        "n_held_out": len(whole.places()) - len(kept.places()), "n_problems": len(progress.problems),
        "settings": config.to_dict(), "history": progress.history, "scores": _scores(progress),
    }  # fmt: skip


def _note_unknown(countries: Sequence[str], source: str) -> None:
    """Say which countries of captions have no code: they are trained on, and never found by zero-shot."""
    from geocell.zeroshot.candidates import shown

    if countries:
        note(f"{source} names countries that zero-shot does not know, {shown(countries)}: correct the spelling.")


def _scores(progress: Progress) -> dict[str, float]:
    """Return the validation scores of what is saved."""
    last = progress.history[-1]
    return progress.saved or {name.removeprefix("val_"): v for name, v in last.items() if name.startswith("val_")}


def _note_epoch(row: Mapping[str, float]) -> None:
    scores = "".join(
        f", {name.removeprefix('val_').replace('_', ' ')} {100 * v:.1f} %" for name, v in row.items() if "val_" in name
    )
    note(f"epoch {row['epoch']:.0f}: loss {row['train_loss']:.4f}{scores}")


def _pretrain_text(out: Path, value: Mapping[str, Any]) -> str:
    from geocell.files import counted
    from geocell.reports.tables import percent

    text = f"{out}: trained on {counted(value['n_images'], 'image')} with {counted(value['n_captions'], 'caption')}"
    if n := value["n_held_out"]:
        text += f"\n  {counted(n, 'image')} of held-out countries left out"
    if n := value["n_problems"]:
        text += f"\n  {counted(n, 'image')} could not be read: see problems.csv"
    for name, share in value["scores"].items():
        text += f"\n  {name.replace('_', ', ')}: {percent(share)} % of the validation images by zero-shot"
    return text


def require_folder(images: Path | None) -> None:
    """Refuse a folder of images that is none."""
    if images is not None and not images.is_dir():
        raise ValueError(f"--images must be a folder, and there is none at {images}.")


def _kept(state: Path) -> str:
    """Return the message of a training that was interrupted."""
    if state.is_file():
        return f"interrupted: {state} keeps the state of the training; the same command with --resume continues it."
    return "interrupted before the training began: nothing is kept; the same command starts it again."
