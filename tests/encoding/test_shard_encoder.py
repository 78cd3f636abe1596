"""Encoding of shards: rows through the decode pool and the encoder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.encoding.decode_pool import DecodePool
from geocell.encoding.journal import Journal
from geocell.encoding.shard_encoder import EncodedShard, Shard, ShardEncoder
from geocell.features import begin
from geocell.features.partials import read_partial
from geocell.images.loading import Loader
from geocell.images.sources import FileImages
from geocell.views import table_from_frame
from tests.encoding.tiny import SMALL, TinyEncoder, noise

N = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for row in range(N):
        noise(seed=row).save(tmp_path / f"{row}.png")
    (tmp_path / "cache").mkdir()
    return tmp_path


def shards(gone: tuple[int, ...] = ()) -> list[Shard]:
    names = [f"{row}.png" for row in range(N)]
    problems = ["no position" if row in gone else "" for row in range(N)]
    return [Shard(0, names[:4], problems[:4]), Shard(1, names[4:], problems[4:])]


def encoded(
    folder: Path, encoder: TinyEncoder, todo: list[Shard], progress: Callable[[int], object] = lambda _: None
) -> list[EncodedShard]:
    loader = Loader.from_probe(FileImages(str(folder)), encoder.preprocess)
    with DecodePool(loader, workers=0, batch_size=3, image_timeout=60) as pool:
        return list(ShardEncoder(encoder, pool, 3, Journal(folder / "cache", 8), progress).encode(todo))


def plain() -> np.ndarray:
    return TinyEncoder()(np.stack([SMALL(noise(seed=row)) for row in range(N)]))


def test_shards_come_in_order_with_the_features_of_their_rows(folder: Path) -> None:
    done: list[int] = []
    found = encoded(folder, TinyEncoder(), shards(), done.append)
    assert [shard.index for shard in found] == [0, 1]
    np.testing.assert_array_equal(np.concatenate([shard.features for shard in found]), plain())
    assert [shard.problems for shard in found] == [{}, {}]
    assert sum(done) == N


def test_rows_with_problems_are_nan_with_their_reason(folder: Path) -> None:
    (folder / "5.png").unlink()
    first, second = encoded(folder, TinyEncoder(), shards(gone=(0, 1, 2)))
    assert first.problems == {0: "no position", 1: "no position", 2: "no position"}
    assert second.problems == {1: "no such file"}
    expected = plain()
    expected[[0, 1, 2, 5]] = np.nan
    np.testing.assert_array_equal(np.concatenate([first.features, second.features]), expected)


@dataclass(frozen=True)
class Failing(TinyEncoder):
    """Fails at its fourth batch: the second of the second shard."""

    calls: list[int] = field(default_factory=list)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.calls.append(len(pixels))
        if len(self.calls) == 4:
            raise RuntimeError("out of memory")
        return super().__call__(pixels)


def test_a_failure_keeps_what_was_done_and_the_next_run_goes_on_there(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        encoded(folder, Failing(), shards())
    kept = read_partial(folder / "cache", 1, 8)
    assert kept is not None
    np.testing.assert_array_equal(kept[0], plain()[4:7].astype(np.float16))
    later = Failing()
    done: list[int] = []
    (second,) = encoded(folder, later, shards()[1:], done.append)
    assert later.calls == [3]
    assert done == [3, 3]
    np.testing.assert_array_equal(second.features[3:], plain()[7:])


@dataclass(frozen=True)
class Early(TinyEncoder):
    """Begins batches early, as on CUDA, and is interrupted or fails as its second one is waited for."""

    error: type[BaseException] = KeyboardInterrupt
    times: int = 1
    waits: list[int] = field(default_factory=list)

    def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        features, number = self(pixels), len(self.waits)
        self.waits.append(0)

        def wait() -> np.ndarray:
            self.waits[number] += 1
            if number == 1 and self.waits[number] <= self.times:
                raise self.error
            return features

        return wait


@pytest.mark.parametrize(
    ("encoder", "there"), [(Early(), 9), (Early(error=RuntimeError, times=2), 3)], ids=["interrupted", "failing"]
)
def test_a_batch_that_is_waited_for_in_vain_loses_none_before_it(folder: Path, encoder: Early, there: int) -> None:
    names = [f"{row}.png" for row in range(N)]
    with pytest.raises(encoder.error):
        encoded(folder, encoder, [Shard(0, names, [""] * N)])
    kept = read_partial(folder / "cache", 0, 8)
    assert kept is not None
    np.testing.assert_array_equal(kept[0], plain()[:there].astype(np.float16))


def test_a_shard_has_its_rows_of_the_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": [f"{row}.png" for row in range(N)], "lat": [1.0] * 9 + [None], "lon": 2.0})
    views = table_from_frame(frame)
    manifest = begin(tmp_path / "cache", views, TinyEncoder().info, 4)
    assert Shard.from_table(2, manifest, views) == Shard(2, ["8.png", "9.png"], ["", "no position"])
