"""A Ray cluster as the engine of work that comes in pieces; see `geocell.compute.engines`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from itertools import chain, count, islice
from typing import Any, TypeVar

from tqdm import tqdm

from geocell.compute.engines import work_on

A = TypeVar("A")
B = TypeVar("B")

_AHEAD = 2  # pieces per actor that are sent out: one that it works at, and one that waits for it
_RESTARTS = 8  # of an actor: a piece that kills whoever works at it must end the run


class RayCluster:
    """Actors of the Ray cluster that this process is connected to, or of one on this machine that is started.

    What an actor had begun when its machine died, another does, or the same after a restart. Actors stay, with what
    they loaded last, until this object is gone.
    """

    def __init__(self, actors: int | None = None, gpus: bool = False, cpus: int = 1, unit: str = "piece") -> None:
        """Start none yet.

        Args:
            actors: how many are at work, at most one per GPU of the cluster, or per core where GPUs are not used; when
                None one per GPU, or per `cpus`.
            gpus: whether each takes a GPU, where the cluster has any.
            cpus: cores of the cluster per actor, where that decides how many there are.
            unit: what a piece is called in the progress bar.

        Raises:
            ImportError: when Ray is not installed.
        """
        self._ray, self._unit, self._tasks = connected(), unit, count()
        resources = self._ray.cluster_resources()
        found = int(resources.get("GPU", 0)) if gpus else 0
        cores = int(resources.get("CPU", 1))
        room = found or max(1, cores)  # what is sent to an actor for which there is no room waits forever
        self._most = min(actors, room) if actors else found or max(1, cores // cpus)
        self._needs: dict[str, Any] = {"num_gpus": 1} if found else {"num_cpus": 1}
        self._actors: list[Any] = []

    def results(self, start: Callable[[], Callable[[A], B]], pieces: Iterable[A]) -> Iterator[B]:
        """Yield what a function returns for every piece, in their order; see `Engine.results`.

        Raises:
            RuntimeError: when actors die again and again.
            Exception: what the function raises.
        """
        waiting = iter(pieces)
        first = list(islice(waiting, self._most))
        if not first:
            return
        from ray.util import ActorPool  # Ray is there

        pool: Any = ActorPool(self._at_work(len(first)))
        shared, task = [self._ray.put(start)], next(self._tasks)  # in a list, Ray does not resolve it at every call

        def send(piece: A) -> None:
            pool.submit(lambda actor, value: actor.work.remote(task, shared, value), piece)

        total = len(pieces) if isinstance(pieces, Sized) else None
        with tqdm(total=total, unit=f" {self._unit}", disable=None) as bar:
            for piece in chain(first, islice(waiting, (_AHEAD - 1) * len(first))):
                send(piece)
            while pool.has_next():
                found = _next(self._ray, pool)
                for piece in islice(waiting, 1):
                    send(piece)
                bar.update()
                yield found

    def _at_work(self, n: int) -> list[Any]:
        """Return n actors, after starting those that are missing."""
        actor = self._ray.remote(max_restarts=_RESTARTS, max_task_retries=-1, **self._needs)(_Actor)
        self._actors += [actor.remote() for _ in range(n - len(self._actors))]
        return self._actors[:n]


def _next(ray: Any, pool: Any) -> Any:  # noqa: ANN401 - Ray's objects have no types
    """Return the next result; what a piece raised is raised as it was, without the report of the actor."""
    try:
        return pool.get_next()
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, Exception):
            raise cause from error
        raise
    except ray.exceptions.RayActorError as error:
        raise RuntimeError(
            f"a process of the cluster died {_RESTARTS} times over its work: see the logs of Ray for why, often there "
            "was too little memory."
        ) from error


class _Actor:
    """A process on one machine of the cluster."""

    def __init__(self) -> None:
        self._task, self._function = -1, None

    def work(self, task: int, shared: list[Any], piece: Any) -> Any:  # noqa: ANN401 - any
        """Return what a function returns for a piece.

        Args:
            task: number of the function.
            shared: the reference of what returns the function.
            piece: the piece.
        """
        if self._task != task:  # not at the start of the actor: what it raises has to reach the caller
            import ray

            untyped: Any = ray
            self._function = None  # its memory is needed
            self._function, self._task = untyped.get(shared[0])(), task
        function: Any = self._function
        return function(piece)


def connected() -> Any:  # noqa: ANN401 - Ray's objects have no types
    """Return Ray, connected to the cluster that `ray.init` or RAY_ADDRESS names, or to one started on this machine.

    Raises:
        ImportError: when it is not installed.
    """
    try:
        import ray as untyped
    except ImportError as error:
        raise ImportError('the engine ray needs its package: run `pip install "geocell-heads[ray]"`.') from error
    ray: Any = untyped  # its annotations are not complete
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    return ray


@contextmanager
def ray_cluster(actors: int | None = None, *, gpus: bool = True) -> Iterator[RayCluster]:
    """Let the machines of a Ray cluster fit partitions and score heads until the block ends.

    Inside the block `fit` of a partitioner, `assign`, `score` and their baselines send pieces of 65,536 locations or
    more to actors; whatever has fewer is done in this process. Every machine must reach a cache under the same name: on
    a shared disk or object storage. The results are the same.

    Args:
        actors: processes at work; at most and when omitted as many as the cluster has GPUs, or cores where it has none.
        gpus: whether each takes a GPU, where the cluster has any.

    Raises:
        ImportError: when Ray is not installed.
    """
    engine = RayCluster(actors, gpus)
    with work_on(engine):
        yield engine
