"""What `cache verify` notices, and that no damaged file of a cache raises anything but a clean error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.cli import main
from geocell.features import FeatureCache, finish, merge_caches, unverifiable, verify_cache
from tests.features.damage import attempt
from tests.features.test_opened import fill


def change_views(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        frame = pd.read_parquet(folder / "views.parquet")
        change(frame).to_parquet(folder / "views.parquet", index=False, write_page_checksum=True)

    return spoil


def change_manifest(**values: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "cache.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return spoil


def append(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"\0\0") and None


SPOILED: dict[str, Callable[[Path], None]] = {
    r"views.parquet must have the hash": change_views(lambda f: f.assign(lat=f["lat"] + 0.5)),
    r"views.parquet must have the hash ": change_views(lambda f: f.assign(lat=-f["lat"])),
    r"views.parquet must have the hash .*rows or values": change_views(lambda f: f.iloc[::-1]),
    r"views.parquet must have the hash .*copy it": change_views(lambda f: f.assign(country="X")),
    r"views.parquet must have 10 views, got 9": change_views(lambda f: f.iloc[:9]),
    r"cache.json must have the hash": change_manifest(source="elsewhere.csv"),
    r"cache.json must have the hash ": change_manifest(table_sha256="0" * 64),
    r"features-00001.safetensors must hold 64 bytes of features, got 66": append("features-00001.safetensors"),
    r"features-00002.safetensors is missing": lambda folder: (folder / "features-00002.safetensors").unlink(),
}


@pytest.mark.parametrize("said", SPOILED)
def test_damages_are_noticed(tmp_path: Path, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "c"
    fill(folder, bad=(3,))
    assert verify_cache(folder) == []
    assert unverifiable(folder) == []
    assert FeatureCache.open(folder, verify=True).manifest.rows == 10
    SPOILED[said](folder)
    with pytest.raises(ValueError, match=said):
        raise ValueError(verify_cache(folder)[0])
    with pytest.raises(ValueError, match=said):
        FeatureCache.open(folder, verify=True)
    assert main(["cache", "verify", str(folder)]) == 1
    assert "must be intact" in capsys.readouterr().err


def test_merged_caches_are_verified_too(tmp_path: Path) -> None:
    fill(tmp_path / "a", bad=(3,))
    fill(tmp_path / "b", n=6)
    merge_caches([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    assert verify_cache(tmp_path / "m") == []
    change_views(lambda f: f.assign(lat=-f["lat"]))(tmp_path / "m")
    assert "must have the hash" in verify_cache(tmp_path / "m")[0]


def older(folder: Path) -> None:
    """Make a manifest what earlier versions wrote."""
    path = folder / "cache.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in value.items() if k not in {"views_sha256", "sha256"}}))


def test_caches_of_earlier_versions_say_what_cannot_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "c"
    fill(folder)
    older(folder)
    assert verify_cache(folder) == []
    assert [text.split()[1:6] for text in unverifiable(folder)] == [["was", "written", "without", "a", "hash"]]
    assert main(["cache", "verify", str(folder)]) == 0
    assert "not everything could be checked" in capsys.readouterr().out
    change_views(lambda f: f.assign(lat=-f["lat"]))(folder)
    assert len(unverifiable(folder)) == 2  # without a change, the hash of the table that was read is enough
    assert finish(folder).good.all()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caches") / "c"
    fill(folder, bad=(3,))
    return folder


@settings(max_examples=60)
@given(st.data())
def test_mutated_manifests_raise_clean_errors(cache: Path, data: st.DataObject) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(cache, Path(scratch) / "c"))
        value = json.loads((folder / "cache.json").read_text())
        target = value["encoder"] if data.draw(st.booleans()) else value
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
        (folder / "cache.json").write_text(json.dumps(value))
        attempt(folder)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["cache.json", "views.parquet", "features-00000.safetensors"]))
def test_mutated_bytes_raise_clean_errors(cache: Path, data: st.DataObject, name: str) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(cache, Path(scratch) / "c"))
        content = bytearray((folder / name).read_bytes())
        for _ in range(data.draw(st.integers(0, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(content))) if data.draw(st.booleans()) else len(content)
        (folder / name).write_bytes(content[:cut])
        attempt(folder)


@settings(max_examples=40)
@given(st.data())
def test_mutated_shard_headers_raise_clean_errors(cache: Path, data: st.DataObject) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(cache, Path(scratch) / "c"))
        path = folder / "features-00000.safetensors"
        whole = path.read_bytes()
        length = int.from_bytes(whole[:8], "little")
        value = json.loads(whole[8 : 8 + length])
        target = data.draw(st.sampled_from([value, value["features"], value["__metadata__"]]))
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
        header = json.dumps(value).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])
        attempt(folder)
