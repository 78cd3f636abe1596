"""One contract for whatever answers like a head: a head, an ensemble, combinations."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.decoders.table import DECODERS
from geocell.evaluation.combine import combine
from geocell.evaluation.comparison import compare
from geocell.evaluation.score import score
from geocell.features import pieces
from geocell.geo.geodesy import as_latlon
from geocell.heads.ensemble import Ensemble
from geocell.heads.module import GeoHead
from geocell.heads.protocol import HeadLike
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.predictions import predict_locations
from tests.elsewhere import elsewhere
from tests.heads.test_head import CELLS, DIM, N, make_head, random_module, world

KEYS = location_keys(world().take(np.arange(3)))


def head() -> HeadLike:
    return make_head("logit", trained_on=TrainedOn(KEYS))


def ensemble() -> HeadLike:
    return Ensemble((make_head(trained_on=TrainedOn(KEYS)), replace(make_head("logit"), module=random_module(1))))


def combined() -> HeadLike:
    """Return a combination of heads of two partitions, on training places, in which the nearest features vote."""
    other = KMeansPartitioner(k=4, seed=1).fit(world().latlon)
    second = replace(make_head("logit"), module=GeoHead(DIM, 4), partition=other)
    return combine([make_head(trained_on=TrainedOn(KEYS)), second], world().take(np.arange(N - 3)), knn=True)


def combined_on_cells() -> HeadLike:
    members = [make_head(trained_on=TrainedOn(KEYS)), replace(make_head("logit"), module=random_module(1))]
    return combine(members, pool="log")


@pytest.fixture(params=[head, ensemble, combined, combined_on_cells])
def make(request: pytest.FixtureRequest) -> Callable[[], HeadLike]:
    made: Callable[[], HeadLike] = request.param
    return made


def test_says_what_it_is(make: Callable[[], HeadLike]) -> None:
    like = make()
    assert len(like.partition) in {CELLS, N - 3}
    assert like.encoder == world().encoder
    assert len(like.sha256) == 64
    assert like.sha256 == make().sha256
    assert like.trained_on is not None
    assert np.isin(KEYS, like.trained_on.keys).all()


def test_pieces_are_the_whole(make: Callable[[], HeadLike]) -> None:
    like, locations = make(), world()
    posterior = like.posterior(locations, "cpu")
    assert posterior.shape == (N, len(like.partition))
    assert posterior.dtype == np.float32
    assert posterior.sum(axis=1) == pytest.approx(np.ones(N), abs=1e-5)
    seen = 0
    for rows, part, points in like.answer_chunks(locations, "mean", "cpu"):
        assert rows.start == seen
        seen = rows.stop
        assert np.array_equal(part, posterior[rows])
        assert points.shape == (rows.stop - rows.start, 2)
        as_latlon(points)
    assert seen == N
    assert like.posterior(locations.take(np.empty(0, np.int64))).shape == (0, len(like.partition))


def test_decoders_are_prepared_once_and_refused_before_anything_is_computed(make: Callable[[], HeadLike]) -> None:
    like = make()
    prepared = like.prepare("within:200")
    assert like.prepare("within:200") is prepared
    assert like.prepare(prepared) is prepared
    by_name, by_object = (next(iter(like.answer_chunks(world(), d, "cpu")))[2] for d in ("within:200", prepared))
    assert np.array_equal(by_name, by_object)
    for bad in ("best", "offset"):
        with pytest.raises(ValueError, match="decode"):
            like.prepare(bad)
        with pytest.raises(ValueError, match="decode"):
            next(iter(like.answer_chunks(world(), bad)))
    assert set(DECODERS) >= {"within", "offset"}


def test_features_of_another_encoder_are_refused(make: Callable[[], HeadLike]) -> None:
    locations = world()
    other = replace(locations, encoder=replace(locations.encoder, pooling="mean"))
    with pytest.raises(ValueError, match="must share one encoder"):
        next(iter(make().answer_chunks(other)))


def test_everything_above_takes_it(make: Callable[[], HeadLike]) -> None:
    like, locations = make(), world()
    scores = score(like, locations, "within:200", "test", "cpu", allow_training=True)
    assert (scores.decoder, scores.head_sha256) == ("within:200", like.sha256)
    assert scores.n_trained_on in {3, N - 3}
    answers = predict_locations(like, locations.take(np.arange(4)), decode="within:200", device="cpu")
    assert {answer.decoder for answer in answers} == {"within:200"}
    assert compare(like, like, locations, "mean", allow_training=True).n_same == N


@pytest.mark.parametrize("size", [7, 1000])
def test_scores_are_the_same_wherever_they_are_computed(
    make: Callable[[], HeadLike], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    like, locations = make(), world()
    monkeypatch.setattr(pieces, "PIECE", size)
    here = score(like, locations, "within:200", "test", "cpu", allow_training=True)
    with elsewhere() as engine:
        there = score(like, locations, "within:200", "test", "cpu", allow_training=True)
    assert engine.pieces == (-(-N // size) if size < N else 0)
    assert there.to_dict() == here.to_dict()
    assert there.trust is not None


@pytest.mark.slow
def test_a_type_checker_agrees(tmp_path: Path) -> None:
    """Assigning what is no head to the protocol is an error, and assigning those that are is none."""
    program = tmp_path / "program.py"
    program.write_text(
        "from geocell.heads.combination import Combination\n"
        "from geocell.heads.ensemble import Ensemble\n"
        "from geocell.heads.head import Head\n"
        "from geocell.heads.protocol import HeadLike\n"
        "def check(head: Head, ensemble: Ensemble, several: Combination) -> list[HeadLike]:\n"
        "    return [head, ensemble, several]\n"
        "def wrong(stranger: int) -> HeadLike:\n"
        "    return stranger\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(program)]
    command += ["--follow-imports", "silent"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1, done.stdout + done.stderr
    assert "program.py:8" in errors[0]
    assert '"HeadLike"' in errors[0]
