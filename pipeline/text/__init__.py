"""Vocabularies, tags, tokenizers and word vectors. Nothing here imports torch."""
