"""Numbers for people."""

import math

from geocell.display.numbers import ABSENT, km_text, percent, share_text


def test_numbers_have_units_and_what_is_unknown_is_a_dash() -> None:
    assert percent(0.12345) == "12.3"
    assert share_text(1.0) == "100.0 %"
    assert share_text(0.5, (0.25, 0.75)) == "50.0 % [25.0, 75.0]"
    assert km_text(12345.67, (1.0, 20000.0)) == "12,345.7 km [1.0, 20,000.0]"
    assert share_text(None) == km_text(math.nan) == ABSENT
