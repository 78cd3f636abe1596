"""The matrix that joins EfficientNet-Lite0 and MiniLM, and the script that makes it."""
