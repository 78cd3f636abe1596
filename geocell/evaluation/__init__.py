"""Scores, comparisons and audits."""
