"""Modules around encoders: stacks, directions, skip connections, dropout."""
