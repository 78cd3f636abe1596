"""Embeddings of texts on the disk: computed once for a model and a set of texts."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geocell.files import atomic_path, canonical_json
from geocell.imagetext.projection import Float32
from geocell.imagetext.protocol import ImageTextModel, require_texts

VARIABLE = "GEOCELL_CACHE"


def text_cache_folder() -> Path:
    """Return where commands keep embeddings of texts: below GEOCELL_CACHE, else below the user's cache folder."""
    base = os.environ.get(VARIABLE) or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "geocell"
    return Path(base).expanduser() / "texts"


def embed_texts(model: ImageTextModel, texts: Sequence[str], cache: Path | None = None) -> Float32:
    """Return the (n, d) embeddings of n texts; equal texts are embedded once.

    Args:
        model: what embeds them.
        texts: the texts.
        cache: folder of embeddings that were computed before, keyed by the model, its revision and the texts; nothing
            is kept when None. A damaged file in it is made again, and where none can be written a warning says so.

    Raises:
        ValueError: for no text, one that is empty, or one that is too long.
    """
    distinct = list(dict.fromkeys(require_texts(texts)))
    row_of = {text: row for row, text in enumerate(distinct)}
    rows = np.array([row_of[text] for text in texts])
    if cache is None:
        return np.asarray(model.text(distinct)[rows])
    key = hashlib.sha256(canonical_json([model.text_identity, distinct]).encode()).hexdigest()
    path = cache / f"{key[:40]}.safetensors"
    found = _read(path, key, len(distinct))
    if found is None:
        found = model.text(distinct)
        _keep(path, key, found)
    return np.asarray(found[rows])


def _keep(path: Path, key: str, found: Float32) -> None:
    """Write embeddings into a file; where that cannot be done, warn: they are made anew another time."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        with atomic_path(path) as temporary:
            save_file({"texts": np.ascontiguousarray(found)}, temporary, {"key": key})
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        warnings.warn(
            f"embeddings of texts must be kept in {path.parent}, got: {reason}: set {VARIABLE} to a folder that can be "
            "written; until then they are computed anew each time.",
            stacklevel=3,
        )


def _read(path: Path, key: str, n: int) -> Float32 | None:
    """Return the embeddings of a file, None when it is not there or is not what it should be."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            found: Float32 = file.get_tensor("texts")
    except (SafetensorError, OSError, ValueError, TypeError):
        return None
    fits = found.dtype == np.float32 and found.ndim == 2 and len(found) == n and bool(np.isfinite(found).all())
    return found if fits else None
