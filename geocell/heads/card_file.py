"""The model card and the scores in the folder of a head, or of a combination of heads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from geocell.files import reading, write_json, write_text
from geocell.heads.calibration import Calibration
from geocell.heads.card import head_card
from geocell.heads.card_text import MAX_CARD_BYTES, CardText, parse_card, require_unchanged
from geocell.heads.config_file import bounded_text
from geocell.heads.trained_on import TrainedOn
from geocell.hub.client import CARD_FILE
from geocell.metrics.scores import Scores
from geocell.partitioners.base import Partition
from geocell.uncertainty.region_model import RegionModel

SCORES_FILE = "scores.json"
PICTURE_FILE = "partition.png"


class Scored(Protocol):
    """What scores are of."""

    @property
    def partition(self) -> Partition:
        """The cells."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of all that its answers depend on."""
        ...


class Described(Scored, Protocol):
    """What scores and a model card are written for: the parts of a head, or of a combination of heads."""

    @property
    def trained_on(self) -> TrainedOn | None:
        """Hashes of the training locations."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """What was learned after the fit."""
        ...

    @property
    def region(self) -> RegionModel | None:
        """What tells locations outside its region apart."""
        ...

    def config_json(self) -> dict[str, Any]:
        """Return what its card says of it."""
        ...


def require_scores_of(parts: Scored, scores: Mapping[str, Any], what: str) -> None:
    """Raise ValueError unless scores, in their JSON form, are those of the head; `what` names them in the message."""
    if scores.get("partition_sha256") != parts.partition.sha256:
        raise ValueError(f"{what} must be of its partition, got those of another: score it again.")
    if scores.get("head_sha256") not in {None, parts.sha256}:
        raise ValueError(
            f"{what} must be its own, got those of another head on the same cells, or of this one before it was "
            "calibrated: score it again."
        )


def write_scores_and_card(parts: Described, folder: Path, scores: Scores | None) -> None:
    """Write scores, if there are any, and the model card into the folder of a head or a combination.

    Raises:
        ValueError: when the scores are of another one, or a person wrote into a generated part of the card.
    """
    numbers = None if scores is None else scores.to_dict()
    if numbers is not None:
        require_scores_of(parts, numbers, "scores beside a head")
    card = _card_like(parts, folder, numbers)  # first, since a card with text that would be lost is refused
    if numbers is not None:
        write_json(folder / SCORES_FILE, numbers)
    write_text(folder / CARD_FILE, card)


def _card_like(parts: Described, folder: Path, scores: Mapping[str, Any] | None) -> str:
    """Return the card for a folder, with what a person wrote and set in the card that is there."""
    picture = PICTURE_FILE if (folder / PICTURE_FILE).is_file() else ""
    return card_of(parts, scores, picture=picture, before=read_card(folder))


def read_card(folder: Path) -> CardText:
    """Return the model card in a folder, an empty one when there is none.

    Raises:
        ValueError: when it is damaged, or a person wrote where it would be lost.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return CardText()
    card = parse_card_file(path, str(path))
    require_unchanged(card, str(path))
    return card


def parse_card_file(path: Path, where: str) -> CardText:
    """Return the model card that a file is; `where` names it in error messages.

    Raises:
        ValueError: when it is damaged or too large.
    """
    with reading(where, "Markdown in UTF-8"):
        content = bounded_text(path, MAX_CARD_BYTES, where)
    return parse_card(content, where)


def card_of(parts: Described, scores: Mapping[str, Any] | None, **kw: Any) -> str:  # noqa: ANN401 - those of head_card
    """Return the model card of a head; see `geocell.heads.card.head_card` for the keywords."""
    cells = parts.partition
    partition = {
        "kind": cells.kind,
        "parameters": cells.parameters,
        "outside_rule": cells.outside_rule,
        "centroids": cells.centroids,
    }
    return head_card(
        parts.config_json(),
        partition,
        scores,
        trained_on=parts.trained_on is not None,
        calibration=None if parts.calibration is None else parts.calibration.to_dict(),
        region=None if parts.region is None else parts.region.facts,
        **kw,
    )
