"""Fitted partitions and their folders."""

from pathlib import Path

import numpy as np
import pytest

from geocell.partitioners import H3Partitioner, KDTreePartitioner, Partition

POINTS = np.random.default_rng(0).uniform([40, 0], [55, 20], (60, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    H3Partitioner(resolution=2).fit(POINTS).save(tmp_path / "cells")
    return tmp_path / "cells"


def test_geocell_info_alone_decodes_and_refuses_to_assign(folder: Path, tmp_path: Path) -> None:
    fitted = Partition.load(folder)
    (folder / "partition.json").unlink()
    partition = Partition.load(folder)
    assert partition.kind == "centroids"
    assert not partition.can_assign
    assert fitted.can_assign
    assert partition.centroids.tolist() == fitted.centroids.tolist()
    assert partition.names == fitted.names
    assert partition.counts.tolist() == fitted.counts.tolist()
    for method in (partition.assign, partition.locate):
        with pytest.raises(ValueError, match=r"can only decode: it came from geocell_info\.json alone"):
            method(POINTS)
    partition.save(tmp_path / "again")
    again = Partition.load(tmp_path / "again")
    assert again.kind == "centroids"
    assert again.sha256 == partition.sha256


def test_existing_folder_is_kept_unless_asked(folder: Path) -> None:
    other = KDTreePartitioner(max_count=20).fit(POINTS)
    with pytest.raises(FileExistsError, match="exists"):
        other.save(folder)
    assert Partition.load(folder).kind == "h3"
    other.save(folder, overwrite=True)
    assert Partition.load(folder).kind == "kdtree"


def test_a_partition_replaces_no_head_and_no_other_folder(folder: Path, tmp_path: Path) -> None:
    """Both have the files of a partition, and more."""
    other = KDTreePartitioner(max_count=20).fit(POINTS)
    for name in ("model.safetensors", "notes.txt"):
        (folder / name).write_text("precious")
        with pytest.raises(FileExistsError, match=f"would delete {name}"):
            other.save(folder, overwrite=True)
        assert Partition.load(folder).kind == "h3"
        (folder / name).unlink()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("precious")
    with pytest.raises(FileExistsError, match=r"lacks geocell_info\.json, partition\.json"):
        other.save(tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "me.jpg").read_text() == "precious"


def test_write_into_a_folder_with_other_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    (tmp_path / "head/config.json").write_text("{}", encoding="utf-8")
    partition = Partition.load(folder)
    partition.write_into(tmp_path / "head")
    assert Partition.load(tmp_path / "head").sha256 == partition.sha256
    assert repr(partition) == f"<Partition h3: {len(partition)} cells, sha256 {partition.sha256[:12]}>"


def test_partition_needs_cells() -> None:
    with pytest.raises(ValueError, match="at least one cell and one row per cell"):
        Partition("centroids", (), (), np.empty((0, 2)), np.empty(0, dtype=np.int64), np.empty(0))
