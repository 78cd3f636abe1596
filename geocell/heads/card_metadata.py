"""What the Hub reads of a model card: its YAML block, and the file of a score on a benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geocell.encoders.joined import AND
from geocell.files import printable
from geocell.hub.names import why_no_name
from geocell.metrics.scores import flat_scores, score_label, score_unit

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

UNPUBLISHED = "unpublished"
"""What stands for the data set of scores whose locations are not on the Hub."""

_FACTS = {
    "license",
    "library_name",
    "tags",
    "datasets",
    "model-index",
    "model_name",
    "eval_results",
}
"""Keys that are always written anew."""


@dataclass(frozen=True)
class CardSettings:
    """What a card says that no file of the head knows. Empty fields are those of the card from before.

    Attributes:
        license: licence of the head as the Hub spells it, mit at first; that of the encoder is added.
        datasets: data sets on the Hub that it was trained on.
        benchmark: data set on the Hub that scores.json was measured on, user/data or user/data:task.
    """

    license: str = ""
    datasets: tuple[str, ...] = ()
    benchmark: str = ""

    def __post_init__(self) -> None:
        """Check the names of data sets."""
        for name in self.datasets:
            if reason := why_no_name(name):
                raise ValueError(f"datasets must be names of data sets on the Hub, user/data, got {name!r}: {reason}")
        if self.benchmark and (reason := _why_no_benchmark(self.benchmark)):
            raise ValueError(
                f"benchmark must be a data set on the Hub, user/data or user/data:task, got {self.benchmark!r}: "
                f"{reason}"
            )

    def with_defaults(self, earlier: CardSettings) -> CardSettings:
        """Return these settings, with those of an earlier card where they are empty."""
        return CardSettings(
            self.license or earlier.license, self.datasets or earlier.datasets, self.benchmark or earlier.benchmark
        )


def _why_no_benchmark(text: str) -> str:
    dataset, colon, task = text.partition(":")
    if dataset.count("/") != 1:
        return "write the user, a slash, and the name of the data set."
    if colon and re.fullmatch(r"[^\s:]+", task) is None:
        return "write the name of the task below the colon, without blanks, or leave out the colon."
    return why_no_name(dataset)


def settings_of(metadata: Mapping[str, Any]) -> CardSettings:
    """Return the settings that the YAML block of an earlier card states; what is no such setting is left out."""
    datasets = metadata.get("datasets") or ()
    names = [datasets] if isinstance(datasets, str) else datasets if isinstance(datasets, list) else []
    known = tuple(name for name in names if isinstance(name, str) and not why_no_name(name))
    license_ = metadata.get("license")
    tested = {name for name in _tested(metadata.get("model-index")) if not _why_no_benchmark(name)}
    return CardSettings(license_ if isinstance(license_, str) else "", known, min(tested, default=""))


def _tested(index: object) -> set[str]:
    """Return the data sets of a model-index."""
    models = [model for model in index if isinstance(model, dict)] if isinstance(index, list) else []
    results = [result for model in models if isinstance(model.get("results"), list) for result in model["results"]]
    datasets = [result.get("dataset") for result in results if isinstance(result, dict)]
    return {str(dataset.get("type")) for dataset in datasets if isinstance(dataset, dict)} - {UNPUBLISHED}


def metadata_yaml(
    title: str,
    encoder: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
    settings: CardSettings,
    earlier: Mapping[str, Any],
    task: str = "image-classification",
) -> str:
    """Return the YAML block of a card, made by huggingface_hub.

    Args:
        title: of the card.
        encoder: as `config.json` has it.
        scores: as `scores.json` has them.
        settings: licence and data sets.
        earlier: the YAML block of the card from before: keys that a head does not decide, and tags, are kept.
        task: what the Hub files it under.
    """
    from huggingface_hub import ModelCardData

    parts = zip(
        encoder["name"].split(AND), encoder["revision"].split(AND), strict=False
    )  # of heads of several encoders
    on_hub = [
        printable(name) for name, revision in parts if name.count("/") == 1 and not revision.startswith("sha256:")
    ]
    tags = ["image-geolocation", "geolocation", "geocell", "street-view"]
    more = earlier.get("tags")
    tags += [tag for tag in more if tag not in tags] if isinstance(more, list) else []
    data = ModelCardData(
        license=printable(settings.license),
        library_name="geocell",
        pipeline_tag=task,
        tags=tags,
        base_model=None if not on_hub else on_hub[0] if len(on_hub) == 1 else on_hub,
        datasets=list(settings.datasets) or None,
        model_name=printable(title),
        eval_results=None if scores is None else eval_results(scores, settings),
    )
    if scores is None:
        data.pop("model_name")
    for key in earlier:
        if (
            isinstance(key, str)
            and not hasattr(ModelCardData, key)
            and key not in _FACTS | ({"base_model"} if on_hub else set())
        ):
            data[key] = earlier[key]
    return data.to_yaml()


def eval_results(scores: Mapping[str, Any], settings: CardSettings) -> list[EvalResult]:
    """Return scores as the entries of a model-index: percent and km, as people quote them."""
    from huggingface_hub import EvalResult

    dataset = settings.benchmark or UNPUBLISHED
    shared = EvalResult(
        task_type="image-classification",
        task_name="Image geolocation",
        dataset_type=dataset,
        dataset_name=f"{dataset}, {scores['n_locations']} locations",
        dataset_split=printable(scores["split"]) or None,
        metric_type="",
        metric_value=None,
        metric_args={"decoder": printable(scores["decoder"])},
    )
    return [
        replace(
            shared,
            metric_type=printable(name),
            metric_name=f"{printable(score_label(name))} ({score_unit(name)})",
            metric_value=round(value if score_unit(name) == "km" else 100 * value, 2),
        )
        for name, value in flat_scores(scores).items()
        if value is not None
    ]


def eval_file(scores: Mapping[str, Any], settings: CardSettings) -> tuple[str, str]:
    """Return name and content of the file by which the Hub shows scores beside others on one benchmark.

    Only the balscore goes there: a benchmark ranks by one number.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    dataset, _, task = settings.benchmark.partition(":")
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task or "default",
        value=round(100 * scores["balscore"], 2),
        notes=f"balscore in %, decoder {printable(scores['decoder'])}, {scores['n_locations']} locations",
    )
    text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
    return eval_file_name(settings), text


def eval_file_name(settings: CardSettings) -> str:
    """Return the name of that file, for settings with a benchmark."""
    return f".eval_results/{settings.benchmark.partition(':')[0].replace('/', '--')}.yaml"
