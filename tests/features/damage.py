"""What every test of a damaged cache asks: reading it ends, and only with an error of our own."""

from pathlib import Path

from geocell.features import FeatureCache, finish, verify_cache


def attempt(folder: Path) -> None:
    """Read a cache in every way; any other error than a clean one leaves the test."""
    for read in (FeatureCache.open, verify_cache, finish):
        try:
            value = read(folder)
            if isinstance(value, FeatureCache):
                _ = value.features
                value.locations()
        except (ValueError, FileNotFoundError):
            continue
