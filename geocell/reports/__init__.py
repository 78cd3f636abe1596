"""Everything that is printed, as text."""
