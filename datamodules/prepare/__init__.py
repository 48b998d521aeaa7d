"""`unroll prepare`: downloads corpora, verifies them and converts them."""
