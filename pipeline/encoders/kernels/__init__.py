"""Fast computations of whole layers or stacks."""
