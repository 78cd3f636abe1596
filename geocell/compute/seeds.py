"""The range of seeds."""

MAX_SEED = 2**63 - 1
"""The largest seed that torch's generators take and TOML can state."""
