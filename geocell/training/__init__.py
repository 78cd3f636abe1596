"""Fitting a head on cached features."""
