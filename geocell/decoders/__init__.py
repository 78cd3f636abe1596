"""Decoders: from a posterior over cells to one point per location."""
