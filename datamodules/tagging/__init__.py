"""Corpora with a tag for each token: column files, MPQA and the built-in opinions."""
