"""The report of a head: everything that is measured of it on one page, as figures, and as JSON."""
