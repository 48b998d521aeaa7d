"""Corpora whose texts carry a label: trees, tables, folders, the built-in reviews."""
