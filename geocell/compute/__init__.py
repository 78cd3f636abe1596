"""Where work runs: devices, threads, processes."""
