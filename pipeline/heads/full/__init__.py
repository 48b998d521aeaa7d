"""The full softmax."""
