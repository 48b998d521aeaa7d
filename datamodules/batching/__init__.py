"""Batches of labelled texts: ids, buckets by length, order, position in an epoch."""
