"""Encoding on many machines: the shards of a cache are the pieces of work of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geocell.compute.cluster import RayCluster
from geocell.encoding.decode_pool import DecodePool
from geocell.encoding.engine import IMAGE_TIMEOUT, create_or_resume, finish_cache, reported_interrupt
from geocell.encoding.journal import Journal
from geocell.encoding.shard_encoder import Shard, ShardEncoder
from geocell.features import SHARD_ROWS, FeatureCache, Manifest, write_shard
from geocell.features.partials import remove_partial
from geocell.features.views_file import VIEWS_FILE, ViewsFile
from geocell.files import as_place
from geocell.images.loading import Loader
from geocell.images.sources import ImageSource
from geocell.views import Views

if TYPE_CHECKING:
    from geocell.encoders import Encoder
    from geocell.encoders.info import EncoderInfo


def encode_with_ray(  # noqa: PLR0913 - keywords with defaults
    table: Views,
    load: Callable[[], Encoder],
    out: Path | str,
    *,
    actors: int | None = None,
    batch_size: int = 32,
    workers: int = 0,
    shard_rows: int = SHARD_ROWS,
    image_timeout: float = IMAGE_TIMEOUT,
    retry: bool = False,
    strict: bool = False,
) -> FeatureCache:
    """Encode a table on the Ray cluster that this process is connected to, or on this machine.

    Every machine must reach the images and `out` under the same names: a shared disk, or object storage. A shard
    whose machine dies is encoded by another.

    Args:
        table: the views.
        load: loads the encoder; picklable, and called once per actor.
        out: folder of the cache.
        actors: encoders at work, at most one per GPU of the cluster, or per core where it has none; one per GPU when
            omitted, or per two cores.
        batch_size: images per call of the encoder.
        workers: processes that decode for each encoder; 0 decodes in threads.
        shard_rows: rows per shard.
        image_timeout: seconds that one image may take.
        retry: encode the shards again in which a view had a problem.
        strict: raise at the end when a view has no features.

    Raises:
        ImportError: when Ray is not installed.
        ValueError: see `encode`.
    """
    cluster = RayCluster(actors, gpus=True, cpus=2, unit="shard")
    folder = as_place(out).absolute()  # the current folder of actors may be another
    info = next(iter(cluster.results(partial(_info, load), [None])))
    manifest, todo = create_or_resume(folder, table, info, shard_rows, retry)
    shards = (Shard.from_table(index, manifest, table) for index in todo)
    jobs = [_Job(s.index, _sparse(s.problems)) for s in shards]  # what is in the cache is read there
    options = {"batch_size": batch_size, "workers": workers, "image_timeout": image_timeout}
    with reported_interrupt(folder, manifest):
        for _ in cluster.results(partial(ShardActor, str(folder), load, table.images, options, retry), jobs):
            pass
    return finish_cache(folder, strict)


class _Job(NamedTuple):
    """A shard, and why which of its rows have no image."""

    shard: int
    problems: dict[int, str]


def _sparse(problems: Sequence[str]) -> dict[int, str]:
    return {row: text for row, text in enumerate(problems) if text}


def _info(load: Callable[[], Encoder]) -> Callable[[None], EncoderInfo]:
    return lambda _: load().info


class ShardActor:
    """An encoder and its decoders on one machine of the cluster."""

    def __init__(
        self, folder: str, load: Callable[[], Encoder], source: ImageSource, options: Mapping[str, Any], retry: bool
    ) -> None:
        """Load an encoder for the shards of a cache; see `encode_with_ray`."""
        encoder = load()
        self._folder = as_place(folder)
        self._pool = DecodePool(Loader.from_probe(source, encoder.preprocess), **options)
        journal = Journal(self._folder, encoder.info.dim, retry=retry)
        self._encoder = ShardEncoder(encoder, self._pool, options["batch_size"], journal)

    def __call__(self, job: _Job) -> int:
        """Encode a shard and write it; return its number."""
        for shard in self._encoder.encode([self._shard(job)]):
            write_shard(self._folder, shard.index, shard.features, shard.problems)
            remove_partial(self._folder, shard.index)
        return job.shard

    def _shard(self, job: _Job) -> Shard:
        """Return a shard whose images are those of the cache's table."""
        manifest = Manifest.read(self._folder)
        first, last = manifest.shard_range(job.shard)
        with ViewsFile(self._folder / VIEWS_FILE, manifest.rows) as views:
            references = views.take(first, last, ["image"]).column("image").to_pylist()
        return Shard(job.shard, references, [job.problems.get(row, "") for row in range(last - first)])
