"""How far a posterior can be trusted: calibration, radii that hold what they say, and features of other regions."""
