"""Data files of the package; README.md in this folder says where each comes from."""
