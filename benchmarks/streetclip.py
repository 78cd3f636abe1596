"""The pretraining in small, measured: a CLIP of random weights on captions of the quickstart's world, by two losses.

With several seeds of start weights and training, and the same steps for both: the multi-positive loss (`--positives
true`) and CLIP's own (`own`). Zero-shot on the test locations, a head on the features of each, and the paired
difference of the losses. Intervals are over places, and over towns, several of whose streets are test locations; draws
take all seeds of a place together.

Run: python -m benchmarks.streetclip [--quick] [--json], in the root of the repository, after `geocell quickstart`,
whose folder `quickstart/` it reads. What `geocell quickstart --streetclip` prints is that of its first model, and goes
into docs/streetclip.txt. Models in `quickstart-streetclip/` from an earlier run are kept.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import conditions, finish, parse_flags
from geocell.evaluation.comparison import comparison_of
from geocell.evaluation.countries import ACCURACY
from geocell.evaluation.score import outcomes
from geocell.features import FeatureCache
from geocell.heads.head import load_head
from geocell.heads.protocol import HeadLike
from geocell.heads.zero_shot_folder import load_zero_shot
from geocell.metrics.clusters import PLACE, Clusters
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import Partition
from geocell.quickstart.streetclip import CONFIG, run_streetclip, shrink
from geocell.quickstart.streetclip_result import HEAD, ZERO_SHOT, StreetClipResult
from geocell.splits.splits import Splits

DOCS = Path(__file__).resolve().parents[1] / "docs"
QUICKSTART = Path("quickstart")
SEEDS = 2
LOSSES = ("true", "own")
TOWN = "town"


@dataclass(frozen=True)
class Trained:
    """One trained model: what it printed, and what its zero-shot and its head answer on the test locations."""

    result: StreetClipResult
    found: dict[str, Outcomes]
    towns: Clusters


def train_one(folder: Path, small: Path, splits: Splits, cells: Partition, positives: Any, seed: int) -> Trained:  # noqa: ANN401 - a literal
    """Train a model, or take the one that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "small").exists():
        (folder / "small").symlink_to(small.resolve(), target_is_directory=True)
    config = replace(CONFIG, positives=positives, epochs=1 if "--quick" in sys.argv else CONFIG.epochs)

    def say(text: str) -> None:
        print(f"{positives} {seed}: {text}", file=sys.stderr, flush=True)

    result = run_streetclip(folder, small, splits, cells, seed=seed, config=config, say=say)
    test = splits.select(FeatureCache.open(folder / "cache").locations(), "test")
    answers: dict[str, HeadLike] = {ZERO_SHOT: load_zero_shot(folder / "zero-shot"), HEAD: load_head(folder / "head")}
    found = {name: outcomes(model, test, "centroid", "test") for name, model in answers.items()}
    return Trained(result, found, Clusters.of(TOWN, test.columns["place"]))


def stacked(runs: Sequence[Trained], answer: str, by: str) -> Outcomes:
    """Return the outcomes of several seeds below each other, the same clusters drawn for all of them."""
    found = [run.found[answer] for run in runs]
    clusters = [run.towns if by == TOWN else run.found[answer].clusters for run in runs]
    numbers = np.concatenate([one.numbers for one in clusters if one is not None])
    right = np.concatenate([one.further[ACCURACY] for one in found])
    distances = np.concatenate([one.distances_km for one in found])
    return Outcomes(distances, clusters=Clusters(by, numbers), further={ACCURACY: right})


def row_of(name: str, answer: str, runs: Sequence[Trained]) -> dict[str, Any]:
    """Return the scores of an answer, over all seeds."""
    row: dict[str, Any] = {"loss": name, "answer": answer}
    for by in (PLACE, TOWN):
        outcome = stacked(runs, answer, by)
        low, high = outcome.intervals()[ACCURACY]
        row |= {f"{by}_low": low, f"{by}_high": high, f"n_{by}": outcome.n_clusters}
    values = outcome.values()
    last = [run.result.history[-1]["val_country"] for run in runs]
    return {
        **row, "country": values[ACCURACY], "within_200": values["within_200"], "within_750": values["within_750"],
        "balscore": values["balscore"], "val_images_country": float(np.mean(last)),
    }  # fmt: skip


def difference(answer: str, runs: dict[str, list[Trained]]) -> dict[str, Any]:
    """Return the multi-positive loss less CLIP's, paired."""
    row: dict[str, Any] = {"loss": "true less own", "answer": answer}
    for by in (PLACE, TOWN):
        true, own = (stacked(runs[loss], answer, by) for loss in LOSSES)
        found = comparison_of(true, own, "centroid", "test")
        low, high = found.intervals[ACCURACY]
        row |= {f"{by}_low": low, f"{by}_high": high, f"n_{by}": found.n_clusters}
    last = {loss: np.mean([run.result.history[-1]["val_country"] for run in runs[loss]]) for loss in LOSSES}
    differences = {name: found.differences[name] for name in ("within_200", "within_750", "balscore")}
    return {
        **row, "country": found.differences[ACCURACY], **differences,
        "val_images_country": float(last["true"] - last["own"]),
    }  # fmt: skip


def main() -> None:
    """Train and score."""
    flags = parse_flags(__doc__ or "")
    if not (QUICKSTART / "heads").is_dir():
        raise SystemExit("this benchmark needs the folder quickstart/: run `geocell quickstart` first.")
    torch.set_num_threads(1)
    splits = Splits.load(QUICKSTART / "splits.json")
    cells = load_head(QUICKSTART / "heads" / "kmeans").partition
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if flags.quick else Path("quickstart-streetclip")
        folder.mkdir(exist_ok=True)
        small = shrink(QUICKSTART / "world", folder / "small")
        runs: dict[str, list[Trained]] = {loss: [] for loss in LOSSES}
        for seed in range(1 if flags.quick else SEEDS):
            for loss in LOSSES:
                runs[loss].append(train_one(folder / f"{loss}-{seed}", small, splits, cells, loss, seed))
    first = runs["true"][0].result
    shared = {
        "n_locations": len(runs["true"][0].found[HEAD].distances_km), "seeds": len(runs["true"]),
        "epochs": len(first.history), "n_images": first.n_images, "n_val_images": first.n_val_images,
        "n_countries": first.chance.n_countries, "chance": first.chance.uniform,
        "largest_country": first.chance.country, "largest": first.chance.largest,
        **conditions("torch", "transformers"),
    }  # fmt: skip
    if not flags.quick:
        shown = replace(first, folder=QUICKSTART / "streetclip", picture=QUICKSTART / "streetclip" / "history.png")
        (DOCS / "streetclip.txt").write_text(shown.text() + "\n", encoding="utf-8")
    rows = [row_of(loss, answer, runs[loss]) for loss in LOSSES for answer in (ZERO_SHOT, HEAD)]
    rows += [difference(answer, runs) for answer in (ZERO_SHOT, HEAD)]
    summary = {f"{row['loss']} {row['answer']}": row["country"] for row in rows}
    finish("streetclip", [{**row, **shared} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
