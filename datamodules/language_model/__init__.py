"""Corpora for language models: running text as windows of streams, and lists of items."""
