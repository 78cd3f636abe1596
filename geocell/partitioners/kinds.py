"""The kinds of partition, imported when one is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geocell.partitioners.rule import Rule

KINDS: dict[str, str] = {
    "h3": "h3.H3Partitioner",
    "h3-adaptive": "h3_adaptive.H3AdaptivePartitioner",
    "kdtree": "kdtree.KDTreePartitioner",
    "kmeans": "kmeans.KMeansPartitioner",
    "nuts": "nuts.NUTSPartitioner",
    "polygons": "polygons.PolygonsPartitioner",
    "quadtree": "quadtree.QuadtreePartitioner",
    "s2": "s2.S2Partitioner",
    "semantic": "semantic.SemanticPartitioner",
}
"""Kind -> its partitioner: the module of this package, and the name in it."""


def rule_type(kind: str) -> type[Rule]:
    """Return the class that reads the rule of a kind of `KINDS` from its JSON."""
    module, name = KINDS[kind].split(".")
    found: type[Rule] = getattr(import_module(f"geocell.partitioners.{module}"), name).rule_type
    return found
