"""Vocabularies and tokens of text; nothing here imports torch."""
