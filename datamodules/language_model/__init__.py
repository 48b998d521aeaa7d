"""Text for language models: corpora, streams, windows, lists of items."""
