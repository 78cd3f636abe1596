"""Publishing: one head, one repository, one commit; and fetching one back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from geocell.decoders.table import parse_decoder
from geocell.encoders.info import NOT_PINNED, UNKNOWN, EncoderInfo
from geocell.encoders.joined import AND
from geocell.features.neighbours import NEIGHBOURS_FILE
from geocell.features.training_places import PLACES_FILE
from geocell.files import json_text, new_folder, read_json, require_new
from geocell.heads.card_metadata import CardSettings, eval_file, eval_file_name, settings_of
from geocell.heads.card_text import CardText, require_unchanged
from geocell.heads.combination import Combination
from geocell.heads.combination_file import COMBINATION_MARKS, COMBINATION_PARTS, files_in, is_of_combination
from geocell.heads.config_file import CONFIG_FILE
from geocell.heads.folder import (
    HEAD_FILES,
    HEAD_MARKS,
    PICTURE_FILE,
    SCORES_FILE,
    card_of,
    parse_card_file,
    read_card,
    require_scores_of,
)
from geocell.heads.hashes import COMBINATION_FILE, HASHES_FILE, hashes_of
from geocell.heads.head import Head
from geocell.heads.loading import is_ensemble, load_head_like
from geocell.heads.source import HeadSource, fetch_head
from geocell.hub.client import CARD_FILE, commit, open_repository
from geocell.hub.names import HubName
from geocell.metrics.scores import Scores


@dataclass(frozen=True)
class Publication:
    """What a push puts on the Hub.

    Attributes:
        name: repository and branch.
        files: name -> size in bytes.
        left_out: files of the folder that are no part of a head, and stay here.
        card: the model card.
        address: of the commit or pull request; "" for a dry run.
    """

    name: HubName
    files: Mapping[str, int]
    left_out: tuple[str, ...]
    card: str = field(repr=False)
    address: str = ""


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
    """Publish the folder of a head, or of a combination of several, as a repository on the Hub, in one commit.

    The folder is checked first as loading checks it, and its scores must be its own. Files of a head that the
    repository has from before and this one has not are deleted there; other files are left alone. The picture of the
    cells is drawn when matplotlib is installed.

    Args:
        path: folder of the head or the combination.
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
    if not folder.is_dir():
        raise FileNotFoundError(f"a push needs the folder of a head, and there is none at {folder}.")
    if is_ensemble(HeadSource(folder)):
        raise ValueError(
            f"{folder} is an ensemble of an earlier version: make it a combination with `geocell combine {folder}/0 "
            f"{folder}/1 --out …`, and push that."
        )
    head = load_head_like(folder)
    scores = _read_scores(folder, head)
    if settings.benchmark and scores is None:
        raise ValueError(
            f"benchmark says what {SCORES_FILE} was measured on, and there is none in {folder}: score the head first, "
            "or leave it out."
        )
    with TemporaryDirectory() as scratch:
        add = public_files(folder, head, with_neighbours=with_neighbours, with_places=with_places)
        sent = {PurePosixPath(name).parts[0] for name in add}
        left_out = tuple(sorted(p.name for p in folder.iterdir() if p.name not in sent))
        if (picture := _draw_cells(head, Path(scratch) / PICTURE_FILE)) is not None:
            add[PICTURE_FILE] = picture
        local = read_card(folder)
        remote = None if dry_run else open_repository(name, private=private, create_pr=pr)
        there = _card_there(name, None if remote is None else remote.card, overwrite)
        earlier = settings_of(there.metadata)
        settings = settings.with_defaults(earlier).with_defaults(settings_of(local.metadata))
        facts: dict[str, Any] = {
            "address": str(name) if name.revision != "main" else name.repo,
            "picture": PICTURE_FILE if PICTURE_FILE in add else "",
            "before": _joined(name, local, there, overwrite),
            "settings": settings,
        }
        card = card_of(head.parts, scores, **facts)
        add[CARD_FILE] = card.encode()
        if scores is not None and settings.benchmark:
            file, content = eval_file(scores, settings)
            add[file] = content.encode()
        sizes = {file: len(v) if isinstance(v, bytes) else v.stat().st_size for file, v in add.items()}
        result = Publication(name, dict(sorted(sizes.items())), left_out, card)
        if remote is None:
            return result
        replaced = {eval_file_name(earlier)} if earlier.benchmark else set()
        stale = [file for file in remote.files if (_belongs(file) or file in replaced) and file not in add]
        message = f"Geocell head on {len(head.partition):,} cells"
        return replace(result, address=commit(remote, add, stale, message, create_pr=pr))


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
        _require_known_encoder(encoder)
    stays = frozenset(
        name for name, sent in ((NEIGHBOURS_FILE, with_neighbours), (PLACES_FILE, with_places)) if not sent
    )
    _require_answers_without(stays, head)
    add: dict[str, Path | bytes] = {n: p for n, p in files_in(folder).items() if PurePosixPath(n).name not in stays}
    for name_of_config in [name for name in add if PurePosixPath(name).name == CONFIG_FILE]:
        add[name_of_config] = _public_config(folder / name_of_config)
    _hash_again(add)
    return add


def pull_head(repo: str, out: str | Path | None = None, *, overwrite: bool = False) -> HeadSource:
    """Fetch a head or a combination from the Hub, check it as loading does, and put it into a folder.

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
    marks: tuple[str, ...] = HEAD_MARKS
    parts: tuple[str, ...] = HEAD_FILES
    if out is not None and (Path(out) / COMBINATION_FILE).is_file():
        marks, parts = COMBINATION_MARKS, COMBINATION_PARTS
    if out is not None:
        require_new(Path(out), overwrite, marks, parts)
    source = fetch_head(name)
    load_head_like(source)
    if out is None:
        return source
    with new_folder(Path(out), overwrite=overwrite, marks=marks, parts=parts) as folder:
        for file, origin in files_in(source.folder).items():
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(origin, folder / file)
    return replace(source, folder=Path(out))


def _require_known_encoder(encoder: EncoderInfo) -> None:
    """Refuse a head whose card would promise an encoder that nobody can load.

    Raises:
        ValueError: with what is not known, and the next step.
    """
    if encoder.revision == NOT_PINNED:
        raise ValueError(
            f"the encoder {encoder.name} of this head is {NOT_PINNED} to a commit: use the head once where the encoder "
            "can be loaded (`geocell predict HEAD photo.jpg`), which records its commit, then push."
        )
    unknown = [name for name in ("revision", "pooling", "processor") if getattr(encoder, name) == UNKNOWN]
    if unknown:
        raise ValueError(
            f"nobody could load the encoder {encoder.name} of this head, whose {' and '.join(unknown)} "
            f"{'are' if len(unknown) > 1 else 'is'} not known: import the features with `geocell cache import --like`, "
            "which takes what is missing from a cache or an encoder, fit the head again, then push."
        )


def _belongs(file: str) -> bool:
    """Return whether a file of a repository is of a head or a combination, and goes when another one comes."""
    return is_of_combination(file) or any(fnmatchcase(file, pattern) for pattern in HEAD_FILES)


def _hash_again(files: dict[str, Path | bytes]) -> None:
    """Put `hashes.json` of the files as they are sent beside them, in the folder of each member too."""
    for folder in {PurePosixPath(name).parent for name in files}:
        own = {PurePosixPath(name).name: file for name, file in files.items() if PurePosixPath(name).parent == folder}
        files[(folder / HASHES_FILE).as_posix()] = json_text(hashes_of(own)).encode()


def _public_config(path: Path) -> bytes:
    """Return a `config.json` without the path at which this machine has the encoder."""
    config = read_json(path, "a head")
    encoder = config["encoder"]
    revisions, sources = encoder["revision"].split(AND), encoder["source"].split(AND)
    if len(revisions) == len(sources):  # one encoder, or several that were joined
        encoder["source"] = AND.join(
            "" if revision.startswith("sha256:") or Path(source).is_absolute() else source
            for revision, source in zip(revisions, sources, strict=True)
        )
    return json_text(config).encode()


def _read_scores(folder: Path, head: Head | Combination) -> dict[str, Any] | None:
    """Return the content of `scores.json`, if all scores in the folder are of this head."""
    found = None
    for path in sorted(folder.glob("scores*.json")):
        scores = Scores.from_dict(read_json(path, "scores"), str(path)).to_dict()
        require_scores_of(head.parts, scores, str(path))
        found = scores if path.name == SCORES_FILE else found
    return found


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


def _card_there(name: HubName, card: Path | None, overwrite: bool) -> CardText:
    """Return the card on the Hub; what is damaged, or would be lost, is refused unless it is to be overwritten."""
    if card is None:
        return CardText()
    where = f"the card of {name}"
    try:
        found = parse_card_file(card, where)
        if not overwrite:
            require_unchanged(found, where)
    except ValueError as error:
        if overwrite:
            return CardText()
        raise ValueError(f"{str(error).removesuffix('.')}; or pass --overwrite.") from error
    return found


def _joined(name: HubName, local: CardText, remote: CardText, overwrite: bool) -> CardText:
    """Merge the texts that people wrote in two cards, which must not differ below the same part."""
    differs = [part for part, text in local.own.items() if remote.own.get(part, text) != text]
    if differs and not overwrite:
        places = ", ".join(f"below its part {part!r}" if part else "at its top" for part in differs)
        raise ValueError(
            f"the card of {name} has text of its own that differs from that of the folder's card, {places}: make them "
            "the same, empty one of them, or pass --overwrite to replace the one on the Hub."
        )
    own = dict(local.own) if overwrite else {**remote.own, **local.own}
    tags = [
        tag for card in (remote, local) if isinstance(tag_list := card.metadata.get("tags"), list) for tag in tag_list
    ]
    return CardText({**remote.metadata, **local.metadata, "tags": tags}, own)


def _draw_cells(head: Head | Combination, out: Path) -> Path | None:
    """Draw the cells, or only their centroids; None without matplotlib."""
    if find_spec("matplotlib") is None:
        return None
    from geocell.plots import draw_cells, draw_centroids

    return draw_cells(out, head.partition) if head.partition.can_assign else draw_centroids(out, head.partition)
