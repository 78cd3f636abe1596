import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.imagetext.templates import FIELDS, STREETCLIP_CAPTION, CaptionTemplate

ZURICH = {"city": "Zürich", "region": "Zürich", "country": "Switzerland", "continent": "Europe"}
TURIN = {"city": "Turin", "region": "Piedmont", "country": "Italy", "continent": "Europe"}


def text(template: str, place: dict[str, str]) -> str | None:
    caption = CaptionTemplate(template).caption(place)
    return None if caption is None else caption.text


def test_the_published_caption() -> None:
    caption = CaptionTemplate(STREETCLIP_CAPTION).caption(TURIN)
    assert caption is not None
    assert caption.text == "A Street View photo close to the town of Turin in the region of Piedmont in Italy."
    assert caption.fields == ("city", "region", "country")


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("city", "A Street View photo in the region of Piedmont in Italy."),
        ("region", "A Street View photo close to the town of Turin in Italy."),
        ("country", "A Street View photo close to the town of Turin in the region of Piedmont."),
    ],
)
def test_a_missing_field_takes_its_phrase_with_it(missing: str, expected: str) -> None:
    assert text(STREETCLIP_CAPTION, {k: v for k, v in TURIN.items() if k != missing}) == expected
    assert text(STREETCLIP_CAPTION, TURIN | {missing: "  "}) == expected


def test_a_name_is_said_once() -> None:
    assert text(STREETCLIP_CAPTION, ZURICH) == "A Street View photo close to the town of Zürich in Switzerland."


def test_no_caption_of_nothing() -> None:
    assert text(STREETCLIP_CAPTION, {}) is None
    assert text("A photo from {city}.", {"country": "Italy"}) is None


def test_a_required_field_may_repeat() -> None:
    assert text("{city}, {region}", ZURICH) == "Zürich, Zürich"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("A photo.", "must name one of {city}"),
        ("", "must name one of {city}"),
        ("A photo of {town}.", r"got {town} in"),
        ("A photo of {}.", r"got {} in"),
        ("In {country", "closed and not nested"),
        ("In country} {city}", "closed and not nested"),
        ("A photo[ in {country}", "closed and not nested"),
        ("A photo[ in [{country}]]", "closed and not nested"),
        ("A photo] in {country}", "closed and not nested"),
        ("In {[city]}", "closed and not nested"),
    ],
)
def test_bad_templates(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaptionTemplate(template)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=8)))
def test_captions_hold_only_what_is_known(place: dict[str, str]) -> None:
    caption = CaptionTemplate(STREETCLIP_CAPTION).caption(place)
    known = {field for field in FIELDS if place.get(field, "").strip()}
    if caption is None:
        assert not known - {"continent"}
        return
    assert set(caption.fields) <= known
    assert caption.text.startswith("A Street View photo ")
    assert caption.text.endswith(".")
    assert all(place[field].strip() in caption.text for field in caption.fields)
