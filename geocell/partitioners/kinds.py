"""The kinds of partition by name, which keeps the imports free of circles; custom kinds as `module:attribute`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import ClassVar, Protocol

from geocell.files import import_attribute
from geocell.partitioners.rule import Rule


class Kind(Protocol):
    """What makes a class a kind of partition; `Partitioner` has it."""

    kind: ClassVar[str]
    rule_type: ClassVar[type[Rule]]


KINDS: dict[str, str] = {
    "h3": "h3:H3Partitioner",
    "kmeans": "kmeans:KMeansPartitioner",
    "kdtree": "kdtree:KDTreePartitioner",
    "h3-adaptive": "h3_adaptive:H3AdaptivePartitioner",
    "s2": "s2:S2Partitioner",
    "quadtree": "quadtree:QuadtreePartitioner",
    "polygons": "polygons:PolygonsPartitioner",
    "semantic": "semantic:SemanticPartitioner",
    "nuts": "nuts:NUTSPartitioner",
}
"""Kind -> its partitioner: the module of this package, and the name in it. A new kind is its file and a line here."""


def partitioner_type(kind: str) -> type[Kind]:
    """Return the partitioner of a kind of `KINDS`, or of `module:attribute`.

    Raises:
        ValueError: for a kind that is neither, or an attribute that is no partitioner.
        ImportError: when there is no such module or attribute.
    """
    if kind in KINDS:
        module, name = KINDS[kind].split(":")
        found: type[Kind] = getattr(import_module(f"geocell.partitioners.{module}"), name)
        return found
    if ":" not in kind:
        raise ValueError(
            f"the kind of a partition must be one of {', '.join(KINDS)}, or module:attribute, got {kind!r:.100}."
        )
    return _own(kind)


def _own(name: str) -> type[Kind]:
    found = import_attribute(name, "a partitioner")
    rule = getattr(found, "rule_type", None)
    if not (isinstance(found, type) and isinstance(getattr(found, "kind", None), str) and _is_rule(rule)):
        raise ValueError(f"{name} must be a Partitioner with a kind and a rule_type of its own, got {found!r}.")
    own: type[Kind] = found
    return own


def _is_rule(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Rule)


def rule_type(kind: str, partitioner: str | type[Kind] | None = None) -> type[Rule]:
    """Return the class that reads the rule of a kind of partition from its JSON.

    Args:
        kind: what a file says. It never decides which code is imported: it is one of `KINDS`, or that of `partitioner`.
        partitioner: class or `module:attribute` of a custom kind, named by the caller.

    Raises:
        ValueError: when the kind is neither of `KINDS` nor that of `partitioner`.
        ImportError: when there is no such module or attribute.
    """
    if kind in KINDS:
        return partitioner_type(kind).rule_type
    if partitioner is None:
        raise ValueError(
            f"expected a partition of kind {', '.join(KINDS)}, got kind {kind!r:.100}: pass --partitioner "
            "module:attribute if it is a custom kind whose module you trust, or use the geocell version that wrote it."
        )
    own = partitioner_type(partitioner) if isinstance(partitioner, str) else partitioner
    if own.kind != kind:
        raise ValueError(
            f"a partition of kind {kind!r:.100} can't be read by {own.__name__}, whose kind is {own.kind!r}."
        )
    return own.rule_type


def require_loadable(kind: str, rule: type[Rule], partitioner: type[Kind] | None) -> None:
    """Refuse a partition that could not be loaded again, before it is saved.

    Args:
        kind: its kind.
        rule: the class of its rule.
        partitioner: what made it, None when that is not known.

    Raises:
        ValueError: when the kind is in `KINDS` and of another class, or the partitioner can't be imported by name.
    """
    if kind in KINDS:
        if partitioner_type(kind).rule_type is not rule:
            raise ValueError(
                f"a custom kind of partition needs a name of its own, and {kind!r} is taken: rename that of "
                f"{rule.__name__}."
            )
        return
    own = partitioner
    if own is None or own.kind != kind or own.rule_type is not rule:
        raise ValueError(
            f"a partition of kind {kind!r} could not be loaded again: fit it with a Partitioner whose kind and "
            "rule_type are its own."
        )
    module = sys.modules.get(own.__module__)
    if own.__module__ == "__main__" or getattr(module, own.__qualname__, None) is not own:
        raise ValueError(
            f"a partition of kind {kind!r} could not be loaded again: {own.__qualname__} of {own.__module__} has no "
            "name that another program can import; put it at the top level of a module of its own."
        )
