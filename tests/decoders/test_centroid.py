"""The centroid of the most probable cell."""

from geocell.decoders.table import decode


def test_the_first_of_equals() -> None:
    assert decode("centroid", [[0.4, 0.4, 0.2]], [[48.1, 11.5], [-33.9, 151.2], [64.1, -21.9]]).tolist() == [
        [48.1, 11.5]
    ]
