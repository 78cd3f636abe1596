"""What the Hub reads of a card: settings that last, names that are checked, the file of a benchmark."""

from typing import Any

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from geocell.evaluation.score import score
from geocell.heads.card_metadata import CardSettings, eval_file, metadata_yaml, settings_of
from tests.heads.test_head import make_head, world

ENCODER = {"name": "tiny", "revision": "1"}


def scores_json() -> dict[str, Any]:
    return score(make_head(), world(), split="test").to_dict()


def test_settings_are_read_back() -> None:
    settings = CardSettings("cc-by-4.0", ("me/photos",), "osv5m/osv5m:europe")
    text = metadata_yaml("a title", ENCODER, scores_json(), settings, {})
    assert settings_of(yaml.safe_load(text)) == settings


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"license": ["mit"], "datasets": 3, "model-index": "x"},
        {"datasets": [3, "not a name"], "model-index": [{"results": [{"dataset": {"type": "imagenet-1k"}}, 3]}, 3]},
    ],
)
def test_what_is_no_setting_is_left_out(metadata: dict[str, Any]) -> None:
    assert settings_of(metadata) == CardSettings()


def test_later_settings_go_before_earlier_ones() -> None:
    assert settings_of({"datasets": "me/photos"}).datasets == ("me/photos",)
    assert CardSettings(license="mit").with_defaults(CardSettings("x", ("a/b",), "c/d")) == CardSettings(
        "mit", ("a/b",), "c/d"
    )


def test_keys_that_a_head_does_not_decide_are_kept() -> None:
    earlier = {"language": "de", "tags": ["alps", "geocell"], "base_model": "you/encoder", "library_name": "other"}
    data = yaml.safe_load(metadata_yaml("a title", ENCODER, None, CardSettings("mit"), earlier))
    assert (data["language"], data["base_model"], data["library_name"]) == ("de", "you/encoder", "geocell")
    assert data["tags"] == ["image-geolocation", "geolocation", "geocell", "street-view", "alps"]
    on_hub = {"name": "me/encoder", "revision": "c0ffee"}
    assert yaml.safe_load(metadata_yaml("t", on_hub, None, CardSettings("mit"), earlier))["base_model"] == "me/encoder"


@pytest.mark.parametrize(
    ("benchmark", "words"),
    [
        ("osv5m", "write the user, a slash, and the name of the data set"),
        ("a/b/c", "write the user, a slash, and the name of the data set"),
        ("me/my bench", "alphanumeric"),
        ("me/a--b", "Cannot have -- or .."),
        ("me/bench.git", "cannot end by '.git'"),
        ("me/" + "a" * 97, "maximum length is 96"),
        ("me/bench:", "write the name of the task below the colon"),
        ("me/bench:my task", "write the name of the task below the colon"),
        ("https://huggingface.co/datasets/me/bench", "write the user"),
    ],
)
def test_a_name_that_the_hub_does_not_have_is_refused(benchmark: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"benchmark must be a data set on the Hub, .*{words}"):
        CardSettings(benchmark=benchmark)
    if ":" not in benchmark and "/" in benchmark:
        with pytest.raises(ValueError, match="datasets must be names of data sets on the Hub, user/data, got"):
            CardSettings(datasets=(benchmark,))


def test_a_benchmark_of_the_hub_gets_its_file() -> None:
    scores = scores_json()
    name, text = eval_file(scores, CardSettings(benchmark="osv5m/osv5m:europe"))
    assert name == ".eval_results/osv5m--osv5m.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (entry.dataset_id, entry.task_id) == ("osv5m/osv5m", "europe")
    assert entry.value == pytest.approx(100 * scores["balscore"], abs=0.005)
    assert entry.notes == "balscore in %, decoder centroid, 40 locations"
    assert eval_file(scores, CardSettings(benchmark="a/b"))[1].count("task_id: default") == 1
