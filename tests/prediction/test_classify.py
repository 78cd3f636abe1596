"""Labels of images, as transformers' own call has them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import load_encoder
from geocell.encoding import encode_images
from geocell.imagetext import load_image_text
from geocell.prediction.classify import (
    Classification,
    Classified,
    classify,
    classify_inputs,
    classify_locations,
    label_embeddings,
)
from tests.imagetext.models import make_image_text, plain_probabilities
from tests.worlds import make_image, make_locations

LABELS = ["tropical climate", "dry climate", "polar climate"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_image_text(tmp_path_factory.mktemp("models") / "clip"))


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_image_text(tmp_path_factory.mktemp("models") / "siglip", "siglip"))


def images(n: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)) for _ in range(n)]


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_probabilities_are_those_of_transformers(family: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    found = classify(images(), LABELS, model=folder, device="cpu")
    expected = plain_probabilities(folder, images(), LABELS)
    assert np.array([item.probabilities for item in found.items]) == pytest.approx(expected, abs=1e-5)
    assert found.independent == (family == "siglip")
    one = classify(images()[0], LABELS, templates=["a photo of {label}."], model=folder, device="cpu")
    texts = [f"a photo of {label}." for label in LABELS]
    assert np.array(one.items[0].probabilities) == pytest.approx(
        plain_probabilities(folder, images(1), texts)[0], abs=1e-5
    )


def test_cached_features_answer_too(clip: str) -> None:
    encoder, model = load_encoder(clip, device="cpu"), load_image_text(clip, device="cpu")
    pooled = encode_images(images(), encoder)
    locations = make_locations(np.zeros((3, 2)), pooled, info=encoder.info)
    found = classify_locations(model, locations, LABELS)
    assert [item.image for item in found.items] == ["loc0", "loc1", "loc2"]
    expected = plain_probabilities(clip, images(), LABELS)
    assert np.array([item.probabilities for item in found.items]) == pytest.approx(expected, abs=1e-5)
    assert classify_locations(model, locations.take(np.empty(0, np.int64)), LABELS).items == ()
    other = make_locations(np.zeros((3, 2)), pooled)
    with pytest.raises(ValueError, match="must share one encoder"):
        classify_locations(model, other, LABELS)


def test_templates_are_averaged(clip: str) -> None:
    model = load_image_text(clip, device="cpu")
    found = label_embeddings(model, LABELS, ["{label}", "a {label} here"])
    parts = [model.text([t.replace("{label}", label) for label in LABELS]) for t in ("{label}", "a {label} here")]
    mean = (parts[0] + parts[1]) / 2
    assert found == pytest.approx(mean / np.linalg.norm(mean, axis=1, keepdims=True), abs=1e-6)


def test_files_that_cannot_be_read_are_rows(clip: str, tmp_path: Path) -> None:
    good = make_image(tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    found = classify_inputs([good, tmp_path / "bad.jpg", tmp_path / "gone.jpg"], LABELS, model=clip, device="cpu")
    assert [bool(item.problem) for item in found.items] == [False, True, True]
    assert found.items[2].problem == "no such file"
    assert sum(found.items[0].probabilities) == pytest.approx(1, abs=1e-5)
    path = found.save(tmp_path / "out.csv")
    header, first, *rest = path.read_text().splitlines()
    assert header == "image,best,problem," + ",".join(f"p: {label}" for label in LABELS)
    assert first.split(",")[1] == found.items[0].best(found.labels, 1)[0][0]
    assert all(line.endswith(",,,") for line in rest)
    value = found.to_dict()
    assert list(value["images"][0]["probabilities"]) == LABELS
    assert value["images"][1]["probabilities"] == {}


def test_the_best_come_first() -> None:
    item = Classified("a", (0.2, 0.5, 0.3))
    assert item.best("xyz", 2) == [("y", 0.5), ("z", 0.3)]
    assert Classification(("x", "y"), (item,)).to_dict()["independent"] is False


@pytest.mark.parametrize(
    ("labels", "templates", "message"),
    [
        (["a"], ["{label}"], "from 2 to 10,000, got 1"),
        (["a", " "], ["{label}"], "an empty one at position 2"),
        (["a", "a"], ["{label}"], "got 'a' twice"),
        (["a", "b"], [], "at least one text with {label}, got none"),
        (["a", "b"], ["a photo"], "must say {label} once and no other field, got 'a photo'"),
        (["a", "b"], ["{label} in {city}"], "no other field"),
        (["a", "b"], ["{label} {"], "no other field"),
    ],
)
def test_what_cannot_be_asked(labels: list[str], templates: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classify([], labels, templates=templates)
    with pytest.raises(TypeError, match="must be lists of texts"):
        classify([], "a,b")


def test_no_image(clip: str) -> None:
    with pytest.raises(ValueError, match="at least one image, got none"):
        classify([], LABELS, model=clip, device="cpu")
