"""Damaged and hostile tables: whatever a file holds, reading it gives views or one clean error."""

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.views import ColumnNames, read_views
from geocell.views.presets import PRESETS

FRAME = pd.DataFrame(
    {"image": ["a", "b", "c"], "lat": [1.5, 2, 3], "lon": [3, 4.5, 6], "location": ["x", "y", "z"], "n": [1, None, 3]}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "image",
        "lat",
        "lon",
        "latitude",
        "location",
        "heading",
        "geometry",
        "computed_geometry",
        "problem",
        "status",
        "x",
    ]
) | st.text(max_size=4)
POINTS = st.fixed_dictionaries({"type": st.just("Point"), "coordinates": JSON})


def write(folder: Path, kind: str) -> Path:
    path = folder / f"t.{kind}"
    if kind == "parquet":
        FRAME.to_parquet(path, index=False)
    elif kind == "jsonl":
        FRAME.to_json(path, orient="records", lines=True)
    else:
        FRAME.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    return path


@settings(max_examples=150)
@given(st.sampled_from(["csv", "tsv", "jsonl", "parquet"]), st.data())
def test_mutated_bytes_raise_clean_errors(kind: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = write(Path(folder), kind)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
        with suppress(ValueError):
            assert read_views(path).sha256


@settings(max_examples=150)
@given(st.lists(st.dictionaries(KEYS, JSON | POINTS, max_size=6) | JSON, min_size=1, max_size=4), st.booleans())
def test_whatever_json_lines_hold(records: list[object], good_too: bool) -> None:
    with TemporaryDirectory() as folder:
        good = [{"image": "a", "lat": 1, "lon": 2}] if good_too else []
        path = Path(folder) / "t.jsonl"
        path.write_text("\n".join(json.dumps(record) for record in [*good, *records]))
        for preset in (None, "mapillary", "kartaview", "mp16"):
            with suppress(ValueError):
                assert read_views(path, ColumnNames(preset=preset)).sha256  # type: ignore[arg-type]


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(PRESETS)),
    st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=4), min_size=1, max_size=3),
)
def test_whatever_tables_of_presets_hold(preset: str, rows: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        names = [PRESETS[preset].columns.name_of(role) or role for role in ("image", "lat", "lon")]  # type: ignore[index]
        frame = pd.DataFrame([dict(zip(names, row, strict=False)) for row in rows])
        frame.to_csv(Path(folder) / "t.csv", index=False, errors="replace")
        with suppress(ValueError):
            assert read_views(Path(folder) / "t.csv", ColumnNames(preset=preset)).sha256  # type: ignore[arg-type]


def test_geometry_of_other_forms_is_no_position(tmp_path: Path) -> None:
    shapes = [{"coordinates": [1.0, 2.0]}, {"coordinates": [1.0]}, {"coordinates": "ab"}, {"type": "Point"}, "x", None]
    shapes += [{"coordinates": [[1, 2], [3, 4]]}, {"coordinates": {"a": 1}}, 7, {"coordinates": [1, None]}]
    lines = [
        json.dumps({"thumb_2048_url": f"http://host/{i}.jpg", "geometry": shape}) for i, shape in enumerate(shapes)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    frame = read_views(tmp_path / "t.jsonl", ColumnNames(preset="mapillary")).frame
    assert frame["problem"].tolist() == [""] + ["no position"] * 9


@pytest.mark.parametrize("groups", [0, 1])
def test_a_parquet_file_without_rows(tmp_path: Path, groups: int) -> None:
    FRAME.iloc[:0].to_parquet(tmp_path / "t.parquet", row_group_size=groups or None)
    with pytest.raises(ValueError, match="at least one row"):
        read_views(tmp_path / "t.parquet")
