"""Which location is in which split: draws, neighbours, leaks."""
