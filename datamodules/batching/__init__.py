"""Interfaces of readers, splits and folds, and batches that can resume within an epoch."""
