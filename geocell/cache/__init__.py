"""Feature caches: what is in the folder, writing it shard by shard, reading it, checking it, joining several."""

from geocell.cache.manifest import SHARD_ROWS, Manifest, begin, require_cache_or_nothing
from geocell.cache.merging import merge_caches
from geocell.cache.opened import FeatureCache, finish
from geocell.cache.shards import shard_path, shard_problems, shard_version, write_shard
from geocell.cache.verification import verify_cache

__all__ = [
    "SHARD_ROWS",
    "FeatureCache",
    "Manifest",
    "begin",
    "finish",
    "merge_caches",
    "require_cache_or_nothing",
    "shard_path",
    "shard_problems",
    "shard_version",
    "verify_cache",
    "write_shard",
]
