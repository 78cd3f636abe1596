"""Every kind of this package is under contract."""

from geocell.partitioners import (
    PARTITIONERS,
    H3AdaptivePartitioner,
    H3Partitioner,
    KDTreePartitioner,
    KMeansPartitioner,
    NUTSPartitioner,
    PolygonsPartitioner,
    QuadtreePartitioner,
    S2Partitioner,
    SemanticPartitioner,
)
from tests.partitioners.contract import *  # noqa: F403 - the tests
from tests.partitioners.contract import Example, distinct

EXAMPLES = {
    "h3": Example(lambda _points, _shapes, n: H3Partitioner(resolution=3, min_count=n), H3Partitioner),
    "kmeans": Example(
        lambda points, _shapes, n: KMeansPartitioner(k=min(4, distinct(points)), min_count=n),
        KMeansPartitioner,
        covers_the_earth=True,
        levels=False,
    ),
    "kdtree": Example(
        lambda _points, _shapes, n: KDTreePartitioner(max_count=3, min_count=n),
        KDTreePartitioner,
        covers_the_earth=True,
    ),
    "h3-adaptive": Example(
        lambda _points, _shapes, n: H3AdaptivePartitioner(max_count=4, min_resolution=0, max_resolution=4, min_count=n),
        H3AdaptivePartitioner,
        min_count_splits=True,
    ),
    "s2": Example(lambda _points, _shapes, n: S2Partitioner(max_count=3, max_level=12, min_count=n), S2Partitioner),
    "quadtree": Example(
        lambda _points, _shapes, n: QuadtreePartitioner(max_count=3, max_depth=6, min_count=n), QuadtreePartitioner
    ),
    "polygons": Example(
        lambda _points, shapes, n: PolygonsPartitioner(
            shapes, id_column="NUTS_ID", parent_column="COUNTRY", min_count=n
        ),
        PolygonsPartitioner,
    ),
    "semantic": Example(
        lambda _points, shapes, n: SemanticPartitioner(
            shapes, id_column="NUTS_ID", parent_column="COUNTRY", max_count=4, min_count=n
        ),
        SemanticPartitioner,
        min_count_splits=True,
    ),
    "nuts": Example(lambda _points, shapes, n: NUTSPartitioner(shapes, min_count=n), NUTSPartitioner),
}


def test_every_kind_is_under_contract() -> None:
    assert set(EXAMPLES) == set(PARTITIONERS)
    assert {kind: example.type for kind, example in EXAMPLES.items()} == PARTITIONERS
