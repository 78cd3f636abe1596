"""Publishing: one head, one repository, one commit; and fetching one back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from geocell.decoders.table import parse_decoder
from geocell.features.neighbours import NEIGHBOURS_FILE
from geocell.features.training_places import PLACES_FILE
from geocell.files import json_text, new_folder, read_json, require_new, scratch_folder
from geocell.heads.card_file import PICTURE_FILE, card_of, read_card
from geocell.heads.card_metadata import CardSettings
from geocell.heads.combination import Combination
from geocell.heads.combination_file import COMBINATION_MARKS, COMBINATION_PARTS, files_in
from geocell.heads.config_file import CONFIG_FILE
from geocell.heads.folder import HEAD_FILES, HEAD_MARKS
from geocell.heads.hashes import COMBINATION_FILE, HASHES_FILE, hashes_of
from geocell.heads.head import Head
from geocell.heads.loading import is_ensemble, load_head_like
from geocell.heads.source import HeadSource, fetch_head
from geocell.heads.zero_shot import ZeroShot
from geocell.heads.zero_shot_folder import MARKS, MAX_BYTES, PARTS, ZERO_SHOT_FILE, is_zero_shot
from geocell.hub.names import HubName
from geocell.pretraining.result import MODEL_FILES, MODEL_MARKS
from geocell.publishing.repository import (
    Contents,
    How,
    Publication,
    public_encoder,
    publish,
    read_own_scores,
    require_benchmark,
    require_known_encoder,
)
from geocell.publishing.trained_models import (
    fetch_trained,
    is_trained_model,
    model_files,
    require_trained_model,
    trained_contents,
)
from geocell.publishing.zero_shots import zero_shot_contents, zero_shot_files


def push_head(  # noqa: PLR0913 - keywords with defaults
    path: str | Path,
    repo: str,
    *,
    private: bool = False,
    pr: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    with_neighbours: bool = False,
    with_places: bool = False,
    settings: CardSettings = CardSettings(),
) -> Publication:
    """Publish the folder of a head, or of what answers like one, as a repository on the Hub, in one commit.

    That is a combination of several, a zero-shot classifier, or a model that `geocell pretrain` trained. The folder is
    checked first as loading checks it, and its scores must be its own. Files of a head that the repository has from
    before and this one has not are deleted there; other files are left alone. The picture of the cells is drawn when
    matplotlib is installed.

    Args:
        path: folder of the head, the combination, the zero-shot classifier or the model.
        repo: `user/repo`, or `user/repo@branch`; repository and branch are made if need be.
        private: make a new repository private, and refuse a public one.
        pr: open a pull request instead of a commit.
        dry_run: check and write nothing: without the network.
        overwrite: replace the text that a person wrote in the card on the Hub by the one in the folder's card.
        with_neighbours: publish the index of training features too, and candidates that are training places, which
            disclose the coordinates of the training locations; else the index stays here.
        with_places: publish the training places of a head too, which are these coordinates; else they stay here.
        settings: licence and data sets for the card; what is empty is that of the card on the Hub, or in the folder.

    Raises:
        FileNotFoundError: when `path` is not the folder of a head.
        PermissionError: without a login or the right to write.
        ConnectionError: when the Hub cannot be reached, or fails; an incomplete upload is not visible there.
        ValueError: when the folder is damaged, or its scores are of another head, or text that a
            person wrote in the card on the Hub would be lost.
    """
    folder, name = Path(path), HubName.parse(repo)
    how = How(private, pr, dry_run, overwrite, settings)
    if not folder.is_dir():
        raise FileNotFoundError(f"a push needs the folder of a head, and there is none at {folder}.")
    if is_trained_model(folder):
        return publish(trained_contents(folder, settings), name, how)
    if is_ensemble(HeadSource(folder)):
        raise ValueError(
            f"{folder} is an ensemble of an earlier version: make it a combination with `geocell combine {folder}/0 "
            f"{folder}/1 --out …`, and push that."
        )
    head = load_head_like(folder)
    if isinstance(head, ZeroShot):
        contents = zero_shot_contents(folder, head, settings)
    else:
        contents = _head_contents(folder, head, settings, with_neighbours, with_places)
    with scratch_folder("push") as scratch:
        if (picture := _draw_cells(head, scratch / PICTURE_FILE)) is not None:
            contents = replace(contents, files={**contents.files, PICTURE_FILE: picture})
        return publish(contents, name, how)


def _head_contents(
    folder: Path, head: Head | Combination, settings: CardSettings, with_neighbours: bool, with_places: bool
) -> Contents:
    """Return what is published of the folder of a head or a combination, which was checked."""
    add = public_files(folder, head, with_neighbours=with_neighbours, with_places=with_places)
    scores = read_own_scores(folder, head.parts)
    require_benchmark(settings, scores, folder)
    sent = {PurePosixPath(name).parts[0] for name in add}
    return Contents(
        files=add,
        left_out=tuple(sorted(p.name for p in folder.iterdir() if p.name not in sent)),
        card=partial(card_of, head.parts, scores),
        local=read_card(folder),
        message=f"Geocell head on {len(head.partition):,} cells",
        scores=scores,
    )


def public_files(
    folder: Path, head: Head | Combination, *, with_neighbours: bool = False, with_places: bool = False
) -> dict[str, Path | bytes]:
    """Return the files of a head as others get them: without coordinates of training locations, and without paths.

    Args:
        folder: of the head or the combination.
        head: what was loaded from it.
        with_neighbours: see `push_head`.
        with_places: see `push_head`.

    Returns:
        Name -> file of the folder, or content that takes its place.

    Raises:
        ValueError: for a head whose encoder nobody could load, or that answers by a file which would stay here.
    """
    for encoder in [head.encoder] if isinstance(head, Head) else head.parts.encoders:
        require_known_encoder(encoder)
    stays = frozenset(
        name for name, sent in ((NEIGHBOURS_FILE, with_neighbours), (PLACES_FILE, with_places)) if not sent
    )
    _require_answers_without(stays, head)
    add: dict[str, Path | bytes] = {n: p for n, p in files_in(folder).items() if PurePosixPath(n).name not in stays}
    for name_of_config in [name for name in add if PurePosixPath(name).name in {CONFIG_FILE, ZERO_SHOT_FILE}]:
        add[name_of_config] = _public_config(folder / name_of_config)
    _hash_again(add)
    return add


def pull_head(repo: str, out: str | Path | None = None, *, overwrite: bool = False) -> HeadSource:
    """Fetch a head, or what `push_head` publishes, from the Hub, check it as loading does, and put it into a folder.

    A local folder of the same name is ignored.

    Args:
        repo: `user/repo@revision`.
        out: folder to make, complete or not at all; without it the head stays in huggingface_hub's cache.
        overwrite: replace an existing folder.

    Returns:
        Its folder, its commit, and a remark on files that were ignored.

    Raises:
        FileExistsError: when `out` exists and `overwrite` is false.
        FileNotFoundError: for no such repository, revision or head.
        PermissionError: when it is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
        ValueError: when it is damaged, or written by another major version.
    """
    name = HubName.parse(repo)
    marks, parts = _kind_of(None if out is None else Path(out))
    if out is not None:
        require_new(Path(out), overwrite, marks, parts)
    source = fetch_trained(name) or fetch_head(name)
    if is_trained_model(source.folder):
        require_trained_model(source.folder)
        files = model_files(source.folder)
    else:
        head = load_head_like(source)
        files = zero_shot_files(source.folder) if isinstance(head, ZeroShot) else files_in(source.folder)
    if out is None:
        return source
    with new_folder(Path(out), overwrite=overwrite, marks=marks, parts=parts) as folder:
        for file, origin in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(origin, folder / file)
    return replace(source, folder=Path(out))


def _kind_of(out: Path | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the marks and the parts of the folder that a pull would replace; those of a head where there is none."""
    if out is not None and (out / COMBINATION_FILE).is_file():
        return COMBINATION_MARKS, COMBINATION_PARTS
    if out is not None and is_zero_shot(out):
        return MARKS, PARTS
    if out is not None and is_trained_model(out):
        return MODEL_MARKS, MODEL_FILES
    return HEAD_MARKS, HEAD_FILES


def _hash_again(files: dict[str, Path | bytes]) -> None:
    """Put `hashes.json` of the files as they are sent beside them, in the folder of each member too."""
    for folder in {PurePosixPath(name).parent for name in files}:
        own = {PurePosixPath(name).name: file for name, file in files.items() if PurePosixPath(name).parent == folder}
        if ZERO_SHOT_FILE not in own:  # which has a hash of its own
            files[(folder / HASHES_FILE).as_posix()] = json_text(hashes_of(own)).encode()


def _public_config(path: Path) -> bytes:
    """Return a `config.json`, or the like of a zero-shot member, without the path of the encoder on this machine."""
    config = read_json(path, "a head", max_bytes=MAX_BYTES)
    return json_text({**config, "encoder": public_encoder(config["encoder"])}).encode()


def _require_answers_without(stays: frozenset[str], head: Head | Combination) -> None:
    """Refuse a head that answers by training features or places, where the file that has them would stay here.

    Raises:
        ValueError: when it does.
    """
    without_index = NEIGHBOURS_FILE in stays
    if isinstance(head, Combination) and head.pooling.vote is not None and without_index:
        raise ValueError(
            "the nearest training features vote in this combination: pass --with-neighbours, which publishes the "
            "coordinates of the training locations, or combine the heads without --knn."
        )
    at_places = isinstance(head, Combination) and head.partition.parameters.get("candidates") == "places"
    if at_places and without_index:
        raise ValueError(
            "the candidates of this combination are the training places: pass --with-neighbours, which publishes their "
            "coordinates, or combine the heads with --candidates centroids."
        )
    decoder = "" if head.calibration is None else head.calibration.decoder
    needed = parse_decoder(decoder).needed if decoder else frozenset()
    if "neighbours" in needed and without_index:
        raise ValueError(_needs(decoder, "index of training features", "--with-neighbours"))
    places = None if isinstance(head, Combination) else head.places
    if "places" in needed and places is not None and PLACES_FILE in stays:
        raise ValueError(_needs(decoder, "training places", "--with-places"))
    if "places" in needed and places is None and without_index:
        raise ValueError(_needs(decoder, "training places, those of its index of features", "--with-neighbours"))


def _needs(decoder: str, what: str, flag: str) -> str:
    return (
        f"the head is calibrated to decode by {decoder.partition(':')[0]}, which needs its {what}: pass {flag}, which "
        "publishes the coordinates of the training locations, or calibrate it with another decoder."
    )


def _draw_cells(head: Head | Combination | ZeroShot, out: Path) -> Path | None:
    """Draw the cells, or only their centroids; None without matplotlib."""
    if find_spec("matplotlib") is None:
        return None
    from geocell.plots import draw_cells, draw_centroids

    return draw_cells(out, head.partition) if head.partition.can_assign else draw_centroids(out, head.partition)
