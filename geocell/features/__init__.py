"""Feature caches: their folder format, writing shard by shard, reading, verifying, merging, joining."""

from geocell.features.joining import join_caches
from geocell.features.manifest import SHARD_ROWS, Manifest, begin, discard_cache, require_cache_or_nothing
from geocell.features.merging import merge_caches
from geocell.features.opened import FeatureCache, finish
from geocell.features.shards import shard_path, shard_problems, shard_version, write_shard
from geocell.features.verification import unverifiable, verify_cache

__all__ = [
    "SHARD_ROWS",
    "FeatureCache",
    "Manifest",
    "begin",
    "discard_cache",
    "finish",
    "join_caches",
    "merge_caches",
    "require_cache_or_nothing",
    "shard_path",
    "shard_problems",
    "shard_version",
    "unverifiable",
    "verify_cache",
    "write_shard",
]
