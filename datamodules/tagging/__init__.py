"""Corpora whose tokens carry tags: column files, folds, the built-in opinions."""
