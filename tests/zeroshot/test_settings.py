"""Settings of a zero-shot classifier."""

from typing import Any

import pytest

from geocell.zeroshot.settings import ZeroShotSettings


def test_the_published_protocol_is_the_default() -> None:
    settings = ZeroShotSettings()
    assert settings.templates == {
        "country": ("A Street View photo in {country}.",),
        "city": ("A Street View photo from {city}.",),
    }
    assert (settings.keep, settings.population_weight) == (1, 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"city_templates": ()}, "at least one text, got none"),
        ({"city_templates": ("A photo from {town}.",)}, r"may name .*\{city\}.*, got \{town\}"),
        ({"city_templates": ("A photo in {country}.",)}, r"of the level city must name \{city\}, got 'A photo in"),
        ({"country_templates": ("A photo.",)}, "must name one of"),
        ({"keep": -1}, "number of countries, or 0 for all, got -1"),
        ({"population_weight": float("nan")}, "from 0 to 10, got nan"),
        ({"fusion": "attention"}, "must be one of feature, logit, got 'attention'"),
    ],
)
def test_what_cannot_be_asked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ZeroShotSettings(**changes)


def test_json_there_and_back() -> None:
    settings = ZeroShotSettings(region_templates=("In {region}.",), keep=0, population_weight=0.6, fusion="logit")
    assert ZeroShotSettings.from_dict(settings.to_dict(), "x") == settings
    good = settings.to_dict()
    for bad in ({**good, "more": 1}, {**good, "keep": "1"}, {**good, "city_templates": [1]}, {**good, "keep": -3}):
        with pytest.raises(ValueError, match=r"^x"):
            ZeroShotSettings.from_dict(bad, "x")
