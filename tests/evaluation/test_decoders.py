"""All decoders of a head on the same locations."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from geocell.decoders.table import AnyDecoder
from geocell.evaluation.comparison import paired_intervals
from geocell.evaluation.decoders import compare_decoders
from geocell.evaluation.score import outcomes
from geocell.features.locations import Locations
from geocell.heads.head import Head
from geocell.metrics.outcomes import Outcomes
from tests.evaluation.test_calibrate import drawn_world, gentle_head
from tests.heads.test_calibration import LEARNED


def test_values_and_intervals_are_those_of_scores() -> None:
    head = replace(gentle_head(), calibration=LEARNED)
    locations = drawn_world(head, 200, 0)
    found = compare_decoders(head, locations, split="val", device="cpu")
    assert list(found.values) == [
        "centroid", "mean", "medoid", "geoscore", "balscore", "within:25", "within:200", "within:750",
    ]  # fmt: skip
    base = outcomes(head, locations, "centroid", "val", "cpu")
    medoid = outcomes(head, locations, "medoid", "val", "cpu")
    assert found.values["medoid"]["balscore"] == medoid.values()["balscore"]
    plain = [Outcomes(o.distances_km, clusters=o.clusters) for o in (medoid, base)]
    assert found.intervals["medoid"]["within_25"] == paired_intervals(*plain)["within_25"]
    assert list(found.left_out) == ["offset", "geoscore:places=8", "balscore:places=8", "within:25,places=8"]
    assert found.values["medoid"]["mean_km"] <= found.values["centroid"]["mean_km"]
    json.dumps(found.to_dict(), allow_nan=False)
    assert not any("not calibrated" in sentence for sentence in found.sentences())


def test_it_says_which_to_use_and_when_it_cannot_tell() -> None:
    found = compare_decoders(gentle_head(), drawn_world(gentle_head(), 400, 1), device="cpu")
    assert "balscore" in found.left_out
    assert any(sentence.startswith("the posterior is not calibrated") for sentence in found.sentences())
    named = {sentence.split(":")[0]: sentence for sentence in found.sentences()}
    best = found.best("mean_km")
    assert best != "centroid"
    assert named["mean distance"] == (
        f"mean distance: use {best}."
        if found.told_apart(best, "mean_km")
        else f"mean distance: {best} is ahead of centroid, but these locations cannot tell them apart."
    )
    few = compare_decoders(gentle_head(), drawn_world(gentle_head(), 6, 1), ("within:1",), device="cpu")
    assert few.best("balscore") == "centroid"  # the same answers
    assert "balscore: no decoder is better than centroid here." in few.sentences()


def test_the_head_answers_once_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    head = replace(gentle_head(), calibration=LEARNED)
    locations = drawn_world(head, 50, 0)
    whole = compare_decoders(head, locations, device="cpu")
    sizes: list[int] = []

    def pieces(self: Head, asked: Locations, decode: AnyDecoder, device: str) -> Iterator[object]:
        for piece in answer_chunks(self, asked, decode, device, chunk=20):
            sizes.append(len(piece[1]))
            yield piece

    answer_chunks = Head.answer_chunks
    monkeypatch.setattr(Head, "answer_chunks", pieces)
    assert compare_decoders(head, locations, device="cpu") == whole
    assert sizes == [20, 20, 10]


def test_no_location() -> None:
    head = gentle_head()
    with pytest.raises(ValueError, match="at least one location, got none"):
        compare_decoders(head, drawn_world(head, 3, 0).take(np.empty(0, np.int64)))
