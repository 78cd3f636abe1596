"""The model card of a head: what a reader of its folder has to know, generated from the files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_TEMPLATE = """\
---
library_name: geocell
tags: [image-geolocation, geocell]
---

# Geocell head: {encoder} on {n_cells} cells ({kind})

A linear classifier over {n_cells} geographic cells. It reads features of one frozen encoder and answers where an image
was taken, as a probability per cell.

| | |
|---|---|
| encoder | `{encoder}`, revision `{revision}`, `{pooling}` ({dim} numbers), {image_size} px |
| partition | {kind}, {n_cells} cells, sha256 `{sha}` |
| views of one location | {fusion} fusion |
| fitted on | {n_train} locations; best epoch {best_epoch} of {epochs_run} |

{scores}
## Use

```python
from geocell.head_files import load_head

head = load_head("path/to/this/folder")
posterior = head.posterior(locations)  # locations with features of the same encoder; others are refused
```

`geocell predict path/to/this/folder image.jpg` encodes and answers. `model.safetensors` has the keys `head.0.weight`,
`head.0.bias` (LayerNorm) and `head.2.weight`, `head.2.bias` (Linear); class i is key "i" of `geocell_info.json`.

## Limits

It knows only the regions of its training locations and always names one of its cells, also for an image from
elsewhere. Its probabilities are not calibrated. `config.json` has every setting of the fit.
"""


def head_card(config: Mapping[str, Any], kind: str, scores: Mapping[str, Any] | None) -> str:
    """Return the model card of a head as Markdown.

    Args:
        config: the content of its `config.json`.
        kind: kind of its partition.
        scores: the content of its `scores.json`, when it has one.
    """
    encoder, training = config["encoder"], config["training"]
    return _TEMPLATE.format(
        encoder=encoder["name"],
        revision=encoder["revision"],
        pooling=encoder["pooling"],
        dim=encoder["dim"],
        image_size=encoder["image_size"],
        kind=kind,
        n_cells=f"{config['n_cells']:,}",
        sha=config["partition_sha256"][:12],
        fusion=config["fusion"],
        n_train=training.get("n_train", "unknown"),
        best_epoch=training.get("best_epoch", "unknown"),
        epochs_run=training.get("epochs_run", "unknown"),
        scores=_scores_section(scores),
    )


def _scores_section(scores: Mapping[str, Any] | None) -> str:
    """Return the table of scores, or that there are none."""
    if scores is None:
        return "## Scores\n\nNot measured.\n"
    within = {f"within_{radius}": share for radius, share in scores["within"].items()}
    shares = {"balscore": scores["balscore"], "top1": scores["top1"], "top5": scores["top5"], **within}
    rows = [_score_row(name, value, scores["intervals"], _percent) for name, value in shares.items()]
    rows += [_score_row(name, scores[name], scores["intervals"], _km) for name in ("median_km", "mean_km")]
    split = f"the split `{scores['split']}`" if scores["split"] else "an unnamed split"
    lines = [
        "## Scores",
        "",
        f"{scores['n_locations']:,} locations of {split}, decoder `{scores['decoder']}`; 95 % bootstrap intervals "
        "over locations.",
        "",
        "| score | value | interval |",
        "|---|---:|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _score_row(
    name: str,
    value: float | None,
    intervals: Mapping[str, tuple[float, float]],
    form: Callable[[float], str],
) -> str:
    """Return one line of the table of scores."""
    words = name.replace("top", "top-").removesuffix("_km").replace("_", " ") + (" km" if "within" in name else "")
    interval = " – ".join(form(end) for end in intervals.get(name, ()))
    return f"| {words} | {'not known' if value is None else form(value)} | {interval} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _km(distance: float) -> str:
    return f"{distance:.1f} km"
