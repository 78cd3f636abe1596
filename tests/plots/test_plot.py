"""One function draws the cells of whatever has some."""

from pathlib import Path

import pytest
from PIL import Image

import geocell as gc
from tests.heads.test_head import make_head


def test_a_head_is_drawn_as_its_partition(tmp_path: Path) -> None:
    head = make_head()
    assert gc.plot(head, tmp_path / "head.svg") == tmp_path / "head.svg"
    gc.plot(head.partition, str(tmp_path / "cells.svg"))
    assert (tmp_path / "head.svg").read_bytes() == (tmp_path / "cells.svg").read_bytes()


def test_the_suffix_says_what_is_written(tmp_path: Path) -> None:
    cells = make_head().partition
    with Image.open(gc.plot(cells, tmp_path / "cells.png", bbox=(30, -20, 70, 40))) as picture:
        assert picture.format == "PNG"
    assert gc.plot(cells, tmp_path / "cells.html").read_text().startswith("<!")
    with pytest.raises(ValueError, match=r"\.png"):
        gc.plot(cells, tmp_path / "cells.pdf")
    with pytest.raises(ValueError, match="south"):
        gc.plot(cells, tmp_path / "cells.png", bbox=(70, -20, 30, 40))
