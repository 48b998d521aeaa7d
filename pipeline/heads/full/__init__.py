"""The full softmax and fast implementations of its loss."""
