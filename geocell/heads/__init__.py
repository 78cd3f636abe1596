"""Heads: the module, its folder, its card, and what joins several."""
