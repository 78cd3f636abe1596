"""Heads as graphs that products run without this package: ONNX and torch.export."""
