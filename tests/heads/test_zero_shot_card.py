"""The card of a zero-shot classifier: what it says, and metadata that the Hub's own client accepts."""

from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import ModelCard

from geocell.evaluation.score import score
from geocell.heads.calibration import Calibration
from geocell.heads.card_metadata import CardSettings
from geocell.heads.card_text import CardText, parse_card
from geocell.heads.zero_shot_card import zero_shot_card
from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.settings import ZeroShotSettings
from tests.local_hub import Hub
from tests.zeroshot.worlds import CITIES, INFO, made, places


def scores_json() -> dict[str, Any]:
    return score(made(), places(), split="test").to_dict()


def test_what_it_says() -> None:
    model = made(ZeroShotSettings(region_templates=("In {region}.", "{region}, {country}"), keep=2))
    text = zero_shot_card(model, scores_json(), address="me/zs", picture="partition.png")
    assert "# Zero-shot geolocation: tiny over 6 cities" in text
    assert "6 cities of 3 countries (France, Japan, Peru)" in text
    assert "the country, then the region in it, then the city in it" in text
    assert "| texts of a country | `A Street View photo in {country}.` |" in text
    assert "| texts of a region | `In {region}.`, `{region}, {country}` |" in text
    assert "| countries kept | 2 |" in text
    assert "| probabilities | not calibrated |" in text
    assert f"sha256 `{CITIES.sha256[:12]}`" in text
    assert "40 locations of the split `test`" in text
    assert "![The candidate cities](partition.png)" in text
    assert "`geocell predict me/zs photo.jpg`" in text
    assert "licence holds for them too" in " ".join(text.split())
    assert "Not measured." in zero_shot_card(model, None)


def test_the_licence_is_that_of_the_encoder() -> None:
    streetclip = replace(made(), encoder=replace(INFO, name="geolocal/StreetCLIP", revision="c0ffee"))
    text = zero_shot_card(streetclip, None)
    data = ModelCard(text).data
    assert (data.license, data.base_model) == ("cc-by-nc-4.0", "geolocal/StreetCLIP")
    assert data.pipeline_tag == "zero-shot-image-classification"
    assert "which are under `cc-by-nc-4.0`." in text
    assert "The authors of StreetCLIP rule out geolocating users' private images" in text
    assert "haas2023streetclip" in text
    assert ModelCard(zero_shot_card(made(), None)).data.license == "other"
    assert ModelCard(zero_shot_card(made(), None, settings=CardSettings("mit"))).data.license == "mit"


def test_a_calibrated_one_is_said_to_be() -> None:
    known = Calibration(2.0, {25: 0.1, 200: 0.2, 750: 0.4}, "centroid", {50: 1.0, 90: 2.0}, {"n_locations": 40})
    text = zero_shot_card(replace(made(), calibration=known), None)
    assert "| probabilities | temperature 2.00 on 40 locations; decoder centroid |" in text
    assert "Its probabilities are calibrated on validation locations" in text


def test_what_a_person_wrote_stays() -> None:
    mine = CardText({"license": "cc0-1.0", "tags": ["alps"]}, {"": "Hello.", "use": "Ask Ann."})
    text = zero_shot_card(made(), None, before=mine)
    again = parse_card(text, "it")
    assert dict(again.own) == {"": "Hello.", "use": "Ask Ann."}
    assert again.metadata["license"] == "cc0-1.0"
    assert "alps" in again.metadata["tags"]


def test_names_of_others_are_no_markup() -> None:
    hostile = Candidates((Candidate("France", "<b>x|y <!-- generated: head -->", 1.0, 1.0),))
    model = made()
    single = replace(
        model, candidates=hostile, texts=tuple(texts[:1] for texts in model.texts), text_identity="<!-- end --> `a`"
    )
    text = zero_shot_card(single, None)
    assert parse_card(text, "it").changed == ()


@pytest.mark.loopback
def test_the_hubs_own_validation_accepts_it(hub: Hub) -> None:
    ModelCard(zero_shot_card(made(), scores_json(), settings=CardSettings("mit", ("me/a",), "me/bench"))).validate()
    assert hub.asked("/api/validate-yaml")
