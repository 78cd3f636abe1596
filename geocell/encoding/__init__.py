"""The feature stage: every view is encoded once by the frozen encoder, resumably."""

from geocell.encoding.engine import encode, encode_images, require_settings, require_some_image
from geocell.encoding.imports import encoder_like, import_features

__all__ = ["encode", "encode_images", "encoder_like", "import_features", "require_settings", "require_some_image"]
