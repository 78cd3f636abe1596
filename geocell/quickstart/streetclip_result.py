"""What the pretraining in small returns and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geocell.evaluation.comparison import signed
from geocell.evaluation.countries import ACCURACY
from geocell.reports.tables import percent, text_table

ZERO_SHOT, HEAD = "zero-shot", "head"

PARTS = (
    "small", "captions.parquet", "val.parquet", "candidates.json", "start", "model", "model.pretrain", "cache", "head",
    "zero-shot", "history.png",
)  # fmt: skip
"""What it leaves in its folder."""

_SHARES = ("within_25", "within_200", "within_750")
_MOST_EPOCHS = 20


@dataclass(frozen=True)
class Chance:
    """What answers reach that do not look at the image.

    Attributes:
        n_countries: candidates.
        uniform: share of right countries when one is drawn at random.
        country: code of the country with most test locations.
        largest: their share, which always answering that country reaches.
    """

    n_countries: int
    uniform: float
    country: str
    largest: float


@dataclass(frozen=True)
class StreetClipResult:
    """A small CLIP that was trained on captions, its zero-shot accuracy, and a head on its features.

    Attributes:
        folder: of every artefact.
        history: one row per epoch, with zero-shot accuracy on validation images.
        picture: of the history.
        n_images: images that it was trained on.
        n_val_images: images of the history's accuracies.
        chance: country accuracy by chance on the test locations.
        rows: scores on the test locations of zero-shot, the head and the baselines.
        comparison: score -> difference of the head less zero-shot, and its interval.
    """

    folder: Path
    history: tuple[Mapping[str, float], ...]
    picture: Path
    n_images: int
    n_val_images: int
    chance: Chance
    rows: tuple[dict[str, Any], ...]
    comparison: Mapping[str, Sequence[float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "folder": str(self.folder),
            "model": str(self.folder / "model"),
            "picture": str(self.picture),
            "n_images": self.n_images,
            "n_val_images": self.n_val_images,
            "history": [dict(row) for row in self.history],
            "chance": asdict(self.chance),
            "scores": list(self.rows),
            "head_less_zero_shot": {name: list(values) for name, values in self.comparison.items()},
        }

    def text(self) -> str:
        """Return what the terminal shows of it."""
        chance, found = self.chance, self.rows[0]
        accuracy, (low, high) = found[ACCURACY], found["intervals"][ACCURACY]
        trained = (
            f"A CLIP of random weights, trained on captions of {self.n_images:,} images of training locations. "
            "Zero-shot, on\n"
            f"{self.n_val_images:,} images of validation locations:"
        )
        times = (
            f"Zero-shot finds the country of {percent(accuracy)} % [{percent(low)}, {percent(high)}] of "
            f"{found['n_locations']} test locations: {accuracy / chance.uniform:.1f} times chance\n"
            f"among {chance.n_countries} countries ({percent(chance.uniform)} %), and {accuracy / chance.largest:.1f} "
            f"times the share of the largest ({chance.country}, {percent(chance.largest)} %)."
        )
        parts = [trained, self._epochs(), times, self._scores(), self._notes()]
        return "\n\n".join(parts)

    def _epochs(self) -> str:
        shown = self.history if len(self.history) <= _MOST_EPOCHS else self.history[:: -(-len(self.history) // 8)]
        if shown[-1] is not self.history[-1]:
            shown = (*shown, self.history[-1])
        rows = [
            [
                f"{row['epoch']:.0f}",
                f"{row['train_loss']:.3f}",
                percent(row["val_country"]),
                percent(row["val_city"]),
                "█" * round(40 * row["val_country"]),
            ]
            for row in shown
        ]
        return text_table(["epoch", "loss", "country %", "city %", ""], rows, [False, False, False, False, True])

    def _scores(self) -> str:
        rows = []
        for row in self.rows:
            shares = [percent(row[name]) for name in _SHARES]
            both = [_with_ends(row, ACCURACY), *shares, f"{row['median_km']:,.0f}", _with_ends(row, "balscore")]
            rows.append([row["answer"], *both])
        header = ["answer", "country", "≤25", "≤200", "≤750", "median km", "balscore"]
        return text_table(header, rows, 1)

    def _notes(self) -> str:
        first = self.rows[0]
        differences = []
        for name, words in ((ACCURACY, "country accuracy"), ("balscore", "balscore")):
            value, low, high = (signed(100 * number) for number in self.comparison[name])
            differences.append(f"{words} {value} points [{low}, {high}]")
        return (
            f"split test · {first['n_locations']} locations · %, [95 % interval over {first['n_clusters']} places] · "
            "country: the answer lies in that of the truth\n"
            f"The head less zero-shot, paired: {', '.join(differences)}.\n"
            "All four know the training locations alone, through the features of this one encoder.\n"
            f"{self.folder / 'model'} is a folder of transformers: `--encoder {self.folder / 'model'}` takes it. "
            f"History: {self.picture}"
        )


def _with_ends(row: Mapping[str, Any], name: str) -> str:
    low, high = row["intervals"][name]
    return f"{percent(row[name])} [{percent(low)}, {percent(high)}]"
