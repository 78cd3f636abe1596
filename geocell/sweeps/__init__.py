"""Sweeps: many fits on one cache, resumable, in several processes, and the table of what they reach."""
