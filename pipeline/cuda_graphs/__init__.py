"""Computations that a GPU repeats by itself, recorded as CUDA graphs."""
