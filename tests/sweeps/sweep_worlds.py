"""A small world to sweep over: a cache whose features tell roughly where they are, splits, partitions, a sweep file."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from geocell.encoding import import_features
from geocell.splits.splits import Splits
from geocell.sweeps.plan import SweepConfig
from geocell.sweeps.results import SweepResult
from geocell.sweeps.run import sweep
from geocell.views import read_views
from tests.worlds import INFO

ONE = SweepConfig(jobs=1, device="cpu")
SWEEP = """
[sweep]
partitions = ["coarse", "fine"]
seeds = [0, 1]
[fit]
epochs = 3
[configs.ce]
[configs.distance]
init = "ce"
epochs = 2
haversine = 0.01
"""


def make_world(folder: Path, same_place: Mapping[str, str] = MappingProxyType({})) -> Path:
    """Fill a folder with a cache, splits, three partitions and a sweep file; return it.

    Args:
        folder: to fill.
        same_place: location -> the one whose coordinates it has.
    """
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, 90), rng.uniform(0, 20, 90)), axis=1)
    for one, other in same_place.items():
        latlon[int(one[3:])] = latlon[int(other[3:])]
    features = np.concatenate((latlon / 5, rng.normal(size=(90, INFO.dim - 2))), axis=1).astype(np.float32)
    rows = [f"v{i},{lat:.5f},{lon:.5f},loc{i:03d}" for i, (lat, lon) in enumerate(latlon)]
    (folder / "photos.csv").write_text("\n".join(["file_name,latitude,longitude,location", *rows]) + "\n")
    np.save(folder / "features.npy", features)
    table = read_views(folder / "photos.csv", images_optional=True)
    import_features(folder / "features.npy", folder / "cache", table=table, encoder=INFO)
    ids = [f"loc{i:03d}" for i in range(90)]
    Splits({"train": tuple(ids[:50]), "val": tuple(ids[50:65]), "test": tuple(ids[65:])}).save(folder / "splits.json")
    for name, k in (("coarse", 4), ("fine", 9), ("impossible", 900)):
        (folder / "partitions" / name).mkdir(parents=True)
        (folder / "partitions" / name / "recipe.toml").write_text(f'[partition]\nkind = "kmeans"\nk = {k}\n')
    (folder / "sweep.toml").write_text(SWEEP)
    return folder


def run(world: Path, out: Path, config: SweepConfig = ONE, recipe: str = "sweep.toml") -> SweepResult:
    return sweep([world / recipe], world / "cache", world / "splits.json", out, config)


def weights(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(out.glob("heads/*/model.safetensors"))}
