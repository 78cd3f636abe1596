"""From a reference to pixels: paths, URLs, archives, decoding, transforms."""
