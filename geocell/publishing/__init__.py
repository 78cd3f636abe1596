"""Heads on the Hub: pushed, pulled, and imported from published checkpoints."""
