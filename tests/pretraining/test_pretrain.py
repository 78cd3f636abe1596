import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from geocell.images.sources import FileImages
from geocell.pretraining.caption_set import CaptionSet
from geocell.pretraining.clip_model import ClipModel
from geocell.pretraining.config import PretrainConfig
from geocell.pretraining.pretrain import _Run, pretrain
from tests.pretraining.captioned_photos import World

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = PretrainConfig(epochs=3, batch=3, accumulate=3, lr=1e-3, device="cpu", gradient_checkpointing=False)
ROOT = Path(__file__).parents[2]


def weights(clip: ClipModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in clip.model.state_dict().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_falls_and_the_history_has_it(world: World) -> None:
    clip, seen = world.clip(), list[Mapping[str, float]]()
    before = weights(clip)
    config = replace(CONFIG, epochs=8, lr=3e-3, batch=9, accumulate=2)
    done = pretrain(clip, world.captions(), config, log=seen.append, validate=lambda _clip: {"country": 0.5})
    assert [row["epoch"] for row in done.history] == list(range(1, 9))
    assert done.history == seen
    assert {row["images"] for row in seen} == {18}
    assert {row["val_country"] for row in seen} == {0.5}
    assert seen[-1]["train_loss"] < seen[0]["train_loss"] - 0.2
    assert not same(before, weights(clip))


def test_pieces_train_as_the_whole_batch_does(world: World) -> None:
    """Without dropout, what is in memory at a time changes nothing but rounding."""
    models = []
    for batch, accumulate in ((9, 1), (3, 3)):
        clip = world.clip()
        clip.model.double()
        pretrain(clip, world.captions(), replace(CONFIG, batch=batch, accumulate=accumulate, epochs=1))
        models.append(weights(clip))
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, rtol=1e-6, atol=1e-9, msg=name)


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """The handler of an interactive process: one that a shell starts in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
def test_an_interrupted_training_goes_on_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    whole = world.clip()
    expected = pretrain(whole, world.captions(), CONFIG)

    def interrupt(row: Mapping[str, float]) -> None:
        if row["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain(world.clip(), world.captions(), CONFIG, state=tmp_path / "state", log=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, later = world.clip(), list[Mapping[str, float]]()
    done = pretrain(resumed, world.captions(), CONFIG, state=tmp_path / "state", log=later.append)
    assert [row["epoch"] for row in later] == [3]
    assert done.history == expected.history
    assert same(weights(resumed), weights(whole))


KILLED = """
import os, signal, sys, torch
from pathlib import Path
import geocell.pretraining.pretrain as module
from tests.pretraining.captioned_photos import World
from tests.pretraining.test_pretrain import CONFIG
import pandas as pd
torch.set_num_threads(1)
folder, state = Path(sys.argv[1]), Path(sys.argv[2])
world = World(folder, pd.read_parquet(state.with_name("captions.parquet")))
module.CHECKPOINT_SECONDS, module.WRITING_SHARE = 0.0, float("inf")
write, count = module.write_state, []
def killed(*args):
    write(*args)
    count.append(1)
    if len(count) == 3:  # in the middle of the second epoch
        os.kill(os.getpid(), signal.SIGKILL)
module.write_state = killed
module.pretrain(world.clip(), world.captions(), CONFIG, state=state)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    world.table.to_parquet(tmp_path / "captions.parquet")
    state = tmp_path / "state"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(world.folder), str(state)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed, whole = world.clip(), world.clip()
    done = pretrain(resumed, world.captions(), CONFIG, state=state)
    assert done.history == pretrain(whole, world.captions(), CONFIG).history
    assert same(weights(resumed), weights(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.parquet", "state"]


TOGETHER = """
import os, sys, torch
from dataclasses import replace
from pathlib import Path
import pandas as pd
from geocell.pretraining.pretrain import _Run, pretrain
from tests.pretraining.captioned_photos import World
from tests.pretraining.test_pretrain import CONFIG
torch.set_num_threads(1)
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
clip = (world := World(folder, pd.read_parquet(out / "captions.parquet"))).clip()
clip.model.double()
done = pretrain(clip, world.captions(), CONFIG)
once = pretrain(world.clip(), world.captions(), replace(CONFIG, epochs=1))  # each process sees half of the images
torch.save((clip.model.state_dict(), done.history, once.problems), out / os.environ["RANK"])
"""


@pytest.mark.slow
def test_two_processes_train_what_one_does(world: World, tmp_path: Path) -> None:
    """A batch of nine is five images of the one and four of the other; some of each are broken."""
    folder = tmp_path / "images"
    shutil.copytree(world.folder, folder)
    broken = ["0.jpg", "4.jpg", "11.jpg", "12.jpg"]
    for name in broken:
        (folder / name).write_bytes(b"no image")
    world = world._replace(folder=folder)
    world.table.to_parquet(tmp_path / "captions.parquet")
    script = tmp_path / "train.py"
    script.write_text(TOGETHER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(script), str(world.folder), str(tmp_path)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    clip = world.clip()
    clip.model.double()
    alone = pretrain(clip, world.captions(), CONFIG)
    (first, history, problems), (second, _, others) = (torch.load(tmp_path / rank, weights_only=True) for rank in "01")
    assert same(first, second)
    losses = [row["train_loss"] for row in alone.history]
    assert [row["train_loss"] for row in history] == pytest.approx(losses, rel=1e-6)
    assert problems == others == alone.problems
    assert sorted(problems) == sorted(broken)
    for name, value in weights(clip).items():
        torch.testing.assert_close(first[name], value, rtol=1e-6, atol=1e-9, msg=name)


def test_broken_images_are_left_out_with_their_reasons(world: World, tmp_path: Path) -> None:
    for path in world.folder.glob("*.jpg"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "3.jpg").write_bytes(b"no image")
    (tmp_path / "4.jpg").unlink()
    captions = CaptionSet.from_table(world.table, FileImages(str(tmp_path)))
    done = pretrain(world.clip(), captions, replace(CONFIG, epochs=1))
    assert done.problems == {"3.jpg": "cannot identify image file", "4.jpg": "no such file"}
    assert done.history[0]["images"] == 16


def test_no_image_at_all(world: World, tmp_path: Path) -> None:
    captions = CaptionSet.from_table(world.table, FileImages(str(tmp_path)))
    with pytest.raises(
        ValueError, match=r"no image of epoch 1 could be trained on \(the first: \d+\.jpg: no such file\)"
    ):
        pretrain(world.clip(), captions, replace(CONFIG, epochs=1))


def test_a_state_of_another_training_is_refused(world: World, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    pretrain(world.clip(), world.captions(), config, state=tmp_path / "state")
    with pytest.raises(ValueError, match="state of another training, with other settings:"):
        pretrain(world.clip(), world.captions(), replace(config, lr=1.0), state=tmp_path / "state")
    fewer = CaptionSet.from_table(pd.DataFrame(world.table.iloc[:-1]), FileImages(str(world.folder)))
    with pytest.raises(ValueError, match="with other captions:"):
        pretrain(world.clip(), fewer, config, state=tmp_path / "state")
    (tmp_path / "state").write_bytes(b"\x00" * 64)
    with pytest.raises(ValueError, match="state"):
        pretrain(world.clip(), world.captions(), config, state=tmp_path / "state")


def test_a_loss_that_is_no_number_stops_before_the_weights(world: World) -> None:
    clip = world.clip()
    with torch.no_grad():
        clip.model.visual_projection.weight.fill_(float("nan"))
    before = clip.model.text_projection.weight.clone()
    with pytest.raises(ValueError, match="the loss is nan: lower --lr"):
        pretrain(clip, world.captions(), CONFIG)
    assert torch.equal(clip.model.text_projection.weight, before)


def test_the_scale_stays_below_that_of_clip(world: World) -> None:
    clip = world.clip()
    with torch.no_grad():
        clip.model.logit_scale.fill_(9.0)
    done = pretrain(clip, world.captions(), replace(CONFIG, epochs=1))
    assert 99.0 < done.history[0]["scale"] < 100.001  # exp(9) before


def test_the_order_of_an_epoch_is_let_go_with_its_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[_Run] = []
    call = _Run.__call__
    monkeypatch.setattr(_Run, "__call__", lambda run, *args: runs.append(run) or call(run, *args))
    pretrain(world.clip(), world.captions(), replace(CONFIG, epochs=2))
    assert (runs[0]._drawn, runs[0]._ends) == ({}, {})


def test_the_order_does_not_depend_on_what_is_in_memory(world: World) -> None:
    images, _ = world.captions().epoch(0, 1)
    assert sorted(images.tolist()) == list(range(18))
    assert not np.array_equal(images, np.arange(18))
