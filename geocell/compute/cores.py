"""How many CPU cores this process may use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_PROC = Path("/proc/self")


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity, and the CPU quotas of its control groups."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cores(_PROC)
    return max(1, allowed if quota is None else min(allowed, quota))


def cgroup_cores(proc: Path) -> int | None:
    """Return the least CPU quota of the control groups of a process, in cores, rounded up; None without a quota.

    A group has the quota of every group above it too, up to the one that is mounted. Both versions of control groups
    are read (cgroups(7); cpu.max in Documentation/admin-guide/cgroup-v2.rst, cpu.cfs_quota_us in
    Documentation/scheduler/sched-bwc.rst of the Linux kernel).

    Args:
        proc: folder of the process in /proc.
    """
    try:
        groups = (proc / "cgroup").read_text(encoding="utf-8", errors="surrogateescape")
        mounts = (proc / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # no Linux
        return None
    quotas = [
        quota
        for mount in _cpu_mounts(mounts)
        for folder in _folders(mount, groups)
        if (quota := _quota(folder, mount.version)) is not None
    ]
    return min(quotas, default=None)


class _Mount(NamedTuple):
    version: int
    root: str
    folder: Path


def _cpu_mounts(mountinfo: str) -> Iterator[_Mount]:
    """Yield the mounted hierarchies of control groups that limit CPU time (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if len(left) < 5 or len(right) < 3:
            continue
        root, folder = _unescaped(left[3]), Path(_unescaped(left[4]))
        if right[0] == "cgroup2":
            yield _Mount(2, root, folder)
        elif right[0] == "cgroup" and "cpu" in right[2].split(","):
            yield _Mount(1, root, folder)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _folders(mount: _Mount, groups: str) -> Iterator[Path]:
    """Yield the folder of the group that a process is in, and those of the groups above it."""
    path = None
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if (number == "0" and not controllers) if mount.version == 2 else "cpu" in controllers.split(","):
            path = name
    if path is None:
        return
    # In a container the path may be one of the host, outside of what is mounted: the mounted group is its own then.
    inside = PurePosixPath(path).is_relative_to(mount.root) and ".." not in PurePosixPath(path).parts
    relative = PurePosixPath(path).relative_to(mount.root) if inside else PurePosixPath()
    for parts in range(len(relative.parts), -1, -1):
        yield mount.folder.joinpath(*relative.parts[:parts])


def _quota(folder: Path, version: int) -> int | None:
    """Return the quota of one group in cores, rounded up; None where it has none."""
    try:
        if version == 2:
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
            )
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # "max", or a group that is gone
        return None
