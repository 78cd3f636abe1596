"""Encoding on many machines: Ray Data distributes shards and restarts failed actors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        actors: encoders at work; one per GPU of the cluster when omitted, or per two cores where it has no GPU.
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
    try:
        import ray as untyped_ray
        import ray.data as untyped_data
    except ImportError as error:
        raise ImportError('the engine ray needs its package: run `pip install "geocell-heads[ray]"`.') from error
    ray: Any = untyped_ray  # its annotations are not complete
    data: Any = untyped_data
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # lower levels are for its developers
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    actors = actors or gpus or max(1, int(resources.get("CPU", 1)) // 2)
    needs: dict[str, Any] = {"num_gpus": 1} if gpus else {"num_cpus": 1}
    folder = as_place(out)
    info = ray.get(ray.remote(**needs)(_info_of).remote(load))
    manifest, todo = create_or_resume(folder, table, info, shard_rows, retry)
    if todo:
        shards = (Shard.from_table(index, manifest, table) for index in todo)
        jobs = [
            {"index": s.index, "problems": _sparse(s.problems)} for s in shards
        ]  # what is in the cache is read there
        data.DataContext.get_current().enable_progress_bars = False
        done = data.from_items(jobs, override_num_blocks=len(jobs)).map_batches(
            _ShardActor,
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(actors, len(jobs))),
            fn_constructor_args=(
                str(folder),
                load,
                table.images,
                {"batch_size": batch_size, "workers": workers, "image_timeout": image_timeout},
                retry,
            ),
            **needs,
        )
        with reported_interrupt(folder, manifest):
            for _ in done.iter_rows():
                pass
    return finish_cache(folder, strict)


def _sparse(problems: Sequence[str]) -> str:
    """Return the problems of a shard as JSON: row -> why it has no image."""
    return json.dumps({str(row): text for row, text in enumerate(problems) if text})


def _info_of(load: Callable[[], Encoder]) -> Any:  # noqa: ANN401 - Ray does not type what comes back
    return load().info


class _ShardActor:
    """An encoder and its decoders on one machine of the cluster."""

    def __init__(
        self, folder: str, load: Callable[[], Encoder], source: ImageSource, options: Mapping[str, Any], retry: bool
    ) -> None:
        encoder = load()
        self._folder = as_place(folder)
        self._pool = DecodePool(Loader.from_probe(source, encoder.preprocess), **options)
        journal = Journal(self._folder, encoder.info.dim, retry=retry)
        self._encoder = ShardEncoder(encoder, self._pool, options["batch_size"], journal)

    def __call__(self, jobs: dict[str, Any]) -> dict[str, Any]:
        """Encode shards and write them; what goes back is their numbers."""
        shards = (self._shard(int(i), json.loads(p)) for i, p in zip(jobs["index"], jobs["problems"], strict=True))
        for shard in self._encoder.encode(shards):
            write_shard(self._folder, shard.index, shard.features, shard.problems)
            remove_partial(self._folder, shard.index)
        return {"index": jobs["index"]}

    def _shard(self, index: int, problems: dict[str, str]) -> Shard:
        """Return a shard whose images are those of the cache's table."""
        manifest = Manifest.read(self._folder)
        first, last = manifest.shard_range(index)
        with ViewsFile(self._folder / VIEWS_FILE, manifest.rows) as views:
            references = views.take(first, last, ["image"]).column("image").to_pylist()
        return Shard(index, references, [problems.get(str(row), "") for row in range(last - first)])
