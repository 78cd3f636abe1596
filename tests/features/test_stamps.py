"""Stamps of caches tell whether another one has taken their place."""

from pathlib import Path

import pytest

from geocell.features.stamps import require_in_place, stamp_of
from tests.features.test_opened import fill


def test_a_stamp_is_of_one_folder_and_manifest(tmp_path: Path) -> None:
    fill(tmp_path / "c")
    fill(tmp_path / "d")
    stamp = stamp_of(tmp_path / "c")
    require_in_place(tmp_path / "c", stamp)
    assert stamp != stamp_of(tmp_path / "d")
    (tmp_path / "c" / "cache.json").unlink()
    assert stamp_of(tmp_path / "c") == ()
    with pytest.raises(ValueError, match=r"c was replaced by another cache"):
        require_in_place(tmp_path / "c", stamp)
