"""Mutated input for every reader of files: `python -m fuzz`. See CONTRIBUTING.md."""
