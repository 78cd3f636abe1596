"""Importing a head without its encoder: what is recorded with the Hub, without it, and at first use."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from geocell.cli import main
from geocell.encoders.info import NOT_PINNED, EncoderInfo
from geocell.heads.additions import pin_encoder
from geocell.heads.head import load_head
from geocell.publishing.named_encoder import named_encoder
from geocell.publishing.push import push_head
from tests.local_hub import Hub
from tests.publishing.test_checkpoints import cells
from tests.worlds import make_clip, make_image, make_locations

D, C = 32, 5


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
    monkeypatch.setattr("geocell.publishing.push._draw_cells", lambda _head, _out: None)
    return


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    generator = torch.Generator().manual_seed(0)
    shapes = {"head.0.weight": (D,), "head.0.bias": (D,), "head.2.weight": (C, D), "head.2.bias": (C,)}
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    torch.save(state, tmp_path / "best.pt")
    return f"{tmp_path}/best.pt {cells(tmp_path / 'info.json', C)}"


def test_offline_the_encoder_is_recorded_by_name(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(f"import {checkpoint} --encoder you/tower --out {tmp_path}/head".split()) == 0
    assert "recorded by its name" in capsys.readouterr().err
    head = load_head(tmp_path / "head")
    assert head.encoder == EncoderInfo("you/tower", NOT_PINNED, NOT_PINNED, D, 0, NOT_PINNED, NOT_PINNED, "you/tower")
    assert not head.encoder.is_pinned
    with pytest.raises(ValueError, match=r"encoder you/tower of this head is not pinned .*`geocell predict"):
        push_head(tmp_path / "head", "me/head", dry_run=True)


@pytest.mark.loopback
def test_the_hub_is_asked_for_the_commit_and_for_no_weights(hub: Hub) -> None:
    commit = hub.put("you/tower", {"config.json": b"{}", "model.safetensors": b"weights"})
    assert named_encoder("you/tower", None, D).revision == commit
    assert named_encoder("you/tower", "0" * 40, D).revision == "0" * 40
    assert not any("safetensors" in str(request) for request in hub.requests)
    with pytest.raises(FileNotFoundError, match="no repository you/none"):
        named_encoder("you/none", None, D)
    with pytest.raises(FileNotFoundError, match="no revision 'v9'"):
        named_encoder("you/tower", "v9", D)
    hub.fail("/api/models/you/other", 500)
    assert named_encoder("you/other", None, D).revision == NOT_PINNED


def test_a_branch_cannot_be_resolved_offline() -> None:
    with pytest.raises(ValueError, match=r"which commit you/tower@v2 is: give the commit"):
        named_encoder("you/tower", "v2", D)


def test_streetclip_has_a_known_size() -> None:
    assert named_encoder("geolocal/StreetCLIP", "0" * 40, 1024).dim == 1024
    with pytest.raises(ValueError, match=r"features of 768 numbers, and geolocal/StreetCLIP has 1024"):
        named_encoder("geolocal/StreetCLIP", None, 768)


def test_a_bad_checkpoint_is_refused_before_any_encoder_is_looked_for(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocell.publishing.named_encoder.named_encoder", None)
    (tmp_path / "best.pt").write_text("epoch,loss\n")
    assert main(f"import {checkpoint} --out {tmp_path}/head".split()) == 1
    message = capsys.readouterr().err
    assert "best.pt must be a checkpoint" in message
    assert len(message.splitlines()) == 1


def test_the_encoder_is_pinned_at_first_use(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "clip")
    image = make_image(tmp_path / "photo.jpg")
    assert main(f"import {checkpoint} --encoder {tmp_path}/clip --out {tmp_path}/head".split()) == 0
    before = load_head(tmp_path / "head")
    assert before.encoder.name == "clip"
    command = f"predict {tmp_path}/head {image} --device cpu"
    assert main(command.split()) == 0
    assert "its encoder is pinned to sha256:" in capsys.readouterr().err
    head = load_head(tmp_path / "head")  # hashed anew
    assert head.encoder.is_pinned
    assert (head.encoder.pooling, head.encoder.image_size) == ("pooler_output", 56)
    assert head.sha256 == before.sha256
    assert (tmp_path / "head" / "hashes.json").is_file()
    assert main(command.split()) == 0
    assert "pinned" not in capsys.readouterr().err
    push_head(tmp_path / "head", "me/head", dry_run=True)


def test_pinning_does_not_vouch_for_files_that_changed(checkpoint: str, tmp_path: Path) -> None:
    assert main(f"import {checkpoint} --encoder you/tower --out {tmp_path}/head".split()) == 0
    weights = tmp_path / "head" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert pin_encoder(tmp_path / "head", EncoderInfo("you/tower", "c0ffee", "cls", D, 56, "Pil 1"))
    with pytest.raises(ValueError, match=r"model\.safetensors must have the sha256"):
        load_head(tmp_path / "head")


def test_another_encoder_is_not_pinned(checkpoint: str, tmp_path: Path) -> None:
    assert main(f"import {checkpoint} --encoder you/tower --out {tmp_path}/head".split()) == 0
    config = (tmp_path / "head" / "config.json").read_bytes()
    known = EncoderInfo("you/tower", "c0ffee", "cls", D, 56, "Pil 1")
    for other in (
        EncoderInfo("me/tower", "c0ffee", "cls", D, 56, "Pil 1"), EncoderInfo("you/tower", "c0ffee", "cls", 9, 56, "P"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="must share one encoder"):
            pin_encoder(tmp_path / "head", other)
    assert (tmp_path / "head" / "config.json").read_bytes() == config
    assert not pin_encoder(tmp_path / "head", load_head(tmp_path / "head").encoder)
    assert pin_encoder(tmp_path / "head", known)
    assert json.loads((tmp_path / "head" / "config.json").read_text())["encoder"]["revision"] == "c0ffee"
    locations = make_locations(np.zeros((2, 2)), np.ones((2, D)), info=known)
    assert load_head(tmp_path / "head").posterior(locations).shape == (2, C)
    assert not pin_encoder(tmp_path / "head", known)


@pytest.mark.parametrize("field", ["revision", "pooling", "processor"])
def test_a_head_of_an_unknown_encoder_is_not_pushed(checkpoint: str, tmp_path: Path, field: str) -> None:
    assert main(f"import {checkpoint} --encoder you/tower --out {tmp_path}/head".split()) == 0
    facts = {"revision": "c0ffee", "pooling": "cls", "processor": "Pil 1", field: "unknown"}
    pin_encoder(tmp_path / "head", EncoderInfo("you/tower", dim=D, image_size=56, **facts))
    with pytest.raises(ValueError, match=rf"whose {field} is not known: .*`geocell cache import --like`"):
        push_head(tmp_path / "head", "me/head", dry_run=True)
