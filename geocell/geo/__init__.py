"""The sphere: distances, shapes, countries, place names."""
