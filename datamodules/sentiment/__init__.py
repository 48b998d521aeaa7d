"""Corpora with a label for each text: trees, tables, folders and the built-in reviews."""
