"""The model card: what it says, metadata that the Hub's own client and validator accept, and what it keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from geocell.encoders.info import EncoderInfo
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.heads.card_file import card_of
from geocell.heads.card_metadata import CardSettings
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.region import fit_region
from geocell.partitioners import KMeansPartitioner
from tests.heads.test_calibration import LEARNED
from tests.heads.test_head import make_head, world
from tests.local_hub import Hub


def places() -> Locations:
    return replace(world(), columns={"country": np.array(["DE", "FR"] * 20, dtype=object)})


def scores_json(head: Head) -> dict[str, Any]:
    return score(head, places(), split="test").to_dict()


def on_streetclip(**training: Any) -> Head:
    encoder = EncoderInfo("geolocal/StreetCLIP", "c0ffee", "pooler_output", 16, 336, "CLIPImageProcessorPil 0")
    return replace(make_head(), encoder=encoder, training=training)


def test_it_says_how_locations_outside_the_region_are_told() -> None:
    plain = make_head()
    sure = replace(plain, region=fit_region(make_head(), world(), world(1), false_alarms=0.1))
    text, before = card_of(sure.parts, None), card_of(plain.parts, None)
    assert "| outside the region | flagged (`outside_region`) where the features, beside those of 40 training" in text
    assert "false alarms 10 % of locations like its 40 validation locations |" in text
    assert "flags 10 % inside it" in text
    assert "outside_region" not in before
    assert "where the probability is spread too far to be one" in before


def test_a_calibrated_head_is_not_said_to_be_none() -> None:
    head = make_head()
    before, after = card_of(head.parts, None), card_of(replace(head, calibration=LEARNED).parts, None)
    assert "Its probabilities are not calibrated, and a single answer is no evidence." in before
    assert "not calibrated" not in after
    assert "are calibrated on its validation locations, and hold for locations like those." in after


@pytest.mark.loopback
@pytest.mark.parametrize("scored", [True, False])
def test_the_hubs_own_validation_accepts_it(hub: Hub, scored: bool) -> None:
    head = make_head()
    text = card_of(
        head.parts, scores_json(head) if scored else None, settings=CardSettings("mit", ("me/photos",), "me/bench")
    )
    card = ModelCard(text)
    card.validate()
    assert hub.asked("/api/validate-yaml")
    again = ModelCard(str(card)).data.to_dict()  # the model-index is read and written again as it was
    assert again == card.data.to_dict()
    with pytest.raises(ValueError, match="license"):
        ModelCard(text.replace("license: mit\n", "")).validate()


def test_metadata() -> None:
    head = on_streetclip(n_train=40)
    scores = score(head, encoded(head), split="test").to_dict()
    data = ModelCard(card_of(head.parts, scores)).data
    assert (data.base_model, data.library_name, data.license) == ("geolocal/StreetCLIP", "geocell", "mit")
    assert (data.pipeline_tag, data.datasets) == ("image-classification", None)
    assert {"geocell", "image-geolocation"} <= set(data.tags)
    results = {result.metric_type: result for result in data.eval_results}
    assert results["balscore"].metric_value == pytest.approx(100 * scores["balscore"], abs=0.005)
    assert results["median_km"].metric_value == pytest.approx(scores["median_km"], abs=0.005)
    assert {r.metric_args["decoder"] for r in results.values()} == {"centroid"}
    assert (results["top1"].dataset_type, results["top1"].dataset_split) == ("unpublished", "test")
    assert ModelCard(card_of(make_head().parts, None)).data.base_model is None  # an encoder that is on no Hub
    local = replace(head.encoder, revision="sha256:0")
    assert ModelCard(card_of(replace(head, encoder=local).parts, None)).data.base_model is None


def encoded(head: Head) -> Locations:
    return replace(places(), encoder=head.encoder)


def test_what_it_says() -> None:
    head = on_streetclip(n_train=40, n_val=5, best_epoch=2, epochs_run=9)
    scores = score(head, encoded(head), split="test").to_dict()
    card = card_of(head.parts, scores, address="me/head@v1", picture="partition.png")
    low, high = scores["intervals"]["balscore"]
    de = scores["countries"]["DE"]
    for words in (
        "`geolocal/StreetCLIP`, revision `c0ffee`, `pooler_output` (16 numbers), 336 px",
        "![The cells, coloured by their training locations](partition.png)",
        f"| balscore | {100 * scores['balscore']:.1f} % | {100 * low:.1f} % – {100 * high:.1f} % |",
        "40 locations of the split `test`, decoder `centroid`",
        "| country | locations | balscore | within 1 km | within 25 km |",
        f"| DE | 20 | {100 * de['balscore']:.1f} % |",
        'gc.Geolocator.load("me/head@v1")',
        "40 training and 5 validation locations; epoch 2 of 9 kept.",
        "label_smoothing = 0.1",
        "under `cc-by-nc-4.0`: **no commercial use**",
        "StreetCLIP rule out geolocating users' private images",
        "**Out of scope**: finding out where a private person lives",
        "docs/responsible-use.md",
        "haas2023streetclip",
    ):
        assert words in card, words
    other = card_of(make_head().parts, None)
    assert "StreetCLIP" not in other
    assert "have a licence of their own" in other
    assert "Not measured." in other
    assert "By country" not in other
    assert "partition.png" not in other


def test_a_refit_is_said() -> None:
    head = on_streetclip(n_train=40, n_val=5, best_epoch=2, epochs_run=9, refit={"n_train": 45, "epochs": 2})
    card = card_of(head.parts, None)
    assert "epoch 2 of 9 kept; fitted again on 45 of both together for 2 epochs." in card
    assert "45 locations" in card


def test_its_recipe_is_one(tmp_path: Path) -> None:
    from geocell.heads.fit_config import read_recipe

    config = FitConfig(epochs=7, haversine=0.05, fusion="logit")
    card = card_of(replace(make_head(), config=config).parts, None)
    (tmp_path / "recipe.toml").write_text(card.split("```toml\n")[1].split("```")[0])
    assert FitConfig(**read_recipe(tmp_path / "recipe.toml")["fit"]) == config


def test_regions_are_named_in_every_quarter_of_the_earth() -> None:
    for places_, words in {
        ((-34.0, -60.0), (-30.0, -50.0)): "cells from 34.0° S to 30.0° S and from 60.0° W to 50.0° W",
        ((10.0, 100.0), (20.0, 120.0)): "cells from 10.0° N to 20.0° N and from 100.0° E to 120.0° E",
    }.items():
        partition = KMeansPartitioner(k=2, seed=0).fit(np.array(places_))
        module = type(make_head().module)(16, 2)
        assert words in card_of(replace(make_head(), partition=partition, module=module).parts, None)
