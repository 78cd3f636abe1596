"""Texts that UTF-8 cannot hold."""

from pathlib import Path

from geocell.encoding import encode
from tests.encoding.tiny import TinyEncoder
from tests.worlds import make_image


def test_a_file_name_that_is_not_utf_8_costs_its_row_alone(tmp_path: Path) -> None:
    make_image(tmp_path / "good.jpg", 1, (48.1, 11.5))
    make_image(tmp_path / "other.jpg", 1, (48.1, 11.5))
    (tmp_path / "other.jpg").rename(tmp_path / "caf\udce9.jpg")
    cache = encode(tmp_path, TinyEncoder(), tmp_path / "c")
    assert cache.views[["image", "status"]].to_numpy().tolist() == [
        ["caf\\udce9.jpg", "its file name is not UTF-8"],
        ["good.jpg", "ok"],
    ]


def test_columns_of_mixed_types_and_texts_that_are_none_reach_the_cache(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", 1)
    rows = ['{"image": "a.jpg", "lat": 1, "lon": 2, "id": 7, "note": "\\ud800", "big": 123456789012345678901234}',
            '{"image": "a.jpg", "lat": 1, "lon": 2, "id": "x", "note": {"a": 1}}']  # fmt: skip
    (tmp_path / "t.jsonl").write_text("\n".join(rows))
    views = encode(tmp_path / "t.jsonl", TinyEncoder(), tmp_path / "c").views
    assert views["id"].tolist() == ["7", "x"]
    assert views["note"].tolist() == ["\\ud800", "{'a': 1}"]
    assert views["big"].tolist()[0] == "123456789012345678901234"
