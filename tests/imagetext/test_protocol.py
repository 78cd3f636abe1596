"""What every model of images and texts refuses."""

import numpy as np
import pytest

from geocell.imagetext.protocol import require_distinct, require_texts


def test_texts_are_a_list_of_words() -> None:
    assert require_texts(("a", "b")) == ["a", "b"]
    with pytest.raises(ValueError, match="at least one text"):
        require_texts([])
    with pytest.raises(ValueError, match="an empty one at position 1"):
        require_texts(["a", "  "])
    with pytest.raises(TypeError, match="put one text in a list"):
        require_texts("a street")
    with pytest.raises(TypeError, match="must be a list of texts"):
        require_texts([float("nan")])  # type: ignore[list-item]


def test_equal_embeddings_are_refused() -> None:
    require_distinct(np.eye(2), "m")
    with pytest.raises(ValueError, match="m gives two different captions the same embedding: the eos_token_id"):
        require_distinct(np.ones((2, 2)), "m")
