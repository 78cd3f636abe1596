"""Models of images and texts: embeddings of texts, and the projection of cached features into their space.

`load_image_text` and `image_text_for` load CLIP, SigLIP, or the joined towers EfficientNet-Lite0 × MiniLM, whose
weights install from the package index.
"""

from geocell.imagetext.loading import image_text_for, load_image_text
from geocell.imagetext.projection import Projection
from geocell.imagetext.protocol import ImageTextModel

__all__ = ["ImageTextModel", "Projection", "image_text_for", "load_image_text"]
