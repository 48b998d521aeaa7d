"""Benchmarks of training on a GPU: `python -m benchmarks.gpu.training`, `.parts` (see there)."""
