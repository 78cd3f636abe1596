"""The allow-list of URLs: what a table names never decides which library opens it."""

from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.encoding import encode
from geocell.images.references import HTTP, STORES, any_http, is_http, join, scheme_of, url_refusal
from geocell.images.sources import FileImages, ParquetImages, TarImages
from geocell.views import read_views
from tests.encoding.tiny import TinyEncoder, noise

FOREIGN = [
    "reference://k0.jpg::http://host/gen.json",
    "REFERENCE://k0.jpg",
    "simplecache::s3://bucket/a.jpg",
    "s3://bucket/a.jpg::reference://b",
    "file:///a.zip::zip://b",
    "zip://a::file:///b.zip",
    "github://a:b@c/d.jpg",
    "ssh://host/a.jpg",
    "memory://a.jpg",
    "jar://a",
    "://a.jpg",
    "hf://datasets/a/b/c.jpg::reference://d",
]


@pytest.fixture
def fsspec_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> object:
        raise AssertionError("fsspec got a URL from a table")

    for name in ("open", "filesystem", "open_files"):
        monkeypatch.setattr(fsspec, name, refuse)
    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)


@pytest.mark.usefixtures("fsspec_is_not_touched")
@pytest.mark.parametrize("url", FOREIGN)
def test_other_schemes_and_chains_are_a_row_with_a_reason(tmp_path: Path, url: str) -> None:
    noise().save(tmp_path / "good.jpg")
    pd.DataFrame({"image": ["good.jpg", url], "lat": [1.0, 2.0], "lon": [3.0, 4.0]}).to_csv(tmp_path / "t.csv")
    cache = encode(tmp_path / "t.csv", TinyEncoder(), tmp_path / "c", workers=0)
    assert cache.views["status"].tolist()[0] == "ok"
    assert cache.views["status"].tolist()[1].endswith("are not opened")


@pytest.mark.usefixtures("fsspec_is_not_touched")
@pytest.mark.parametrize("url", FOREIGN)
def test_no_source_opens_them_whatever_names_them(tmp_path: Path, url: str) -> None:
    parquet.write_table(__import__("pyarrow").table({"image": [{"bytes": None, "path": url}]}), tmp_path / "p.parquet")
    for source, reference in (
        (FileImages(str(tmp_path)), url),
        (ParquetImages(str(tmp_path), "image"), "p.parquet::0"),
    ):
        with pytest.raises(OSError, match=r"are not opened$"):
            source.read(reference)
    for source, reference in (
        (FileImages(url), "a.jpg"),
        (TarImages(url), "a.tar::a.jpg@0+5"),
        (ParquetImages(url, "image"), "a.parquet::0"),
    ):
        with pytest.raises(OSError, match="are not opened"):
            source.read(reference)


@pytest.mark.usefixtures("fsspec_is_not_touched")
@pytest.mark.parametrize("url", FOREIGN)
def test_inputs_and_roots_are_refused_before_anything_is_read(tmp_path: Path, url: str) -> None:
    (tmp_path / "t.csv").write_text("image,lat,lon\na.jpg,1,2\n")
    for arguments in ({"path": url}, {"path": tmp_path / "t.csv", "root": url}):
        with pytest.raises(ValueError, match=r"expected a path or a URL of one of .*s3.*are not opened"):
            read_views(**arguments)


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_joined_is_a_path_or_has_an_allowed_scheme(root: str, name: str) -> None:
    path = join(root, name)
    if url_refusal(path):
        assert "://" in path
    else:
        assert scheme_of(path) in STORES | HTTP | {""}
        assert "://" not in path or is_http(path) or "::" not in path


def test_paths_may_hold_two_colons(tmp_path: Path) -> None:
    (tmp_path / "a::b.jpg").write_bytes(b"x")
    assert FileImages(str(tmp_path)).read("a::b.jpg") == b"x"


def test_a_root_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,lat,lon\na.jpg,1,2\n")
    for root in (tmp_path / "none", tmp_path / "t.csv"):
        with pytest.raises(FileNotFoundError, match=r"--root must be a folder that exists, got .*: check the path"):
            read_views(tmp_path / "t.csv", root=root)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            st.builds(
                "{}{}{}".format,
                st.sampled_from(["", " ", "\n", "a"]),
                st.sampled_from(["http", "HTTPS", "hTtPs", "http\u017f", "\u212attp", "httpx", "s3"]),
                st.sampled_from(["://", ":/", "://a", "://a://b"]),
            ),
        ),
        max_size=4,
    )
)
def test_many_references_are_told_as_each_is(texts: list[str]) -> None:
    assert any_http(pa.chunked_array([texts], pa.string())) == any(map(is_http, texts))
