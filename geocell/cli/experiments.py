"""Commands that set heads side by side."""

from __future__ import annotations

from pathlib import Path

from geocell.cli.output import cache_locations, emit


def compare(
    head_a: Path,
    head_b: Path,
    /,
    *,
    cache: Path,
    splits: Path | None = None,
    split: str = "test",
    decode: str = "centroid",
    json: bool = False,
) -> None:
    """Say how far two heads are apart on the same locations, and whether these can tell which is better.

    Args:
        head_a: folder of the first head.
        head_b: folder of the second head; its cells may be others.
        cache: feature cache.
        splits: splits.json; without it every location of the cache is compared.
        split: which split of it.
        decode: decoder, centroid or mean, for both.
        json: print one JSON object.
    """
    from geocell.comparison import compare as compare_heads
    from geocell.head_files import load_head

    a, b = load_head(head_a), load_head(head_b)
    locations = cache_locations(cache, splits, split)
    comparison = compare_heads(a, b, locations, decode, split if splits else "all")
    names = (str(head_a), str(head_b))
    result = {"head_a": names[0], "head_b": names[1], **comparison.to_dict(), "sentence": comparison.sentence(*names)}
    emit(result, comparison.text(*names), json)
