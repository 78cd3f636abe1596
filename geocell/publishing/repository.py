"""What every push does: the card that is there, the files that go, one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from geocell.encoders.info import NOT_PINNED, UNKNOWN, EncoderInfo
from geocell.encoders.joined import AND
from geocell.files import read_json
from geocell.heads.card_file import PICTURE_FILE, SCORES_FILE, Scored, parse_card_file, require_scores_of
from geocell.heads.card_metadata import CardSettings, eval_file, eval_file_name, settings_of
from geocell.heads.card_text import CardText, require_unchanged
from geocell.heads.combination_file import is_of_combination
from geocell.heads.config_file import CONFIG_FILE
from geocell.heads.folder import HEAD_FILES
from geocell.heads.zero_shot_folder import ZERO_SHOT_FILES
from geocell.hub.client import CARD_FILE, Remote, commit, open_repository
from geocell.hub.names import HubName
from geocell.metrics.scores import Scores
from geocell.partitioners.cells import INFO_FILE
from geocell.pretraining.result import MODEL_FILES, MODEL_MARKS


@dataclass(frozen=True)
class Publication:
    """What a push puts on the Hub.

    Attributes:
        name: repository and branch.
        files: name -> size in bytes.
        left_out: files of the folder that are no part of what is published, and stay here.
        card: the model card.
        address: of the commit or pull request; "" for a dry run.
    """

    name: HubName
    files: Mapping[str, int]
    left_out: tuple[str, ...]
    card: str = field(repr=False)
    address: str = ""


class WriteCard(Protocol):
    """Returns the card of what is published."""

    def __call__(self, *, address: str, picture: str, before: CardText, settings: CardSettings) -> str:
        """Return the card as Markdown; for the keywords see `geocell.heads.card.head_card`."""
        ...


@dataclass(frozen=True)
class Contents:
    """What is published of a folder that was checked.

    Attributes:
        files: name -> file or content, without the card.
        left_out: files of the folder that stay here.
        card: writes the card.
        local: the card in the folder.
        message: of the commit.
        scores: the content of its `scores.json`; None where there is none.
        is_model: whether it is a model of transformers, which no head takes the place of.
    """

    files: Mapping[str, Path | bytes]
    left_out: tuple[str, ...]
    card: WriteCard
    local: CardText
    message: str
    scores: Mapping[str, Any] | None = None
    is_model: bool = False


@dataclass(frozen=True)
class How:
    """How something is published; see `geocell.publishing.push.push_head`."""

    private: bool = False
    pr: bool = False
    dry_run: bool = False
    overwrite: bool = False
    settings: CardSettings = CardSettings()


def require_benchmark(settings: CardSettings, scores: Mapping[str, Any] | None, folder: Path) -> None:
    """Refuse a benchmark without scores on it."""
    if settings.benchmark and scores is None:
        raise ValueError(
            f"benchmark says what {SCORES_FILE} was measured on, and there is none in {folder}: score the head first, "
            "or leave it out."
        )


def require_known_encoder(encoder: EncoderInfo) -> None:
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


def read_own_scores(folder: Path, parts: Scored) -> dict[str, Any] | None:
    """Return the content of `scores.json`, if all scores in the folder are of what is published."""
    found = None
    for path in sorted(folder.glob("scores*.json")):
        scores = Scores.from_dict(read_json(path, "scores"), str(path)).to_dict()
        require_scores_of(parts, scores, str(path))
        found = scores if path.name == SCORES_FILE else found
    return found


def public_encoder(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoder, in its JSON form, without the path at which this machine has it."""
    revisions, sources = encoder["revision"].split(AND), encoder["source"].split(AND)
    if len(revisions) != len(sources):  # neither one encoder, nor several that were joined
        return dict(encoder)
    shown = (
        "" if revision.startswith("sha256:") or Path(source).is_absolute() else source
        for revision, source in zip(revisions, sources, strict=True)
    )
    return {**encoder, "source": AND.join(shown)}


def publish(contents: Contents, name: HubName, how: How) -> Publication:
    """Put contents on the Hub in one commit; see `geocell.publishing.push.push_head`."""
    add = dict(contents.files)
    remote = None if how.dry_run else open_repository(name, private=how.private, create_pr=how.pr)
    if remote is not None:
        _require_same_kind(contents, remote)
    there = _card_there(name, None if remote is None else remote.card, how.overwrite)
    earlier = settings_of(there.metadata)
    settings = how.settings.with_defaults(earlier).with_defaults(settings_of(contents.local.metadata))
    card = contents.card(
        address=str(name) if name.revision != "main" else name.repo,
        picture=PICTURE_FILE if PICTURE_FILE in add else "",
        before=_joined(name, contents.local, there, how.overwrite),
        settings=settings,
    )
    add[CARD_FILE] = card.encode()
    if contents.scores is not None and settings.benchmark:
        file, content = eval_file(contents.scores, settings)
        add[file] = content.encode()
    sizes = {file: len(v) if isinstance(v, bytes) else v.stat().st_size for file, v in add.items()}
    result = Publication(name, dict(sorted(sizes.items())), contents.left_out, card)
    if remote is None:
        return result
    replaced = {eval_file_name(earlier)} if earlier.benchmark else set()
    stale = [f for f in remote.files if (_belongs(f, contents.is_model) or f in replaced) and f not in add]
    return replace(result, address=commit(remote, add, stale, contents.message, create_pr=how.pr))


def _require_same_kind(contents: Contents, remote: Remote) -> None:
    """Refuse a repository that holds a model where a head comes, or a head where a model comes."""
    holds_head, holds_model = INFO_FILE in remote.files, set(MODEL_MARKS) <= set(remote.files)
    if contents.is_model and holds_head:
        raise ValueError(f"{remote.name} holds a head, which a trained model would replace: name another repository.")
    if not contents.is_model and (holds_model or (CONFIG_FILE in remote.files and not holds_head)):
        raise ValueError(f"{remote.name} holds a model, which a head would replace: name another repository.")


def _belongs(file: str, is_model: bool) -> bool:
    """Return whether a file of a repository is of the same kind, and goes when another one comes."""
    if not is_model and is_of_combination(file):
        return True
    patterns = (*MODEL_MARKS, *MODEL_FILES) if is_model else (*HEAD_FILES, *ZERO_SHOT_FILES)
    return "/" not in file and any(fnmatchcase(file, pattern) for pattern in patterns)  # `*` takes a folder too


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
