"""How far a posterior can be trusted: calibration, and radii that hold what they say; pure numpy."""
