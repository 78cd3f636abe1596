"""Heads that others published: every shape of checkpoint, all known paths, and the answers of their users' own code."""

import contextlib
import json
import pickle
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocell.encoders.info import EncoderInfo
from geocell.files import DamagedFileError
from geocell.heads.head import Head, load_head
from geocell.hub.names import HubName
from geocell.publishing.checkpoints import (
    Published,
    fetch_published,
    import_head,
    known_heads,
    published_files,
    read_published,
)
from tests.local_hub import Hub
from tests.worlds import make_locations

D, C = 1024, 37
STREETCLIP = EncoderInfo("geolocal/StreetCLIP", "c0ffee", "pooler_output", D, 336, "CLIPImageProcessorPil 0")
HEADS = Path(__file__).parents[2] / "heads"
REPO = known_heads()["repository"]


def weights(n_cells: int = C, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"head.0.weight": (D,), "head.0.bias": (D,), "head.2.weight": (n_cells, D), "head.2.bias": (n_cells,)}
    return {name: (0.1 * torch.randn(shape, generator=generator)).to(dtype) for name, shape in shapes.items()}


def cells(path: Path, n_cells: int = C, **more: Any) -> Path:
    """Write a geocell_info.json as others do: centroids, and keys that are nobody else's."""
    rng = np.random.default_rng(n_cells)
    info = {
        str(i): {"centroid_lat": 35 + 30 * lat, "centroid_lon": -10 + 40 * lon, "n_images": 7, **more}
        for i, (lat, lon) in enumerate(rng.random((n_cells, 2)))
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(info))
    return path


def files(tmp_path: Path, value: object, n_cells: int = C) -> Published:
    torch.save(value, tmp_path / "best.pt")
    return published_files(tmp_path / "best.pt", cells(tmp_path / "info.json", n_cells))


def answers(head: Head, features: np.ndarray) -> np.ndarray:
    return head.posterior(make_locations(np.zeros((len(features), 2)), features, info=STREETCLIP))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state},
        lambda state: {
            "model": state,
            "epoch": 41,
            "args": {"lr": 1e-3},
            "optimizer": {"state": {}},
            "best": [1.5, None],
        },
    ],
    ids=["state dict", "model", "model and more"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_shapes_of_checkpoints(tmp_path: Path, wrap: Callable[[Mapping[str, Any]], object], dtype: torch.dtype) -> None:
    state = weights(dtype=dtype)
    head = import_head(files(tmp_path, wrap(state)), STREETCLIP)
    assert {name: value.dtype for name, value in head.module.state_dict().items()} == dict.fromkeys(
        state, torch.float32
    )
    for name, value in head.module.state_dict().items():
        assert torch.equal(value, state[name].float()), name
    assert head.partition.kind == "centroids"
    assert not head.partition.can_assign


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return (Path.touch, (self.path,))


def in_a_checkpoint(path: Path, bomb: Bomb) -> None:
    torch.save({"model": weights(), "args": bomb}, path)


def in_a_bare_pickle(path: Path, bomb: Bomb) -> None:
    path.write_bytes(pickle.dumps({"model": bomb}))


@pytest.mark.parametrize("write", [in_a_checkpoint, in_a_bare_pickle])
def test_a_malicious_pickle_does_not_run(tmp_path: Path, write: Callable[[Path, Bomb], None]) -> None:
    ran = tmp_path / "a-pickle-ran"
    write(tmp_path / "best.pt", Bomb(ran))
    with pytest.raises(ValueError, match=r"best\.pt must be a checkpoint of tensors .* could run code"):
        import_head(published_files(tmp_path / "best.pt", cells(tmp_path / "info.json")), STREETCLIP)
    assert not ran.exists()
    pickle.loads(pickle.dumps(Bomb(ran)))  # noqa: S301
    assert ran.exists()  # it would have run


class Hollow(pickle.Pickler):
    """Writes tensors of torch's format before archives, and not their content."""

    def persistent_id(self, value: object) -> tuple[object, ...] | None:
        if not isinstance(value, torch.storage.TypedStorage):
            return None
        return ("storage", torch.FloatStorage, str(id(value)), "cpu", value._size(), None)


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state}])
def test_a_small_file_does_not_claim_large_tensors(tmp_path: Path, wrap: Callable[[object], object]) -> None:
    path = tmp_path / "best.pt"
    torch.save({}, path, _use_new_zipfile_serialization=False)
    *start, _keys = pickled(path)
    with path.open("wb") as file:
        for part in start[:3]:
            pickle.dump(part, file, protocol=2)
        Hollow(file, protocol=2).dump(wrap(weights()))
        pickle.dump([], file, protocol=2)  # no storage follows
    claimed = sum(value.nbytes for value in weights().values())
    assert path.stat().st_size < 2000 < claimed
    with pytest.raises(DamagedFileError, match=rf"best\.pt has {path.stat().st_size:,} bytes .* {claimed:,} bytes"):
        import_head(published_files(path, cells(tmp_path / "info.json")), STREETCLIP)


def pickled(path: Path) -> list[object]:
    """Return the pickles that a file is made of."""
    found = []
    with path.open("rb") as file:
        while file.peek(1):  # type: ignore[attr-defined]
            found.append(pickle.load(file))  # noqa: S301
    return found


@pytest.mark.parametrize("archive", [True, False])
def test_both_formats_of_torch_are_read(tmp_path: Path, archive: bool) -> None:
    published = files(tmp_path, {})
    torch.save(weights(), published.checkpoint, _use_new_zipfile_serialization=archive)
    assert torch.equal(import_head(published, STREETCLIP).module.head[2].weight, weights()["head.2.weight"])


def test_tensors_without_content_are_refused(tmp_path: Path) -> None:
    state = {name: torch.empty_like(value, device="meta") for name, value in weights().items()}
    with pytest.raises(DamagedFileError, match="must be a state dict of floats"):
        import_head(files(tmp_path, state), STREETCLIP)


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in weights().items() if key != name}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (weights(C + 1), r"best\.pt has 38 cells and .*info\.json has 37: they are not of one head"),
        (
            {**weights(), "head.3.weight": torch.zeros(2)},
            r"must hold exactly .*got .*head\.3\.weight \[2\]",
        ),
        (without("head.0.bias"), r"must hold exactly the tensors head\.0\.bias \[D\]"),
        ({f"module.{k}": v for k, v in weights().items()}, r"got module\.head\.0\.bias"),
        (
            {**weights(), "head.0.weight": torch.ones(768)},
            r"got .*head\.0\.weight \[768\]",
        ),
        ({**weights(), "head.2.bias": torch.full((C,), float("nan"))}, r"must be finite, got NaN or infinity"),
        ({**weights(), "head.2.bias": torch.zeros(C, dtype=torch.int64)}, r"must be a state dict of floats"),
        ([1, 2], "must be a state dict of floats"),
        ({"model": 3}, "must be a state dict of floats"),
        ({}, "got nothing"),
    ],
)
def test_what_is_no_such_head_is_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        import_head(files(tmp_path, value), STREETCLIP)


def test_files_that_are_not_there_or_broken(tmp_path: Path) -> None:
    published = files(tmp_path, weights())
    (tmp_path / "best.pt").write_bytes((tmp_path / "best.pt").read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"must be a checkpoint of torch\.save, got something else or a damaged file"):
        import_head(published, STREETCLIP)
    (tmp_path / "info.json").write_text('{"0": {"centroid_lat": 95, "centroid_lon": 0}}')
    with pytest.raises(ValueError, match=r"info\.json must be the cells of a partition, .*centroids must be degrees"):
        import_head(published, STREETCLIP)
    (tmp_path / "info.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs its geocell_info\.json, and there is none at .*info\.json"):
        published_files(tmp_path / "best.pt", tmp_path / "info.json")
    with pytest.raises(FileNotFoundError, match=r"needs its checkpoint, and there is none at .*none\.pt"):
        published_files(tmp_path / "none.pt", tmp_path / "info.json")


def test_known_heads_are_those_of_the_recipes() -> None:
    recipes = [tomllib.loads(path.read_text()) for path in HEADS.glob("*/recipe.toml")]
    expected = {
        recipe["published"].pop("checkpoint").removesuffix("/best.pt"): {
            "partition": recipe["head"]["partition"],
            "published": recipe["published"],
        }
        for recipe in recipes
    }
    assert len(expected) == 13
    assert known_heads()["heads"] == expected


def publish(hub: Hub, folder: Path) -> None:
    """Put the published repository on the local Hub: 13 checkpoints of their true shapes, ten sets of cells."""
    table = known_heads()
    for i, (name, head) in enumerate(table["heads"].items()):
        n_cells = head["published"]["cells"]
        path = folder / name / "best.pt"
        path.parent.mkdir(parents=True)
        state = weights(n_cells, seed=i, dtype=torch.float16)
        torch.save({"model": state, "epoch": i} if i % 2 else state, path)
        cells(folder / table["cells"].format(partition=head["partition"]), n_cells)
    hub.put(REPO, folder)


@pytest.mark.slow
@pytest.mark.loopback
def test_all_published_heads_import(hub: Hub, tmp_path: Path) -> None:
    publish(hub, tmp_path / "repository")
    for name, known in known_heads()["heads"].items():
        published = fetch_published(HubName.parse(REPO), name)
        head = import_head(published, STREETCLIP)
        assert len(head.partition) == known["published"]["cells"]
        origin = head.training["origin"]
        assert (origin["source"], origin["checkpoint"]) == (REPO, f"{name}/best.pt")
        assert origin["revision"] == hub.repos[REPO].branches["main"]
        assert origin["published"] == known["published"]
        head.save(tmp_path / "head", overwrite=True)
        card = (tmp_path / "head" / "README.md").read_text()
        assert f"| balscore | {known['published']['balscore']} % |" in card
        assert "license: mit" in card
        assert "not measured again" in card
        assert "**no commercial use**" in card
        assert load_head(tmp_path / "head").sha256 == head.sha256
    with pytest.raises(ValueError, match=r"which cells some/where is on: name its geocell_info\.json .*lam_0\.05"):
        fetch_published(HubName.parse(REPO), "some/where")
    with pytest.raises(FileNotFoundError, match=r"has no file some/best\.pt: look at its list of files"):
        fetch_published(HubName.parse(REPO), "some", "data_collection/outputs/geocells_k500_eu/geocell_info.json")


@pytest.mark.loopback
def test_users_of_published_heads_get_the_same_cells(hub: Hub, tmp_path: Path) -> None:
    """What their users run: best.pt and geocell_info.json by hf_hub_download, a plain Sequential, softmax, top-5."""
    from huggingface_hub import hf_hub_download

    name = "ablation_v13_weighted/lam_0.05"
    n_cells = known_heads()["heads"][name]["published"]["cells"]
    path = "data_collection/outputs/geocells_h3_res4_eu/geocell_info.json"
    torch.save({"model": weights(n_cells)}, tmp_path / "best.pt")
    there = {
        f"{name}/best.pt": (tmp_path / "best.pt").read_bytes(),
        path: cells(tmp_path / "i.json", n_cells).read_bytes(),
    }
    hub.put(REPO, there)
    features = np.random.default_rng(0).normal(size=(50, D)).astype(np.float32)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Sequential(
                torch.nn.LayerNorm(D), torch.nn.Dropout(0.3), torch.nn.Linear(D, len(centroids))
            )

    with Path(hf_hub_download(REPO, path)).open() as f:
        centroids = {int(k): (v["centroid_lat"], v["centroid_lon"]) for k, v in json.load(f).items()}
    model = Model()
    checkpoint = torch.load(hf_hub_download(REPO, f"{name}/best.pt"), map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model"])
    model.eval()
    with torch.no_grad():
        probabilities = torch.softmax(model.head(torch.from_numpy(features)), dim=-1)
    top = probabilities.topk(5)

    import_head(fetch_published(HubName.parse(REPO), name), STREETCLIP).save(tmp_path / "head")
    head = load_head(tmp_path / "head")
    ours = answers(head, features)
    best = np.argsort(-ours, axis=1, kind="stable")[:, :5]
    assert np.array_equal(best, top.indices.numpy())
    assert np.take_along_axis(ours, best, axis=1) == pytest.approx(top.values.numpy(), abs=1e-6)
    assert [tuple(row) for row in head.partition.centroids[best[:, 0]].tolist()] == [
        centroids[int(i)] for i in top.indices[:, 0]
    ]


def test_a_file_of_ones_own_claims_no_licence_and_no_score(tmp_path: Path) -> None:
    head = import_head(files(tmp_path, weights()), STREETCLIP)
    head.save(tmp_path / "head")
    card = (tmp_path / "head" / "README.md").read_text()
    assert "license: unknown" in card
    assert "Imported from `best.pt`, file `best.pt`" in card
    assert "none are known for this head" in card
    config = json.loads((tmp_path / "head" / "config.json").read_text())
    assert config["fit"] == {"fusion": "feature"}


def test_an_encoder_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"reads features of 1024 numbers, and geolocal/StreetCLIP has 768"):
        import_head(files(tmp_path, weights()), replace(STREETCLIP, dim=768))


@pytest.mark.parametrize("content", [b"epoch,loss\n1,0.5\n", b"", b"{}", b"\x00" * 100, "é".encode("utf-16")])
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "best.pt").write_bytes(content)
    published = published_files(tmp_path / "best.pt", cells(tmp_path / "info.json"))
    with pytest.raises(ValueError, match=r"best\.pt must be a checkpoint of") as caught:
        read_published(published)
    assert "\n" not in str(caught.value)


def test_tensors_that_are_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    state = weights()
    state["head.2.weight"] = torch.zeros(1, 1).expand(C, D)  # a number that is repeated
    with pytest.raises(ValueError, match="must be a state dict of floats"):
        read_published(files(tmp_path, state))
    torch.save(weights(), tmp_path / "best.pt")
    with zipfile.ZipFile(tmp_path / "best.pt") as old, zipfile.ZipFile(tmp_path / "new.pt", "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"new\.pt must be .* archive with compressed entries"):
        read_published(published_files(tmp_path / "new.pt", tmp_path / "info.json"))


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_a_checkpoint_it_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    torch.save({"model": {name: value[..., :2] for name, value in weights(2).items()}}, tmp_path / "best.pt")
    content = bytearray((tmp_path / "best.pt").read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content) // 2]))
    (tmp_path / "best.pt").write_bytes(bytes(content[:cut]))
    with contextlib.suppress(ValueError):
        read_published(published_files(tmp_path / "best.pt", cells(tmp_path / "info.json", 2)))
