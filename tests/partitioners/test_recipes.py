"""Partitioners by name and by recipe."""

from pathlib import Path

import pytest

from geocell.partitioners import (
    H3Partitioner,
    KDTreePartitioner,
    KMeansPartitioner,
    NUTSPartitioner,
    make_partitioner,
    partitioner_from_recipe,
)

RECIPES = Path(__file__).parents[2] / "partitions"


PUBLISHED = {
    "h3_res4_eu": (H3Partitioner(resolution=4), 1898),
    "k500_eu": (KMeansPartitioner(k=500), 487),
    "k1000_eu": (KMeansPartitioner(k=1000), 957),
    "k2000_eu": (KMeansPartitioner(k=2000), 1792),
    "k4000_eu": (KMeansPartitioner(k=4000), 3180),
    "kdtree19_eu": (KDTreePartitioner(max_count=19), 5444),
    "kdtree39_eu": (KDTreePartitioner(max_count=39), 2059),
    "kdtree78_eu": (KDTreePartitioner(max_count=78), 1029),
    "kdtree155_eu": (KDTreePartitioner(max_count=155), 515),
    "nuts3_eu": (NUTSPartitioner(Path("nuts.geojson"), level=3), 1194),
}


def test_every_published_partition_has_a_recipe() -> None:
    import tomllib

    assert {path.parent.name for path in RECIPES.glob("*/recipe.toml")} >= set(PUBLISHED)
    for name, (partitioner, cells) in PUBLISHED.items():
        path = RECIPES / name / "recipe.toml"
        shapes = {"shapes": "nuts.geojson"} if name.startswith("nuts") else {}
        assert partitioner_from_recipe(path, **shapes) == partitioner
        assert tomllib.loads(path.read_text(encoding="utf-8"))["published"] == {"cells": cells}


def test_overrides_win() -> None:
    assert partitioner_from_recipe(RECIPES / "k500_eu/recipe.toml", k=7, seed=3) == KMeansPartitioner(k=7, seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[partition]\nkind = "h3"\nresolutoin = 5\n', "has the parameters .*resolution.*, got also resolutoin"),
        ('[partition]\nkind = ["h3"]\n', "the kind of a recipe must be one of h3"),
        ('[partition]\nkind = "hex"\n', "must be one of h3, kmeans, .*, got 'hex'"),
        ('[partition]\nkind = "kmeans"\n', "KMeansPartitioner needs the parameter k:"),
        (
            '[partition]\nkind = "h3"\nresolution = 99\n',
            r"H3Partitioner: resolution must be an integer in \[0, 15\], got 99",
        ),
        ('[partition]\nkind = "os:system"\n', "got 'os:system': a custom partitioner is named on the command line"),
        ("[partition]\nresolution = 5\n", r"must have a table \[partition\] with a kind"),
        ('[partition]\nkind = "h3"\n[fit]\nepochs = 3\n', "must have tables among partition, published, got fit"),
        ("", "got none"),
        ("[partition\n", "must be TOML, got a syntax error"),
    ],
)
def test_bad_recipe(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        partitioner_from_recipe(tmp_path / "recipe.toml")
    assert str(caught.value).startswith(str(tmp_path / "recipe.toml"))


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="a recipe must be a TOML file"):
        partitioner_from_recipe(tmp_path / "recipe.toml")


def test_make_partitioner() -> None:
    assert make_partitioner("h3", {"resolution": 3, "min_count": 2}) == H3Partitioner(resolution=3, min_count=2)
