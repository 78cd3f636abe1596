"""Outcomes, scores and their intervals; pure numpy."""
