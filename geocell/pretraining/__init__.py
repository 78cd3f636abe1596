"""Captions of geotagged images, and contrastive training of a model of images and texts on them."""
