"""From a posterior to points, by name."""
