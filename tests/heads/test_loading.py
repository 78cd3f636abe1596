"""What answers like a head, from its folder: heads, combinations, ensembles of earlier versions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.encoders.info import NOT_PINNED
from geocell.evaluation.combine import combine
from geocell.heads.additions import pin_encoder
from geocell.heads.combination import Combination
from geocell.heads.ensemble import Ensemble
from geocell.heads.head import Head
from geocell.heads.loading import is_ensemble, load_head_like, with_encoder
from geocell.heads.source import HeadSource
from tests.heads.test_ensemble import write_earlier_ensemble
from tests.heads.test_head import make_head, random_module, world

pytestmark = pytest.mark.usefixtures("one_thread")


def two() -> list[Head]:
    return [make_head(), replace(make_head(), module=random_module(1))]


def test_each_is_read_as_what_it_is(tmp_path: Path) -> None:
    first, second = two()
    first.save(tmp_path / "head")
    combine([first, second]).save(tmp_path / "combination")
    write_earlier_ensemble(tmp_path / "ensemble", (first, second))
    assert isinstance(load_head_like(tmp_path / "head"), Head)
    for name in ("combination", "ensemble"):
        found = load_head_like(tmp_path / name)
        assert isinstance(found, Combination)
        expected = Ensemble((first, second)).posterior(world())
        assert found.posterior(world()) == pytest.approx(expected, abs=1e-6)
        assert is_ensemble(HeadSource(tmp_path / name)) == (name == "ensemble")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_head_like(tmp_path / "nothing")


def test_the_encoder_of_every_member_is_pinned(tmp_path: Path) -> None:
    encoder = world().encoder
    open_ = replace(encoder, revision=NOT_PINNED)
    made = combine([replace(head, encoder=open_) for head in two()])
    made.save(tmp_path / "all")
    assert not load_head_like(tmp_path / "all").encoder.is_pinned
    assert pin_encoder(tmp_path / "all", encoder)
    assert not pin_encoder(tmp_path / "all", encoder)
    found = load_head_like(tmp_path / "all")
    assert isinstance(found, Combination)
    assert [member.encoder.revision for member in found.members] == [encoder.revision] * 2
    assert with_encoder(made, encoder).sha256 == found.sha256 == made.sha256
    assert with_encoder(two()[0], open_).encoder == open_
    assert np.array_equal(found.posterior(world()), with_encoder(made, encoder).posterior(world()))
