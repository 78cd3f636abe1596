"""Names of countries as files have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.countries import country_outlines
from geocell.geo.country_names import ALIASES, continent_of, country_code, country_names, folded


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Swaziland", "SZ"), ("East Timor", "TL"), ("Czech Republic", "CZ"), ("Côte d'Ivoire", "CI"),
        ("Ivory Coast", "CI"), ("Macedonia", "MK"), ("Burma", "MM"), ("Cape Verde", "CV"), ("Vatican City", "VA"),
        ("United States of America", "US"), ("the Netherlands", "NL"), ("The Bahamas", "BS"), ("St. Lucia", "LC"),
        ("Bosnia & Herzegovina", "BA"), ("TÜRKIYE", "TR"), ("Türkiye", "TR"), ("Guinea Bissau", "GW"),
        ("São Tomé and Príncipe", "ST"), ("Curaçao", "CW"), ("Réunion", "RE"), ("Georgia", "GE"), ("FR", "FR"),
        ("U.S.A.", "US"), ("Niger", "NE"), ("Nigeria", "NG"), ("Dominica", "DM"), ("Dominican Republic", "DO"),
        ("Ruritania", ""), ("", ""),
    ],
)  # fmt: skip
def test_names_and_old_names(name: str, code: str) -> None:
    assert country_code(name) == code


def test_every_name_is_its_own_country() -> None:
    names = country_names()
    assert len(names) == len(set(names.values())) > 230
    assert {code: country_code(name) for code, name in names.items()} == {code: code for code in names}
    assert set(ALIASES.values()) <= set(names)
    known = {folded(name) for name in names.values()}
    assert not known & {folded(alias) for alias in ALIASES}, "an alias that is the name itself is of no use"


def test_outlines_have_names() -> None:
    """Countries with inhabitants that have an outline have a name here, under the same code."""
    codes = set(country_outlines()["iso_a2"]) - {"", "AQ", "HM", "TF", "IO", "GS"}
    assert codes <= set(country_names())


def test_continents() -> None:
    assert (continent_of("JP"), continent_of("BR"), continent_of("XX")) == ("Asia", "South America", "")


@given(st.text())
def test_folding_twice_is_folding_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)
    assert country_code(name) in {"", *country_names()}
