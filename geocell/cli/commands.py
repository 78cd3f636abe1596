"""The commands: the module of each, and the sentence that the help of the whole shows of it.

The sentence is the first line of the command's docstring, so that `geocell --help` imports no command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command that is imported when it is named.

    Attributes:
        home: `module:function` in geocell.cli.
        summary: the first line of its docstring.
    """

    home: str
    summary: str

    @property
    def path(self) -> str:
        """`package.module:function`."""
        return f"{__package__}.{self.home}"

    def load(self) -> Any:  # noqa: ANN401 - a command, or a mapping of them
        """Import the module, and return what `home` names."""
        module, _, attribute = self.path.partition(":")
        return getattr(import_module(module), attribute)


@dataclass(frozen=True)
class Family(Command):
    """Commands of one first word; `home` names their mapping from second word to function."""

    def load(self) -> Mapping[str, Callable[..., None]]:
        """Import the module, and return the commands."""
        commands: Mapping[str, Callable[..., None]] = super().load()
        return commands


GROUPS: Mapping[str, Mapping[str, Command]] = {
    "Start": {
        "quickstart": Command(
            "start:quickstart",
            "Run the whole pipeline on a small synthetic Europe: images, features, four partitions, heads, scores, a "
            "map.",
        ),
    },
    "Data": {
        "encode": Command(
            "features:encode",
            "Run the frozen encoder over images once and keep their features; continue an interrupted run.",
        ),
        "cache": Family("caches:COMMANDS", "Import, inspect, verify, merge and join feature caches."),
        "split": Command(
            "features:split",
            "Split locations into train, val and test: by location, never by view, and no coordinate is in two splits.",
        ),
        "leaks": Command(
            "leaks:leaks",
            "Say what the splits of a cache leak: what validation and test locations share with training locations.",
        ),
    },
    "Partitions": {
        "partition": Family(
            "partitions:COMMANDS",
            "Cut the earth into cells, of a kind below or of `module:attribute`, a custom partitioner.",
        ),
        "audit": Command(
            "partitions:audit",
            "Say how good a head on each partition could be at best: the oracle ceiling, counts, fallbacks, advice.",
        ),
        "plot": Command(
            "partitions:plot",
            "Draw the cells of a partition over country outlines, coloured by their training locations.",
        ),
        "export": Command(
            "partitions:export", "Write the cells of a partition as polygons, for GIS programs and web maps."
        ),
    },
    "Heads": {
        "fit-head": Command("heads:fit_head", "Fit a head on cached features, and keep the epoch that `--keep` says."),
        "zero-shot-head": Command(
            "zero_shot:zero_shot_head",
            "Make a head of words: the captions of a partition's cells are its weights, and no location is trained on.",
        ),
        "plot-history": Command(
            "heads:plot_history",
            "Draw how a fit, or a pretraining, went: loss, learning rate and validation scores, epoch by epoch.",
        ),
        "average": Command(
            "heads:average",
            "Average the weights of heads that were fitted alike, with several seeds say: one head of their mean "
            "logits.",
        ),
        "combine": Command(
            "combining:combine",
            "Combine heads of several partitions or seeds into one that is scored, predicted with and pushed like a "
            "head.",
        ),
        "sweep": Command(
            "sweeps:sweep",
            "Fit and score every row of some recipes with every seed, and print the table beside the published "
            "numbers.",
        ),
        "calibrate": Command(
            "calibration:calibrate",
            "Learn on validation locations how sure a head may be, and write calibration.json into its folder.",
        ),
        "decode": Command(
            "calibration:decode",
            "Compare all decoders of a head on the same locations, and say which to use for which score.",
        ),
        "score": Command(
            "scoring:score",
            "Score a head on locations it has not seen, and write the scores into its folder; or anybody's "
            "predictions.",
        ),
        "compare": Command(
            "scoring:compare",
            "Say how far two heads are apart on the same locations, and whether these can tell which is better.",
        ),
        "report": Command(
            "reporting:report",
            "Write everything that is measured of a head as one page that needs no network, and its numbers beside it.",
        ),
    },
    "Answers": {
        "predict": Command("answers:predict", "Say where images were taken."),
        "zero-shot": Command(
            "zero_shot:zero_shot",
            "Locate images without training, by the texts of candidate cities: the country first, then the city in it.",
        ),
        "classify": Command(
            "classifying:classify",
            "Say how probable each of some labels is for images: countries, climates, anything that a text can say.",
        ),
        "demo": Command(
            "demo:demo",
            "Try a head in a browser, on this machine: photographs in, the page of its answer out. Ends with Ctrl-C.",
        ),
    },
    "Pretraining": {
        "captions": Command(
            "pretraining:captions",
            "Write captions of a table of images: of its columns city, region, country, continent, or of its "
            "coordinates.",
        ),
        "pretrain": Command(
            "pretraining:pretrain",
            "Train a CLIP on images and captions of their places, as StreetCLIP was; after every epoch, score it by "
            "zero-shot.",
        ),
        "evaluate": Command(
            "evaluating:evaluate",
            "Score a model of images and texts on a table of images: country, city, and distances where it has "
            "coordinates.",
        ),
    },
    "Publishing": {
        "push": Command(
            "publish:push", "Publish a head on the Hub: one head, one repository, one commit, with its model card."
        ),
        "push-demo": Command(
            "demo:push_demo",
            "Publish the demo of a head as a Space on the Hub: an app of a few lines, pinned requirements, the head.",
        ),
        "pull": Command("publish:pull", "Fetch a head, or what else push publishes, from the Hub and check it."),
        "import": Command(
            "publish:import_",
            "Make a head of a checkpoint that somebody published: best.pt and geocell_info.json, here or on the Hub.",
        ),
        "export-model": Command(
            "exporting:export_model",
            "Export a head as one graph that runs without geocell, with a manifest and a report of parity.",
        ),
    },
}
"""Group -> name -> command, in the order in which help shows them."""
