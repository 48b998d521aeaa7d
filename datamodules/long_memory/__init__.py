"""Synthetic sequences whose answer lies far back: adding and copying."""
