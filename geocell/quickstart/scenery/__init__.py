"""Street scenes of a synthetic Europe, drawn: what a place looks like, a street there, and a picture of it."""
