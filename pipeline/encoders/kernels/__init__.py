"""Fast kernels for whole layers and stacks."""
