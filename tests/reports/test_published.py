"""Published scores as text and JSON."""

from geocell.evaluation.published import published_scores
from geocell.reports.published import published_json, published_text


def test_published_rows_say_that_they_are() -> None:
    text = published_text(published_scores("im2gps3k"))
    assert text.startswith("published, not measured here")
    assert "28.0" in text
    assert "–" in text  # no share within 1 km


def test_they_are_fractions_in_json() -> None:
    rows = published_scores("im2gps3k")
    found = published_json(rows)
    assert [row["model"] for row in found] == [row.model for row in rows]
    assert found[0]["within"] == {str(radius): share for radius, share in rows[0].within.items()}
    assert all(0 < share < 1 for row in found for share in row["within"].values())
