"""A head tried in a browser: photographs in, the page of its answer out; a quiz against it; the same as a Space."""
