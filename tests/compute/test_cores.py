"""Usable cores: quotas of both versions of control groups, of the groups above, in containers and without any."""

import os
from pathlib import Path

import pytest

from geocell.compute import cores
from geocell.compute.cores import cgroup_cores, usable_cores


def process(tmp_path: Path, groups: str, mounts: str) -> Path:
    proc = tmp_path / "proc"
    proc.mkdir(exist_ok=True)
    (proc / "cgroup").write_text(groups)
    (proc / "mountinfo").write_text(mounts.replace("@", str(tmp_path)))
    return proc


def group(tmp_path: Path, path: str, **files: str) -> None:
    folder = tmp_path / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".", 1)).write_text(text + "\n")


V2 = "41 31 0:38 / @/cg rw,relatime - cgroup2 cgroup2 rw\n"
V1 = "32 31 0:29 / @/cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
V1 += "33 31 0:30 / @/cg/mem rw - cgroup cgroup rw,memory\n"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"cg/a/b": "150000 100000"}, 2),
        ({"cg/a/b": "max 100000"}, None),
        ({"cg/a": "400000 100000", "cg/a/b": "max 100000"}, 4),
        ({"cg/a": "100000 100000", "cg/a/b": "400000 100000"}, 1),
        ({"cg": "50000 100000"}, 1),
        ({"cg/other": "100000 100000"}, None),
        ({"cg/a/b": "nonsense"}, None),
        ({"cg/a/b": "100000 0"}, None),
        ({}, None),
    ],
)
def test_the_least_quota_of_nested_groups_counts(tmp_path: Path, limits: dict[str, str], expected: int | None) -> None:
    for path, text in limits.items():
        group(tmp_path, path, cpu__max=text)
    assert cgroup_cores(process(tmp_path, "0::/a/b\n", V2)) == expected


@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", None)])
def test_quotas_of_version_1(tmp_path: Path, quota: str, expected: int | None) -> None:
    group(tmp_path, "cg/cpu,cpuacct/job", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    group(tmp_path, "cg/mem/job", cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")  # of no meaning there
    groups = "9:name=systemd:/\n4:memory:/job\n1:cpu,cpuacct:/job\n0::/\n"
    assert cgroup_cores(process(tmp_path, groups, V1)) == expected


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    group(tmp_path, "cg/cpu,cpuacct", cpu__cfs_quota_us="600000", cpu__cfs_period_us="100000")
    group(tmp_path, "cg", cpu__max="500000 100000")
    assert cgroup_cores(process(tmp_path, "1:cpu:/\n0::/\n", V1 + V2)) == 5


def test_a_container_that_sees_the_path_of_its_host(tmp_path: Path) -> None:
    group(tmp_path, "cg", cpu__max="200000 100000")
    group(tmp_path, "cg/inner", cpu__max="100000 100000")
    own = "41 31 0:38 /docker/abc @/cg rw - cgroup2 cgroup2 rw\n"
    assert cgroup_cores(process(tmp_path, "0::/docker/abc/inner\n", own)) == 1
    assert cgroup_cores(process(tmp_path, "0::/docker/abc\n", own)) == 2
    assert cgroup_cores(process(tmp_path, "0::/elsewhere\n", own)) == 2
    assert cgroup_cores(process(tmp_path, "0::/../../x\n", V2)) == 2


def test_a_mount_point_with_a_space(tmp_path: Path) -> None:
    group(tmp_path, "c g", cpu__max="300000 100000")
    mounts = "41 31 0:38 / @/c\\040g rw - cgroup2 cgroup2 rw\nbroken line\n"
    assert cgroup_cores(process(tmp_path, "0::/\n", mounts)) == 3


def test_usable_cores_are_the_least_of_affinity_and_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    group(tmp_path, "cg", cpu__max="300000 100000")
    monkeypatch.setattr(cores, "_PROC", process(tmp_path, "0::/\n", V2))
    assert usable_cores() == 3
    group(tmp_path, "cg", cpu__max="6400000 100000")
    assert usable_cores() == 8
    monkeypatch.setattr(cores, "_PROC", tmp_path / "none")
    assert usable_cores() == 8
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
