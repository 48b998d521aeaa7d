"""Files on disk: paths, lines, caches, word vectors, lexicons."""
