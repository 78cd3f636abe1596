"""What the kill harness runs: a small world, and for each command how it is called and what it must leave."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.imagetext.models import make_image_text
from tests.worlds import make_image

Words = tuple[str, ...]
TINY = "tests.encoding.tiny:TinyEncoder"
REPO = "me/head"
_KNOWN = f"--encoder me/tiny --revision {'1' * 40} --pooling pooler_output --image-size 32 --processor none"
_SWEEP = """
[sweep]
partitions = ["coarse", "fine"]
[fit]
epochs = 2
[configs.plain]
[configs.distance]
init = "plain"
epochs = 1
haversine = 0.01
"""


def _words(text: str) -> Words:
    return tuple(text.split())


@dataclass(frozen=True)
class Variant:
    """A state of the disk in which a command is started.

    Attributes:
        name: "new", or what is there.
        words: the command line; `{w}` is the folder of the world.
        before: command lines that make what is there.
        half: whether the last of them is killed half-way.
        keeps: whether what is there has to stay until the new result is whole.
        pushed: whether the repository has an earlier head.
    """

    name: str
    words: Words
    before: tuple[Words, ...] = ()
    half: bool = False
    keeps: bool = True
    pushed: bool = False


@dataclass(frozen=True)
class Replacement:
    """What another command replaces while this one reads it.

    Attributes:
        read: what is read and replaced, in the work folder.
        words: the reader's command line.
        other: that of the command that replaces it.
        copies: folder in the work folder -> folder of the world that is copied there first.
    """

    read: str
    words: Words
    other: Words
    copies: Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """A command under test.

    Attributes:
        name: of the command.
        variants: how it is started.
        units: patterns of files and folders that are as before or as after a whole run, at any moment.
        read: pattern -> what reads it; after a kill, whatever is there must be readable.
        state: file whose presence makes the next run one with `--resume`.
        copies: folder in the work folder -> folder of the world that is copied there first.
        masks: pattern of files -> regular expression of what may differ in them from run to run.
        replacement: what is replaced while the command reads it, if that is tried.
    """

    name: str
    variants: tuple[Variant, ...]
    units: tuple[str, ...]
    read: Mapping[str, Callable[[Path], object]]
    state: str = ""
    copies: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, str] = field(default_factory=dict)
    replacement: Replacement | None = None

    def again(self, words: Sequence[str], work: Path) -> list[str]:
        """Return the command line of the run that follows an interrupted one."""
        resumes = bool(self.state) and (work / self.state).is_file()
        plain = [word for word in words if word != "--resume"]
        return [*plain, "--resume"] if resumes else plain


def _table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def make_world(world: Path, run: Callable[[Words], object]) -> None:
    """Fill a folder with what commands read: photographs, features, splits, cells, heads, a CLIP."""
    rng = np.random.default_rng(0)
    n, dim = 300, 8
    latlon = np.round(np.stack((rng.uniform(40, 60, n), rng.uniform(0, 20, n)), axis=1), 5)
    features = np.concatenate((latlon / 5, rng.normal(size=(n, dim - 2))), axis=1).astype(np.float32)
    np.save(world / "features.npy", features)
    named = [(f"v{i}", *latlon[i], f"loc{i:03d}") for i in range(n)]
    _table(world / "views.csv", "file_name,latitude,longitude,location", named)
    for part in range(2):
        rows = slice(part * n // 2, (part + 1) * n // 2)
        np.save(world / f"part{part}.npy", features[rows])
        _table(world / f"part{part}.csv", "file_name,latitude,longitude,location", named[rows])
    photos = []
    for i in range(32):
        make_image(world / "img" / f"{i}.jpg", i)
        place = ("Lyon", "France") if i % 2 else ("Osaka", "Japan")
        photos.append((f"img/{i}.jpg", *latlon[i], f"loc{i:03d}", *place))
    _table(world / "photos.csv", "file_name,latitude,longitude,location,city,country", photos)
    for name, k in (("coarse", 4), ("fine", 9)):
        (world / "partitions" / name).mkdir(parents=True)
        (world / "partitions" / name / "recipe.toml").write_text(f'[partition]\nkind = "kmeans"\nk = {k}\n')
    (world / "sweep.toml").write_text(_SWEEP)
    make_image_text(world / "clip")
    for name in ("features", "part0", "part1"):
        table = "views" if name == "features" else name
        run(_words(f"cache import {name}.npy {table}.csv {_KNOWN} --out caches/{name}"))
    run(_words("split caches/features --out splits.json --fractions 0.6 0.2 0.2"))
    source = "--cache caches/features --splits splits.json"
    run(_words(f"partition kmeans --k 9 {source} --out cells"))
    for number in range(2):
        fit = f"fit-head {source} --partition cells --out heads/{number} --epochs 3 --seed {number} --device cpu"
        run(_words(fit))
    run(_words(f"encode photos.csv --encoder {TINY} --out caches/photos --workers 0"))


def _cache(path: Path) -> object:
    from geocell.features import FeatureCache, Manifest

    manifest = Manifest.read(path)
    return None if manifest.missing(path) else FeatureCache.open(path, verify=True)


def _begun(path: Path) -> object:
    """Read a cache that may be in progress, in which the manifest comes first."""
    return _cache(path) if (path / "views.parquet").is_file() and not _pending(path) else None


def _pending(path: Path) -> bool:
    import pyarrow.parquet as pq

    return "pending" in pq.read_table(path / "views.parquet", columns=["status"])["status"].to_pylist()


def _head(path: Path) -> object:
    from geocell.heads.head import load_head

    return load_head(path)


def _partition(path: Path) -> object:
    from geocell.partitioners.base import Partition

    return Partition.load(path)


def _splits(path: Path) -> object:
    from geocell.splits.splits import Splits

    return Splits.load(path)


def _json(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


def _tensors(path: Path) -> object:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return list(file.keys())


def _clip(path: Path) -> object:
    from geocell.pretraining.clip_model import ClipModel

    return ClipModel.load(str(path))


def _two(new: str, old: str) -> tuple[Variant, ...]:
    """Return a command that makes something new, and one that replaces what another call of it made."""
    return (
        Variant("new", _words(new)),
        Variant("replaced", _words(f"{new} --overwrite"), (_words(old),)),
    )


_SOURCE = "--cache {w}/caches/features --splits {w}/splits.json"
_ENCODE = f"encode {{w}}/photos.csv --encoder {TINY} --out out/cache --batch-size 2 --shard-rows 4 --workers 0"
_FIT = f"fit-head {_SOURCE} --partition {{w}}/cells --out out/head --epochs 6 --device cpu"
_REFIT = _FIT.replace("out/head", "head") + " --seed 5 --overwrite"
_KMEANS = f"partition kmeans {_SOURCE} --out out/cells"
_SPLIT = "split {w}/caches/features --out out/splits.json"
_SWEEPS = f"sweep {{w}}/sweep.toml {_SOURCE} --out out/sweep --jobs 1 --device cpu"
_IMPORT = "cache import {w}/features.npy {w}/views.csv --out out/cache"
_MERGE = "cache merge {w}/caches/part0 {w}/caches/part1 --out out/cache"
_OLD_CACHE = "cache import {w}/part0.npy {w}/part0.csv --encoder tiny --out out/cache"
_SCORE = f"score head {_SOURCE}"
_CALIBRATE = f"calibrate head {_SOURCE}"
_PRETRAIN = (
    "pretrain --train {w}/photos.csv --model {w}/clip --out out/clip --device cpu --epochs 2 --batch 8 --lr 1e-3 "
    "--workers 0"
)
_COMBINE = f"combine {{w}}/heads/0 {{w}}/heads/1 --out out/both {_SOURCE}"

CASES = (
    Case(
        "encode",
        (
            Variant("new", _words(_ENCODE)),
            Variant("half", _words(_ENCODE), (_words(_ENCODE),), half=True),
            Variant("replaced", _words(f"{_ENCODE} --overwrite"), (_words(_ENCODE),), keeps=False),
        ),
        ("out/cache/features-*", "out/cache/cache.json"),
        {"out/cache": _begun},
    ),
    Case(
        "fit-head",
        (
            *_two(_FIT, _FIT.replace("--epochs 6", "--epochs 1 --seed 1")),
            Variant("half", _words(f"{_FIT} --resume"), (_words(_FIT),), half=True),
        ),
        ("out/head",),
        {"out/head": _head, "out/head.fit": _tensors},
        state="out/head.fit",
        replacement=Replacement(
            "cells",
            _words(_FIT.replace("{w}/cells", "cells")),
            _words(f"partition kmeans {_SOURCE} --out cells --k 5 --overwrite"),
            {"cells": "cells"},
        ),
    ),
    Case(
        "partition",
        _two(f"{_KMEANS} --k 9", f"{_KMEANS} --k 5"),
        ("out/cells",),
        {"out/cells": _partition},
    ),
    Case(
        "split",
        _two(f"{_SPLIT} --seed 0", f"{_SPLIT} --seed 1"),
        ("out/splits.json",),
        {"out/splits.json": _splits},
    ),
    Case(
        "sweep",
        (
            Variant("new", _words(_SWEEPS)),
            Variant("half", _words(_SWEEPS), (_words(_SWEEPS),), half=True),
        ),
        ("out/sweep/sweep.json", "out/sweep/partitions/*", "out/sweep/heads/*"),
        {"out/sweep/partitions/*": _partition, "out/sweep/heads/*": _head},
    ),
    Case("cache import", _two(f"{_IMPORT} --encoder tiny", _OLD_CACHE), ("out/cache",), {"out/cache": _cache}),
    Case(
        "cache merge",
        _two(_MERGE, _OLD_CACHE),
        ("out/cache",),
        {"out/cache": _cache},
        replacement=Replacement(
            "part0",
            _words(_MERGE.replace("{w}/caches/part0", "part0")),
            _words(f"cache import {{w}}/part1.npy {{w}}/part0.csv {_KNOWN} --out part0 --overwrite"),
            {"part0": "caches/part0"},
        ),
    ),
    Case(
        "score",
        (
            Variant("new", _words(_SCORE)),
            Variant("replaced", _words(f"{_SCORE} --decode mean"), (_words(_SCORE),)),
            Variant("other split", _words(f"{_SCORE} --split val")),
            Variant("file", _words(f"{_SCORE} --out out/s.json")),
            Variant("replaced file", _words(f"{_SCORE} --decode mean --out out/s.json --overwrite"),
                    (_words(f"{_SCORE} --out out/s.json"),)),
        ),
        ("head/scores*.json", "head/README.md", "head/config.json", "head/hashes.json", "out/s.json"),
        {"head": _head, "head/scores*.json": _json, "out/s.json": _json},
        copies={"head": "heads/0"},
        replacement=Replacement("head", _words(_SCORE), _words(_REFIT), {"head": "heads/0"}),
    ),
    Case(
        "calibrate",
        (
            Variant("new", _words(_CALIBRATE)),
            Variant("replaced", _words(f"{_CALIBRATE} --places"), (_words(f"{_CALIBRATE} --knn"),)),
            Variant("removed", _words(f"{_CALIBRATE} --without-region"), (_words(f"{_CALIBRATE} --knn"),)),
        ),
        ("head",),
        {"head": _head},
        copies={"head": "heads/0"},
        replacement=Replacement("head", _words(_CALIBRATE), _words(_REFIT), {"head": "heads/0"}),
    ),
    Case(
        "push",
        (
            Variant("new", _words(f"push head {REPO} --license mit")),
            Variant("replaced", _words(f"push head {REPO} --license mit"), pushed=True),
        ),
        ("hub",),
        {"head": _head},
        copies={"head": "heads/0"},
    ),
    Case(
        "pretrain",
        (
            *_two(_PRETRAIN, _PRETRAIN.replace("--epochs 2", "--epochs 1 --seed 1")),
            Variant("half", _words(f"{_PRETRAIN} --resume"), (_words(_PRETRAIN),), half=True),
        ),
        ("out/clip",),
        {"out/clip": _clip, "out/clip.pretrain": _tensors},
        state="out/clip.pretrain",
    ),
    Case("combine", _two(_COMBINE, f"{_COMBINE} --pool linear"), ("out/both",), {}),
)  # fmt: skip
"""The commands, in the order of the table."""
