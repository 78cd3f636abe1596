"""What a report is made of."""

from geocell.reporting.measured import Measured


def test_it_says_of_what_it_is(made: Measured) -> None:
    percent = 100 * made.value["scores"]["balscore"]
    assert repr(made) == f"<Report of mine on 45 locations, balscore {percent:.1f} %>"
    assert made.to_dict() == made.value
    assert len(made.truth) == len(made.points) == len(made.distances_km) == 45
