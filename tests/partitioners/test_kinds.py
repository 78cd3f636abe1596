"""Kinds of partition by name: the table, custom ones by `module:attribute`, and what a file can't do."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geocell.cli.app import main
from geocell.partitioners import H3Partitioner, KMeansPartitioner, Partition, make_partitioner
from geocell.partitioners.kinds import KINDS, partitioner_type, rule_type

POINTS = np.random.default_rng(5).uniform([40, 0], [55, 20], (60, 2))

STRIPES = '''
"""Cells that are stripes of latitude."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from geocell.geo.shapes import Geometries, box_polygons
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import RawAssignment, Rule


@dataclass(frozen=True, eq=False)
class StripesRule(Rule):
    n: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"stripe{i}" for i in range(self.n))

    @property
    def outside_rule(self) -> str:
        return "Every location is in a stripe."

    def locate(self, latlon: np.ndarray) -> RawAssignment:
        cells = np.minimum((latlon[:, 0] + 90) / 180 * self.n, self.n - 1).astype(np.int64)
        return RawAssignment(cells, np.zeros(len(cells), dtype=bool))

    def cell_polygons(self) -> Geometries:
        edges = np.linspace(-90, 90, self.n + 1)
        return box_polygons([(a, -180, b, 180) for a, b in zip(edges, edges[1:])])

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> "StripesRule":
        return cls(value["n"])


@dataclass(frozen=True)
class StripesPartitioner(Partitioner):
    """Stripes of latitude.

    Attributes:
        n: number of stripes.
    """

    kind: ClassVar[str] = "stripes"
    rule_type: ClassVar[type[Rule]] = StripesRule

    n: int = 18

    def make_rule(self, latlon: np.ndarray) -> StripesRule:
        return StripesRule(self.n)
'''


@pytest.fixture
def stripes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a custom partitioner in a module that can be imported."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "my_stripes.py").write_text(STRIPES)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "my_stripes", raising=False)
    return "my_stripes:StripesPartitioner"


def test_every_kind_of_the_table_is_what_it_says() -> None:
    assert {kind: partitioner_type(kind).kind for kind in KINDS} == {kind: kind for kind in KINDS}


def test_a_custom_kind_is_loaded_by_the_name_that_the_caller_gives(stripes: str, tmp_path: Path) -> None:
    partition = make_partitioner(stripes, {"n": 36}).fit(POINTS)
    partition.save(tmp_path / "cells")
    assert json.loads((tmp_path / "cells" / "partition.json").read_text())["kind"] == "stripes"
    for name in (stripes, partitioner_type(stripes)):
        again = Partition.load(tmp_path / "cells", partitioner=name)
        assert again.sha256 == partition.sha256
        assert again.assign(POINTS).tolist() == partition.assign(POINTS).tolist()
    again.save(tmp_path / "copy")
    assert (tmp_path / "copy/partition.json").read_bytes() == (tmp_path / "cells/partition.json").read_bytes()


def test_a_file_never_decides_what_is_imported(stripes: str, tmp_path: Path) -> None:
    make_partitioner(stripes, {}).fit(POINTS).save(tmp_path / "cells")
    del sys.modules["my_stripes"]
    with pytest.raises(ValueError, match=r"got kind 'stripes': pass --partitioner module:attribute"):
        Partition.load(tmp_path / "cells")
    path = tmp_path / "cells" / "partition.json"
    for kind in (stripes, "my_stripes", "os:system"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "kind": kind}))
        with pytest.raises(ValueError, match="pass --partitioner module:attribute"):
            Partition.load(tmp_path / "cells")
    assert "my_stripes" not in sys.modules


def test_another_partitioner_than_the_files_is_refused(stripes: str, tmp_path: Path) -> None:
    make_partitioner(stripes, {}).fit(POINTS).save(tmp_path / "cells")
    with pytest.raises(ValueError, match="can't be read by KMeansPartitioner, whose kind is 'kmeans'"):
        Partition.load(tmp_path / "cells", partitioner=KMeansPartitioner)
    H3Partitioner(2).fit(POINTS).save(tmp_path / "h3")
    assert Partition.load(tmp_path / "h3", partitioner=stripes).kind == "h3"  # a kind that needs no name


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("no_such_module:X", ImportError, "expected a partitioner at no_such_module:X"),
        ("math:X", ImportError, "expected a partitioner at math:X"),
        (":X", ImportError, "expected a partitioner at :X"),
        (".math:pi", ImportError, "expected a partitioner at .math:pi"),
        ("math:pi", ValueError, "math:pi must be a Partitioner"),
        ("hexagons", ValueError, "must be one of h3, kmeans"),
    ],
)
def test_bad_names(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        partitioner_type(name)
    with pytest.raises(error, match=message):
        rule_type("stripes", name)


def test_a_partition_that_could_not_be_loaded_again_is_not_saved(stripes: str, tmp_path: Path) -> None:
    found = partitioner_type(stripes)
    local = type("Local", (found,), {"__module__": "my_stripes"})
    with pytest.raises(ValueError, match="Local of my_stripes has no name that another program can import"):
        local().fit(POINTS).save(tmp_path / "cells")
    taken = type("Taken", (found,), {"kind": "h3"})
    with pytest.raises(ValueError, match="'h3' is taken"):
        taken().fit(POINTS).save(tmp_path / "cells")
    assert not (tmp_path / "cells").exists()


def test_a_partitioner_of_a_script_is_refused_at_save(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(STRIPES + "\nimport sys\nStripesPartitioner().fit([[1.0, 2.0]]).save(sys.argv[1])\n")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cells")], capture_output=True, text=True, check=False
    )
    assert "ValueError: a partition of kind 'stripes' could not be loaded again" in done.stderr
    assert "StripesPartitioner of __main__" in done.stderr
    assert not (tmp_path / "cells").exists()


def test_the_command_fits_and_reads_a_custom_kind(
    stripes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "places.csv"
    table.write_text("lat,lon\n" + "".join(f"{lat},{lon}\n" for lat, lon in POINTS))
    out, map_ = str(tmp_path / "cells"), str(tmp_path / "cells.geojson")
    assert main(["partition", stripes, "--table", str(table), "--out", out, "--n", "36", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["n"] == 36
    assert main(["export", out, map_]) == 1
    assert "pass --partitioner module:attribute" in capsys.readouterr().err
    assert main(["export", out, map_, "--partitioner", stripes]) == 0
    assert len(json.loads(Path(map_).read_text())["features"]) == len(Partition.load(out, stripes))
    assert main(["partition", "no_such_module:X", "--table", str(table), "--out", out]) == 2
    assert "expected a partitioner at no_such_module:X" in capsys.readouterr().err


def test_a_head_on_cells_of_a_custom_kind_is_loaded_by_name(stripes: str, tmp_path: Path) -> None:
    from geocell.heads.ensemble import Ensemble, load_ensemble
    from geocell.heads.fit_config import FitConfig
    from geocell.heads.head import load_head
    from geocell.training.fit import fit_head
    from tests.training.test_fit import world

    train = world(40, 0)
    cells = make_partitioner(stripes, {"n": 12}).fit(train.latlon)
    head = fit_head(train, None, cells, FitConfig(epochs=1, device="cpu"))
    head.save(tmp_path / "head")
    with pytest.raises(ValueError, match="pass --partitioner module:attribute"):
        load_head(tmp_path / "head")
    again = load_head(tmp_path / "head", partitioner=stripes)
    assert again.sha256 == head.sha256
    again.save(tmp_path / "copy")
    Ensemble((head, again)).save(tmp_path / "both")
    assert len(load_ensemble(tmp_path / "both", partitioner=stripes).heads) == 2


def test_a_head_that_could_not_be_loaded_again_is_not_saved(stripes: str, tmp_path: Path) -> None:
    from geocell.heads.fit_config import FitConfig
    from geocell.training.fit import fit_head
    from tests.training.test_fit import world

    train = world(40, 0)
    local = type("Local", (partitioner_type(stripes),), {"__module__": "my_stripes"})
    head = fit_head(train, None, local().fit(train.latlon), FitConfig(epochs=1, device="cpu"))
    with pytest.raises(ValueError, match="has no name that another program can import"):
        head.save(tmp_path / "head")
    assert [path.name for path in tmp_path.iterdir()] == ["modules"]
