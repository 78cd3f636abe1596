"""The embedded default: a small synthetic Europe of street scenes, so that every stage can be tried without data."""

from geocell.quickstart.world import make_world

__all__ = ["make_world"]
