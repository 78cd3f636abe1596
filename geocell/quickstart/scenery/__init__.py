"""Drawing of street scenes: the look of a region, a street in it, and a picture of that street."""
